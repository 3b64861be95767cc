"""Opening a phantom, whatever it is stored as."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from napari_blochnet.common.arrays import AnyArray, FloatArray, dimensions
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import UNWATCHED, CancelEvent, ProgressCallback, Watch
from napari_blochnet.io.atomic import existing_file
from napari_blochnet.io.nifti import is_nifti, nifti_stem, read_nifti
from napari_blochnet.io.origin import strangers_among
from napari_blochnet.phantoms.brainweb import crisp_classes, is_brainweb_format, read_volume, role_of
from napari_blochnet.phantoms.matlab import read_matlab
from napari_blochnet.phantoms.mixing import label_values, mix
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.phantom_maps import MAP_KEYS, fractions_beside, map_key, phantom_from_maps, read_map_files
from napari_blochnet.phantoms.tissues import Tissue, find_tissue, load_tissues
from napari_blochnet.phantoms.volume import Volume

__all__ = ["read_phantom"]

PathLike: TypeAlias = str | os.PathLike[str]

# Without these three a head has no brain; which of them is missing is said.
_BRAIN = ("CSF", "grey matter", "white matter")
_BRAIN_FILES = {"CSF": "csf", "grey matter": "gm", "white matter": "wm"}


def read_phantom(
    path: PathLike | Sequence[PathLike],
    tissues: PathLike = "paper",
    shape: tuple[int, int, int] | None = None,
    voxel_size: tuple[float, float, float] | None = None,
    variable: str | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> Phantom:
    """Open a phantom: tissue memberships, tissue labels, or maps of T1, T2, PD (and B1) as they are.

    Parameters
    ----------
    path : path, or sequence of paths
        A folder, a file, or several files of one phantom:

        - fuzzy memberships, one volume a tissue, named as BrainWeb names them (``subject04_gm_v.mnc.gz``,
          ``phantom_1.0mm_normal_gry.rawb``, ``gm.rawb.gz``) or as BIDS does (``…_label-GM_probseg.nii.gz``);
        - BrainWeb's crisp labels (``subject04_crisp_v.mnc.gz``; MATLAB arrays of labels);
        - maps as NIfTI with BIDS names (``sub-x_T1map.nii.gz``, T2map, PDmap, TB1map, dseg), or as a MATLAB file.
    tissues : {"paper", "brainweb-1.5T"} or path
        The tissue table for memberships and labels: by name, or a CSV file ``tissue,t1_ms,t2_ms,pd``.
    shape : tuple of int, optional
        (z, y, x) of raw files on a grid that is not BrainWeb's.
    voxel_size : tuple of float, optional
        (z, y, x), mm, where the files do not say.
    variable : str, optional
        Which array of a MATLAB file of labels, where it holds several; otherwise the first.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.

    Returns
    -------
    Phantom
        `Phantom.notes` says what was understood and what is missing.

    Raises
    ------
    InputError
        Nothing that is understood; a file that is malformed or incomplete; volumes on different grids; values that no
        phantom may hold (T2 > T1).
    Cancelled
        Nothing is kept.

    Warns
    -----
    DataWarning
        Once for each damaged file that could be used, naming it; and for voxels that had to be left out.

    Notes
    -----
    Memory at its peak is about 22 bytes a voxel and 3 more for each tissue above 16 million voxels, 5 below.
    """
    watch = Watch(progress, cancelled)
    files = [existing_file(part) for part in ([path] if isinstance(path, (str, os.PathLike)) else path)]
    if not files:
        raise InputError("path holds no file", "a folder, a file, or several", field="path")
    folder = files[0] if len(files) == 1 and files[0].is_dir() else None
    if folder is not None:
        files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    name = folder.name if folder is not None else nifti_stem(files[0]).split(".")[0]
    table = load_tissues(tissues)
    where = folder.name if folder is not None else files[0].name
    strangers = [] if folder is None else strangers_among(files)
    files = [file for file in files if file not in strangers]
    maps = {key: file for file in files if is_nifti(file) and (key := map_key(nifti_stem(file)))}
    if maps:
        phantom = _from_maps(files, maps, where, watch)
        left = f"Not of the set of maps in {where}, and left alone: {', '.join(file.name for file in strangers)}."
        return replace(phantom, notes=(*phantom.notes, left)) if strangers else phantom
    matlab = [file for file in files if file.suffix.lower() == ".mat"]
    volumes = [file for file in files if is_nifti(file) or is_brainweb_format(file)]
    if matlab and not volumes:
        return _from_matlab(matlab, where, table, voxel_size, variable, watch)
    memberships, crisp, notes = _sort(volumes, table)
    read_as = {"shape": shape, "voxel_size": voxel_size, "watch": watch.quiet}
    if memberships:
        return _from_memberships(memberships, crisp, notes, table, read_as, name, folder, watch)
    if len(crisp) == 1:
        watch.check("reading labels")
        watch.report(0, 1, f"reading {crisp[0].name}")
        return _from_labels(crisp[0], table, read_as, notes)
    if len(crisp) > 1:
        raise FileError(where, f"holds {len(crisp)} label volumes, {', '.join(file.name for file in crisp)}; name one.")
    if volumes:
        raise _no_signal(volumes, where, table, read_as)
    raise FileError(
        where,
        f"holds nothing that is understood as a phantom{_found(files)}",
        "tissue memberships or labels (.mnc, .rawb, .raws, .nii), T1 and T2 maps (sub-…_T1map.nii.gz), "
        "or a MATLAB file of either",
    )


def _sort(files: list[Path], table: Mapping[str, Tissue]) -> tuple[dict[str, list[Path]], list[Path], list[str]]:
    """Return memberships by tissue with signal, label volumes, and what is to be said about the others."""
    memberships: dict[str, list[Path]] = {}
    crisp, notes, silent, unknown = [], [], [], []
    for file in files:
        role = role_of(file)
        tissue = find_tissue(role, table)
        if role.lower() in ("crisp", "crisp_v", "dseg", "discrete") or role.lower().endswith(("_crisp", "_dseg")):
            crisp.append(file)
        elif role.lower() == "mask":
            notes.append(_about_mask(file))
        elif tissue is None:
            unknown.append(file.name)
        elif tissue.has_signal:
            memberships.setdefault(tissue.name, []).append(file)
        else:
            silent.append(tissue.name)
    if silent:
        notes.append(f"Of {_and(sorted(set(silent)))} there are volumes, but no signal comes from there.")
    if unknown:
        notes.append(f"Not understood as a tissue, and left alone: {', '.join(unknown)}.")
    return memberships, crisp, notes


def _no_signal(volumes: list[Path], where: str, table: Mapping[str, Tissue], read_as: dict[str, Any]) -> InputError:
    """Return why volumes make no phantom; a damaged one says so itself."""
    for file in volumes:
        if find_tissue(role_of(file), table) is None:
            _volume(file, **read_as)
            return FileError(
                where,
                f"the name {file.name} says no tissue",
                f"names such as gm.rawb, subject04_wm_v{file.suffix} or subject04_crisp_v{file.suffix}",
            )
    names = _and([file.name for file in volumes])
    return FileError(
        where,
        f"{names} {'holds' if len(volumes) == 1 else 'hold'} tissue without signal",
        "at least one tissue with signal, such as gm or wm",
    )


def _about_mask(file: Path) -> str:
    volume = _volume(file, labels=is_brainweb_format(file))
    voxels = sum(int((volume.slab(z, z + 1) > 0).sum()) for z in range(volume.shape[0]))
    why = "for a phantom's mask is where the memberships of tissues with signal sum to at least 0.5"
    return f"{file.name} covers {voxels:,} voxels; it is not used, {why}."


def _from_memberships(
    memberships: dict[str, list[Path]],
    crisp: list[Path],
    notes: list[str],
    table: Mapping[str, Tissue],
    read_as: dict[str, Any],
    name: str,
    folder: Path | None,
    watch: Watch,
) -> Phantom:
    volumes: dict[str, Volume] = {}
    for number, (tissue, files) in enumerate(memberships.items()):
        watch.check("reading memberships")
        watch.report(number, len(memberships), f"reading {files[0].name}")
        if len(files) > 1:
            raise InputError(
                f"{', '.join(file.name for file in files)} all hold the membership of {tissue}",
                "one volume for each tissue",
                field="path",
            )
        volume = _volume(files[0], **read_as)
        first = next(iter(volumes.values()), volume)
        if volume.shape != first.shape:
            raise InputError(
                f"{volume.source}: has {dimensions(volume.shape)} voxels (z, y, x)",
                f"{dimensions(first.shape)}, as in {first.source}",
                field="path",
            )
        volumes[tissue] = volume
    order = {tissue: rank for rank, tissue in enumerate(table)}
    volumes = dict(sorted(volumes.items(), key=lambda item: order[item[0]]))
    missing = [_BRAIN_FILES[tissue] for tissue in _BRAIN if tissue in table and tissue not in volumes]
    place = "in this folder" if folder is not None else "among these files"
    said = [f"Memberships of {_and(list(volumes))} were mixed."]
    if missing:
        said.append(f"There is no {_and(missing, 'or')} volume {place}.")
        if crisp:
            said.append(f"{crisp[0].name} holds labels of all tissues; open that file for a phantom with them.")
    elif crisp:
        said.append(f"{crisp[0].name} holds labels and was left alone.")
    mixed = mix(volumes, table, watch=watch)
    geometry = next(iter(volumes.values())).geometry
    del volumes
    if not mixed["mask"].any():
        raise InputError(f"{name}: in no voxel do the memberships sum to 0.5", "memberships from 0 to 1", field="path")
    return Phantom(
        **mixed, voxel_size=geometry.voxel_size, affine=geometry.affine, name=name, notes=tuple(said + notes)
    )


def _from_labels(file: Path, table: Mapping[str, Tissue], read_as: dict[str, Any], notes: list[str]) -> Phantom:
    volume = _volume(file, labels=True, **read_as)
    labels = volume.labels()
    return _labelled(labels, crisp_classes(file.name, labels), table, volume.geometry, file, notes)


def _labelled(
    labels: AnyArray,
    classes: tuple[str, ...],
    table: Mapping[str, Tissue],
    geometry: Geometry,
    file: Path,
    notes: list[str],
) -> Phantom:
    present = set(np.unique(labels).tolist())
    known = {number: tissue for number, name in enumerate(classes) if (tissue := find_tissue(name, table))}
    lost = [classes[number] for number in sorted(present - set(known)) if number > 0]
    values = label_values(labels, known)
    said = [f"Labels of {_and(list(values['tissues']))}; every voxel has the values of its tissue."]
    if lost:
        said.append(f"The tissue table has no row for {_and(lost)}; these voxels are background.")
    if not values["tissues"]:
        raise FileError(
            file,
            "none of its labels is a tissue with signal in the table; found "
            f"{', '.join(classes[number] for number in sorted(present))}.",
            field="tissues",
        )
    return Phantom(
        **values,
        voxel_size=geometry.voxel_size,
        affine=geometry.affine,
        name=nifti_stem(file).split(".")[0],
        notes=tuple(said + notes),
    )


def _from_maps(files: list[Path], maps: dict[str, Path], where: str, watch: Watch) -> Phantom:
    counts = [map_key(nifti_stem(file)) for file in files if is_nifti(file)]
    twice = next((key for key in maps if counts.count(key) > 1), None)
    if twice is not None:
        same = [file.name for file in files if is_nifti(file) and map_key(nifti_stem(file)) == twice]
        raise FileError(where, f"{' and '.join(same)} are all {twice.upper()} maps; name the files of one phantom.")
    labels = next((file for file in files if is_nifti(file) and nifti_stem(file).lower().endswith("dseg")), None)
    phantom = read_map_files({key: maps[key] for key in MAP_KEYS if key in maps}, labels, watch=watch)
    segments = [file for file in files if is_nifti(file) and nifti_stem(file).lower().endswith("probseg")]
    fractions = fractions_beside(segments, phantom.tissues, phantom.shape)
    return phantom if fractions is None else replace(phantom, fractions=fractions)


def _from_matlab(
    files: list[Path],
    where: str,
    table: Mapping[str, Tissue],
    voxel_size: tuple[float, float, float] | None,
    variable: str | None,
    watch: Watch,
) -> Phantom:
    if len(files) > 1:
        raise FileError(where, f"holds {len(files)} MATLAB files, {', '.join(file.name for file in files)}; name one.")
    content = read_matlab(files[0], variable, watch=watch)
    size = voxel_size or content.voxel_size
    notes = list(content.notes)
    if size is None:
        size = (1.0, 1.0, 1.0)
        notes.append("The file states no voxel size; it is taken as 1 mm.")
    if content.maps:
        return phantom_from_maps(content.maps, Geometry(size), source=files[0].name, name=files[0].stem, notes=notes)
    classes = content.classes or crisp_classes(files[0].name, content.labels)
    return _labelled(content.labels, classes, table, Geometry(size), files[0], notes)


def _volume(
    file: Path,
    *,
    labels: bool = False,
    shape: tuple[int, int, int] | None = None,
    voxel_size: tuple[float, float, float] | None = None,
    watch: Watch = UNWATCHED,
) -> Volume:
    """Return a volume of labels or of one tissue's membership; ``shape`` and ``voxel_size`` are of raw files."""
    if is_brainweb_format(file):
        return read_volume(file, labels=labels, shape=shape, voxel_size=voxel_size, watch=watch)
    values, geometry = read_nifti(file, watch=watch)
    if values.ndim != 3:
        raise FileError(file, "has four axes", "a volume of one tissue")
    if values.dtype.kind not in "iufb":
        raise FileError(file, f"holds {values.dtype}", "real numbers")
    largest = float(values.max())
    if not (np.isfinite(largest) and float(values.min()) >= 0):
        raise FileError(file, "holds negative or infinite values", "memberships from 0 to 1, or 0 to 255")
    slope = 1.0
    if not labels and largest > 1.001:
        if (values.dtype.kind == "f" and largest <= 255 and not (values == np.rint(values)).all()) or largest > 255:
            raise FileError(
                file, f"holds values up to {largest:g}", "memberships from 0 to 1, or whole numbers from 0 to 255"
            )
        slope = 1 / 255
    stored: FloatArray = np.asarray(values, dtype=np.float32)
    return Volume(stored, slope, 0.0, geometry, file.name)


def _found(files: list[Path]) -> str:
    if not files:
        return " (it holds no file)"
    names = ", ".join(file.name for file in files[:4])
    return f" (found {names}{' and others' if len(files) > 4 else ''})"


def _and(names: list[str], word: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
