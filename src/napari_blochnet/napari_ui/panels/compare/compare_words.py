"""What the Compare tab's buttons and its empty list say."""

from __future__ import annotations

from napari_blochnet.evaluation.maps import ParameterMaps

__all__ = ["AGREEMENT_EXPORT", "EXPORTS", "missing"]

# Text and tooltip of a button; title, file and kinds of files of its dialog.
EXPORTS = (
    ("Save table…", "Write the table as CSV, one tidy row per model, tissue and parameter.",
     ("Save the table", "comparison.csv", "CSV (*.csv)")),
    ("Save report…", "Write a page with table, maps, errors, and how they were made.",
     ("Save the report", "report.html", "HTML (*.html)")),
    ("Report figures…", "Draw maps with errors, and estimated against true values, as PNG, SVG or PDF.",
     ("Save the figures", "comparison.png", "PNG (*.png);;SVG (*.svg);;PDF (*.pdf)")),
)  # fmt: skip
AGREEMENT_EXPORT = (
    "Save agreement…",
    "Write bias, limits of agreement and plots as an HTML page, the table as CSV, or the figures as PNG, SVG or PDF.",
    ("Save agreement", "agreement.html", "HTML (*.html);;CSV (*.csv);;PNG (*.png);;SVG (*.svg);;PDF (*.pdf)"),
)


def missing(reference: object, others: int) -> str:
    """Return why there is nothing to compare with a reference, beside ``others`` sets of maps that are open."""
    if isinstance(reference, ParameterMaps):
        if others:
            return "The other maps lie on another grid than the reference; choose another reference."
        return (
            "Only one model's maps are open. Map with another model or add its maps, or open a phantom that is "
            "their truth in the Data tab."
        )
    if others:
        return (
            f"{'One set' if others == 1 else f'{others} sets'} of maps {'is' if others == 1 else 'are'} open, but "
            "this phantom is not their truth: it lies elsewhere. Choose another reference."
        )
    return "No maps yet: make some in the Map tab."
