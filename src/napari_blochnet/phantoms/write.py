"""Writing a phantom as a BIDS-style folder of NIfTI files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.io.atomic import replacing
from napari_blochnet.io.json_files import write_json
from napari_blochnet.io.nifti import write_nifti
from napari_blochnet.phantoms.phantom import Phantom

__all__ = ["write_phantom"]


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
        Made if it is not there. Files in it with the same names are replaced.
    record : dict, optional
        How the phantom was made; its own record if not given.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in files. What was written when it is cancelled stays.

    Returns
    -------
    list of Path
        ``sub-NAME_T1map.nii.gz`` and ``T2map`` (s, as BIDS has them), ``PDmap``, ``TB1map`` where there is a B1 map,
        ``dseg`` (labels, with a ``.tsv`` of their names) and ``label-TISSUE_probseg`` (fractions) where there are
        tissues, each map with a JSON file that states its unit; the first holds the record.

    Notes
    -----
    Times are stored in seconds and double precision, so that T1 and T2 come back in ms to the last bit of their
    float32; the other maps are stored as float32. Outside the mask all maps are 0.
    """
    target = Path(folder)
    prefix = f"sub-{_alphanumeric(phantom.name) or 'phantom'}"
    written: list[Path] = []
    watch = Watch(progress, cancelled)
    volumes = 3 + (phantom.b1 is not None) + (phantom.labels is not None) + len(phantom.fractions or {})

    def write(ending: str, values: np.ndarray, sidecar: dict[str, Any] | None = None) -> None:
        path = target / f"{prefix}_{ending}.nii.gz"
        watch.check("writing the phantom", written)
        watch.report(sum(file.suffix == ".gz" for file in written), volumes, f"writing {path.name}")
        write_nifti(values, phantom.geometry, path, double=True)
        written.append(path)
        if sidecar is not None:
            write_json(sidecar, target / f"{prefix}_{ending}.json")
            written.append(target / f"{prefix}_{ending}.json")

    about: dict[str, Any] = {"Name": phantom.name, "Notes": list(phantom.notes), "Record": record or phantom.record}
    write("T1map", phantom.t1.astype(np.float64) / 1000, {"Units": "s", **about})
    write("T2map", phantom.t2.astype(np.float64) / 1000, {"Units": "s"})
    write("PDmap", phantom.pd, {"Units": "arbitrary"})
    if phantom.b1 is not None:
        write("TB1map", phantom.b1, {"Units": "arbitrary", "Description": "relative transmit field, 1 = nominal"})
    if phantom.labels is not None:
        write("dseg", phantom.labels)
        rows = [f"{number}\t{' '.join(name.split())}" for number, name in enumerate(phantom.tissues, start=1)]
        table = target / f"{prefix}_dseg.tsv"
        with replacing(table) as temporary:
            temporary.write_text("\n".join(["index\tname", *rows]) + "\n", encoding="utf-8")
        written.append(table)
    for tissue, share in (phantom.fractions or {}).items():
        write(f"label-{_alphanumeric(tissue)}_probseg", np.asarray(share, dtype=np.float32))
    watch.report(volumes, volumes, "written")
    return written


def _alphanumeric(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", name)
