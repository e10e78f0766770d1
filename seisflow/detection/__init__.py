"""From continuous recordings to a catalog: travel times, features, beam, location, templates, matched filter."""
