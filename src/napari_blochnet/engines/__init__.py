"""Where many tasks are done: in this process, on its threads, on the workers of a dask cluster."""
