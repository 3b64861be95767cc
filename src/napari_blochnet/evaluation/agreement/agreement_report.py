"""Agreement as one HTML page."""

from __future__ import annotations

import os

from napari_blochnet.common.plain_text import counted
from napari_blochnet.evaluation.agreement import agreement_figures as figures
from napari_blochnet.evaluation.agreement.agreement_table import AGREEMENT_COLUMNS, AgreementTable
from napari_blochnet.evaluation.agreement.difference_maps import PARAMETERS
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.report import page_table, write_page
from napari_blochnet.evaluation.tables import in_unit

__all__ = ["write_agreement"]

# What stands below the figures.
_DIFFERENCES = (
    "Maps, and differences from the reference (of T1 and T2 in per cent of the mean of both), with shared colour "
    "limits."
)
_BLAND_ALTMAN = (
    "Bland–Altman: difference over the mean of both, darker where more voxels lie. Lines: bias, and limits of "
    "agreement (bias ± 1.96 SD) dashed; shaded: their confidence intervals. What lies beyond "
    "the axis is drawn at its edge."
)
_SCATTER = "Each model against the reference; darker where more voxels lie. Lines: identity and ±10 %."
_DISTRIBUTIONS = (
    "Boxes: quartiles and median; whiskers reach the furthest values within 1.5 interquartile ranges. Histograms: "
    "share of each model's voxels; half a per cent at either end lies beyond them."
)


def write_agreement(agreement: AgreementTable, path: str | os.PathLike[str]) -> None:
    """Write the page of agreement: tables, figures, how everything was made."""
    rows = agreement.rows()
    columns = [column for column in AGREEMENT_COLUMNS if column.key != "reference"]
    of_models = dict(zip(agreement.models, agreement.maps, strict=True))
    if isinstance(agreement.source, ParameterMaps):
        of_models = {agreement.reference: agreement.source, **of_models}
    write_page(
        path,
        title=agreement.title,
        summary=[
            f"Models: {', '.join(agreement.models)}. Compared with {agreement.reference} in "
            f"{counted(int(agreement.mask.sum()), 'voxel', ',')}, the same for all.",
            *agreement.notes,
        ],
        tables=[
            page_table(
                f"{parameter}: model − {agreement.reference}",
                chosen,
                columns if parameter in PARAMETERS else [in_unit(column, unit) for column in columns],
            )
            for parameter, unit in agreement.parameters.items()
            if (chosen := [row for row in rows if row["parameter"] == parameter])
        ],
        columns=columns,
        figures=[
            (_DIFFERENCES, figures.difference_figure(agreement)),
            (_BLAND_ALTMAN, figures.bland_altman_figure(agreement)),
            (_SCATTER, figures.scatter_figure(agreement)),
            (_DISTRIBUTIONS, figures.distribution_figure(agreement)),
        ],
        records=[
            ("Agreement", agreement.record),
            *((f"Maps of {model}", maps.record) for model, maps in of_models.items()),
        ],
    )
