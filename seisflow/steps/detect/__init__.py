"""Detection, disk to disk: a day's beam, templates, a day's matches, the catalog."""
