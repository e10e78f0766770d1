"""Plain functions, disk to disk: what one task of a flow does."""
