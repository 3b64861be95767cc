"""Writing a phantom as a BIDS-style folder of NIfTI files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.plain_text import cell_text
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.io.atomic import replacing_set
from napari_blochnet.io.json_files import write_json
from napari_blochnet.io.nifti import write_nifti
from napari_blochnet.io.origin import check_outputs, listing, set_members
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["phantom_files", "write_phantom"]


def write_phantom(
    phantom: Phantom,
    folder: str | os.PathLike[str],
    record: dict[str, Any] | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> list[Path]:
    """Write a phantom; `read_phantom` of the folder gives it back.

    Parameters
    ----------
    phantom : Phantom
        What to write.
    folder : path
        Made if it is not there. An earlier phantom of the same name that this package wrote is replaced.
    record : dict, optional
        How the phantom was made; its own record if not given.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in files.

    Returns
    -------
    list of Path
        ``sub-NAME_T1map.nii.gz`` and ``T2map`` (s, as BIDS has them), ``PDmap``, ``TB1map`` where there is a B1 map,
        ``dseg`` (labels, with a ``.tsv`` of their names) and ``label-TISSUE_probseg`` (fractions) where there are
        tissues, each map with a JSON file that states its unit; the first holds the record.

    Raises
    ------
    InputError
        Files of these names that this package did not write, that the phantom was made from, or that are maps.
    Cancelled
        What was there before is there still, and nothing else.

    Notes
    -----
    Times are stored in seconds and double precision, so that T1 and T2 come back in ms to the last bit of their
    float32; the other maps are stored as float32. Outside the mask all maps are 0.
    """
    target = Path(folder)
    files = phantom_files(phantom, target)
    check_outputs(files, record=record or phantom.record, instead="another folder")

    def left() -> list[Path]:
        """Return members of an earlier phantom of this name that this one has not."""
        return [path for path in set_members(files[1], "phantom") if path not in files]

    # a phantom that is there already stays whole until the new one is; the file that lists the set is its last
    with replacing_set(sorted(files, key=lambda path: path == files[1]), left=left) as draft:
        _write_members(phantom, draft, record, Watch(progress, cancelled))
    return files


def phantom_files(phantom: Phantom, folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files that `write_phantom` writes: images, each followed by what describes it."""
    described = {"T1map": ".json", "T2map": ".json", "PDmap": ".json", "TB1map": ".json", "dseg": ".tsv"}
    start = Path(folder) / _prefix(phantom)
    return [
        start.with_name(f"{start.name}_{ending}{suffix}")
        for ending in _endings(phantom)
        for suffix in (".nii.gz", *([described[ending]] if ending in described else []))
    ]


def _endings(phantom: Phantom) -> list[str]:
    more = {"TB1map": phantom.b1, "dseg": phantom.labels}
    known = [ending for ending, values in more.items() if values is not None]
    return ["T1map", "T2map", "PDmap", *known, *(_probseg(tissue) for tissue in phantom.fractions or {})]


def _write_members(phantom: Phantom, folder: Path, record: dict[str, Any] | None, watch: Watch) -> None:
    endings, prefix = _endings(phantom), _prefix(phantom)

    def write(ending: str, values: np.ndarray, sidecar: dict[str, Any] | None = None) -> None:
        path = folder / f"{prefix}_{ending}.nii.gz"
        watch.check("writing the phantom")
        watch.report(endings.index(ending), len(endings), f"writing {path.name}")
        write_nifti(values, phantom.geometry, path, double=True)
        if sidecar is not None:
            write_json(sidecar, folder / f"{prefix}_{ending}.json")

    write("T1map", phantom.t1.astype(np.float64) / 1000)
    write("T2map", phantom.t2.astype(np.float64) / 1000, {"Units": "s"})
    write("PDmap", phantom.pd, {"Units": "arbitrary"})
    if phantom.b1 is not None:
        write("TB1map", phantom.b1, {"Units": "arbitrary", "Description": "relative transmit field, 1 = nominal"})
    if phantom.labels is not None:
        write("dseg", phantom.labels)
        rows = [
            f"{number}\t{cell_text(' '.join(name.split()))}" for number, name in enumerate(phantom.tissues, start=1)
        ]
        table = "\n".join(["index\tname", *rows]) + "\n"
        (folder / f"{prefix}_dseg.tsv").write_text(table, encoding="utf-8")
    for tissue, share in (phantom.fractions or {}).items():
        write(_probseg(tissue), np.asarray(share, dtype=np.float32))
    about = {"Units": "s", "Name": phantom.name, "Notes": list(phantom.notes), "Record": record or phantom.record}
    write_json({**about, **listing(sorted(folder.iterdir()))}, folder / f"{prefix}_T1map.json")
    watch.report(len(endings), len(endings), "written")


def _prefix(phantom: Phantom) -> str:
    return f"sub-{_alphanumeric(phantom.name) or 'phantom'}"


def _probseg(tissue: str) -> str:
    return f"label-{_alphanumeric(tissue)}_probseg"


def _alphanumeric(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", name)
