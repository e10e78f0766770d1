"""Files to nouns and nouns to files. Files appear whole or not at all; equal content gives equal bytes."""
