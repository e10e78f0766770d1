"""Prefect flows: what runs when, and where. The work itself is in ``seisflow.steps``."""
