"""Files that come with seisflow: the template of a project, and complete examples."""
