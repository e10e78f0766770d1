"""Where work runs: this machine, Dask, or a batch system."""
