"""Settings of engines: who does the work."""

from __future__ import annotations

from napari_blochnet.jobs.settings import Settings, quantity

__all__ = ["EngineSettings"]


class EngineSettings(Settings):
    """Who does the work: so many threads of this machine, or the workers of a dask cluster."""

    workers: int | None = quantity(
        None,
        "Workers",
        "How many tasks are done at a time on this machine, each on its share of the cores; none: one, on all of them.",
        ge=1,
        le=1024,
    )
    scheduler: str | None = quantity(
        None,
        "Scheduler",
        "Address of a dask scheduler, such as tcp://host:8786, whose workers do the tasks; or its scheduler file.",
    )
