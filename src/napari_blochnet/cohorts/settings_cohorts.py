"""Settings of a study: what its stacks have in common."""

from __future__ import annotations

from napari_blochnet.jobs.settings import Settings, of_data

__all__ = ["CohortSettings"]


class CohortSettings(Settings):
    """A recipe done to many stacks."""

    schedule: str | None = of_data(
        None,
        "Schedule",
        "File of the schedule of stacks that carry none and have none in the table; none: that of the recipe.",
        files="Schedules (*.csv *.txt *.mat *.json *.seq);;All files (*)",
    )
    regions: str | None = of_data(
        None,
        "Regions",
        "Labels (NIfTI) or spheres (CSV) to average over in each stack, where the table names none of its own.",
        files="Regions (*.nii *.nii.gz *.csv);;All files (*)",
    )
