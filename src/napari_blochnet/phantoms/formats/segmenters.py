"""Segmentations by FSL FAST and SPM: which of their volumes is which tissue, as far as names tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from napari_blochnet.io.nifti import is_nifti, nifti_stem

__all__ = ["about_segmentation", "is_part_by_spm", "is_segmentation", "label_table", "tissues_of_sets"]

_LABELS = re.compile(r"(^|[^a-z0-9])(seg|labels?|pveseg)$", re.IGNORECASE)
_OTHERS = re.compile(r"(probseg|dseg|mask|(^|[^a-z0-9])(mixeltype|(pve|seg|prob)_\d))$", re.IGNORECASE)
_FAST = re.compile(r"(.+)_pve_(\d)", re.IGNORECASE)
_SPM = re.compile(r"c([1-6])((?!\d).*)", re.IGNORECASE)
# c1sub_T1 and wc1sub_T1 are of an image called T1; c1_T1map may well be case 1.
_OF_IMAGE = re.compile(r"(m?w|r|rp|s)*c[1-6][a-z](?!.*map$)", re.IGNORECASE)
# FAST numbers classes by their brightness: the order below is that of T1-weighted images.
_OTHER_CONTRAST = re.compile(r"(^|[^a-z0-9])(t2|t2w|t2star|pd|pdw|flair)([^a-z0-9]|$)", re.IGNORECASE)
_SETS = {
    "FSL FAST": {0: "CSF", 1: "grey matter", 2: "white matter"},
    "SPM": {1: "grey matter", 2: "white matter", 3: "CSF"},
}
_NAMED = "one volume for each tissue, named as csf.nii.gz, gm.nii.gz and wm.nii.gz are"


def is_segmentation(stem: str) -> bool:
    """Return whether a file's name, without what says its format, is that of a segmentation or mask."""
    return bool(_OTHERS.search(stem) or _LABELS.search(stem))


def is_part_by_spm(stem: str) -> bool:
    """Return whether a name may be that of a tissue by SPM, and the image is called as a map is."""
    return bool(_OF_IMAGE.match(stem))


def label_table(file: Path) -> Path | None:
    """Return the table of names beside a label image that is called so (``…_seg``, ``…_labels``), where there is one.

    See `napari_blochnet.phantoms.segmentations.labels_beside` for its columns.
    """
    table = file.with_name(f"{nifti_stem(file)}.tsv")
    return table if is_nifti(file) and _LABELS.search(nifti_stem(file)) and table.is_file() else None


def tissues_of_sets(files: Sequence[Path], notes: list[str]) -> dict[Path, str]:
    """Return the tissues of the memberships that one run of FSL FAST or SPM wrote, as `tissues` names them.

    These are ``…_pve_0`` to ``…_pve_2`` of FAST with three classes of a T1-weighted image, and ``c1…`` to ``c3…`` of
    SPM. Nothing where they are not complete, or of several images. ``notes`` takes what was understood.
    """
    found: dict[tuple[str, str], dict[int, Path]] = {}
    for file in files:
        if is_nifti(file) and (said := _part(file)):
            program, number, stem = said
            found.setdefault((program, stem), {})[number] = file
    whole = []
    for (program, stem), parts in found.items():
        tissues = _SETS[program]
        is_fast = program == "FSL FAST"
        if set(tissues) <= set(parts) and not (is_fast and (len(parts) > 3 or _OTHER_CONTRAST.search(stem))):
            whole.append((program, {parts[number]: tissue for number, tissue in tissues.items()}))
    if len(whole) != 1:
        return {}
    program, told = whole[0]
    by_name = ", ".join(f"{file.name} as {tissue}" for file, tissue in told.items())
    image = ", of a T1-weighted image" if program == "FSL FAST" else ""
    notes.append(f"Taken as the tissues of {program}{image} by their names: {by_name}.")
    return told


def _part(file: Path) -> tuple[str, int, str] | None:
    """Return the program, the number, and what the names of a set have in common."""
    stem = nifti_stem(file)
    if fast := _FAST.fullmatch(stem):
        return "FSL FAST", int(fast[2]), fast[1]
    if spm := _SPM.fullmatch(stem):
        return "SPM", int(spm[1]), spm[2]
    return None


def about_segmentation(files: Sequence[Path]) -> tuple[str, str] | None:
    """Return what was found and what was expected, of files that are segmentations whose tissues nothing tells."""
    for file in files:
        said, stem = _part(file) if is_nifti(file) else None, nifti_stem(file)
        if said is not None and said[0] == "FSL FAST":
            return (
                f"{file.name} is called as a partial volume of FSL FAST is, and which tissue it holds is not certain",
                f"…_pve_0, …_pve_1 and …_pve_2 of one T1-weighted image and no others, or {_NAMED}",
            )
        if said is not None:
            return (
                f"{file.name} is called as a tissue of SPM is, and nothing else tells which it holds",
                f"c1…, c2… and c3… of one image and no others, or {_NAMED}",
            )
        if _LABELS.search(stem) or re.search(r"(^|[^a-z0-9])seg_\d$", stem, re.IGNORECASE):
            table = f"a table {stem}.tsv beside it with the columns index and name (tab between), or " * is_nifti(file)
            return f"{file.name} holds labels by its name, and nothing says of which tissues", table + _NAMED
    return None
