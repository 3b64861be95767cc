"""Opening a phantom, whatever it is stored as."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import FileError, InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.io.atomic import existing_file
from napari_blochnet.io.nifti import is_nifti, nifti_stem
from napari_blochnet.io.origin import strangers_among
from napari_blochnet.io.sets.reading_whole import reads_whole
from napari_blochnet.phantoms.formats.brainweb import crisp_classes, is_brainweb_format, role_of
from napari_blochnet.phantoms.formats.numpy_arrays import is_numpy
from napari_blochnet.phantoms.formats.segmenters import about_segmentation, label_table, tissues_of_sets
from napari_blochnet.phantoms.formats.volume import Volume, warn_of_damage
from napari_blochnet.phantoms.map_files import MAP_KEYS, MapHints, choose_maps, map_key, plain_stem
from napari_blochnet.phantoms.matlab import map_arrays, read_labels
from napari_blochnet.phantoms.memberships import (
    ReadAs,
    lay_beside,
    memberships_in_one,
    read_tissue_volume,
    tissues_named,
)
from napari_blochnet.phantoms.mixing import label_values, mix
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.phantom_maps import phantom_from_maps, read_map_files
from napari_blochnet.phantoms.quantities import TimeUnit, is_weighted
from napari_blochnet.phantoms.segmentations import fractions_beside, labels_beside
from napari_blochnet.phantoms.tissues import BACKGROUND, Tissue, find_tissue, load_tissues

__all__ = ["read_phantom"]

PathLike: TypeAlias = str | os.PathLike[str]

# Without these three a head has no brain; which of them is missing is said.
_BRAIN = ("CSF", "grey matter", "white matter")
_BRAIN_FILES = {"CSF": "csf", "grey matter": "gm", "white matter": "wm"}


@reads_whole
def read_phantom(
    path: PathLike | Sequence[PathLike],
    tissues: PathLike = "paper",
    shape: tuple[int, int, int] | None = None,
    voxel_size: tuple[float, float, float] | None = None,
    variable: str | None = None,
    tissue_order: str | None = None,
    t1_unit: TimeUnit | None = None,
    t2_unit: TimeUnit | None = None,
    b1_nominal: float | None = None,
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
          ``phantom_1.0mm_normal_gry.rawb``, ``gm.rawb.gz``) or as BIDS does (``…_label-GM_probseg.nii.gz``), FSL FAST
          (``…_pve_0`` to ``2``) or SPM (``c1…`` to ``c3…``), or all along the fourth axis of one
          file (``…_probseg.nii.gz`` with ``LabelMap``, or see ``tissue_order``);
        - BrainWeb's crisp labels (``subject04_crisp_v.mnc.gz``; MATLAB and NumPy arrays of labels), and label
          images with a BIDS table of names (``…_dseg.nii.gz``, ``…_seg.nii.gz`` beside ``.tsv``);
        - maps by their names (``sub-x_T1map.nii.gz``, T2map, PDmap, TB1map, dseg; ``T1.npy``; rates as ``R1map``
          or ``…_R1``), or in MATLAB files (5 and 7.3) or ``.npz``, one or one for each map. Voxels without values of
          tissue in all of them leave the mask.

        Volumes may be MINC 1 or 2, NIfTI, NumPy, and BrainWeb's raw bytes and shorts.
    tissues : {"paper", "brainweb-1.5T"} or path
        The tissue table for memberships and labels: by name, or a CSV file ``tissue,t1_ms,t2_ms,pd``.
    shape : tuple of int, optional
        (z, y, x) of raw files on a grid that is not BrainWeb's.
    voxel_size : tuple of float, optional
        (z, y, x), mm, where the files do not say.
    variable : str, optional
        Which array of a MATLAB or NumPy file of labels, where it holds several; otherwise the first.
    tissue_order : str, optional
        Tissues along the fourth axis of memberships in one file, such as "csf, gm, wm"; "-" for what is left alone.
    t1_unit, t2_unit : {"ms", "s", "us", "1/ms", "1/s"}, optional
        Of the maps; 1/s of rates R1 and R2. By default as the files state, or as values tell.
    b1_nominal : float, optional
        What a B1 map holds where the field is nominal: 100 of per cent, the prescribed flip angle of degrees. By
        default 1, or 100 where its median is from 95 to 105.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.

    Returns
    -------
    Phantom
        `Phantom.notes` says what was understood and what is missing.

    Raises
    ------
    InputError
        Nothing that is understood; a file that is malformed or incomplete; volumes on different grids; a unit that
        cannot be told; weighted images by the name of maps; no voxel with values of tissue.
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
    hints = MapHints(t1_unit, t2_unit, b1_nominal)
    how = ReadAs(shape, voxel_size, tissue_order, watch.quiet)
    about: list[str] = []
    told = tissues_of_sets(files, about)
    others = [file for file in files if file not in told]
    # the image that was segmented is often beside its tissues, and is no map
    segmented = bool(told) and not {"t1", "t2"} <= {map_key(plain_stem(file)) for file in others}
    maps = {} if segmented else choose_maps(others, where)
    if maps:
        phantom = _from_maps(files, maps, hints, voxel_size, watch)
        left = f"Not of the set of maps in {where}, and left alone: {', '.join(file.name for file in strangers)}."
        return replace(phantom, notes=(*phantom.notes, left)) if strangers else phantom
    volumes = [file for file in files if is_nifti(file) or is_brainweb_format(file) or file.suffix.lower() == ".npy"]
    arrays = [file for file in files if file.suffix.lower() in (".mat", ".npz")]
    if arrays and not any(is_nifti(file) or is_brainweb_format(file) for file in volumes):
        return _from_arrays(arrays, where, table, how, hints, variable, watch)
    memberships, crisp, notes, unknown = _sort(volumes, table, told)
    notes = about + notes
    if len(volumes) == 1 and not crisp and (tissue_order is not None or not memberships):
        together = memberships_in_one(volumes[0], table, how, notes)
        if together is not None:
            return _mixed(together, notes, table, name, watch)
    if memberships:
        return _from_memberships(memberships, crisp, notes, table, how, name, folder, watch)
    # an array says no more of itself than its name; alone it may be labels
    crisp = crisp or [file for file in unknown if is_numpy(file) and len(volumes) == 1]
    if len(crisp) == 1:
        watch.check("reading labels")
        watch.report(0, 1, f"reading {crisp[0].name}")
        return _from_labels(crisp[0], table, how, notes)
    if len(crisp) > 1:
        raise FileError(where, f"holds {len(crisp)} label volumes, {', '.join(file.name for file in crisp)}; name one.")
    unclear = about_segmentation(unknown)
    if unclear:
        raise FileError(where, *unclear)
    weighted = [file.name for file in files if is_weighted(file.name.split(".")[0])]
    if weighted:
        raise FileError(
            where,
            f"holds weighted images by their names ({', '.join(weighted[:4])}), which are no maps",
            "maps named T1map and T2map, or t1_unit and t2_unit where these are maps",
            field="t1_unit",
        )
    if volumes:
        raise _no_signal(volumes, where, table, how)
    raise FileError(
        where,
        f"holds nothing that is understood as a phantom{_found(files)}",
        "tissue memberships or labels (.mnc, .rawb, .raws, .nii, .npy), T1 and T2 maps (sub-…_T1map.nii.gz), "
        "or a MATLAB or NumPy file of either",
    )


def _sort(
    files: list[Path], table: Mapping[str, Tissue], told: Mapping[Path, str]
) -> tuple[dict[str, list[Path]], list[Path], list[str], list[Path]]:
    """Return memberships by tissue with signal, label volumes, what is to be said about the others, the unknown."""
    memberships: dict[str, list[Path]] = {}
    crisp: list[Path] = []
    unknown: list[Path] = []
    notes, silent = [], []
    for file in files:
        role = told.get(file) or role_of(file)
        tissue = find_tissue(role, table)
        if (
            label_table(file)
            or role.lower() in ("crisp", "crisp_v", "dseg", "discrete")
            or role.lower().endswith(("_crisp", "_dseg"))
        ):
            crisp.append(file)
        elif role.lower() == "mask":
            notes.append(_about_mask(file))
        elif tissue is None:
            unknown.append(file)
        elif tissue.has_signal:
            memberships.setdefault(tissue.name, []).append(file)
        else:
            silent.append(tissue.name)
    if silent:
        notes.append(f"Of {tissues_named(sorted(set(silent)))} there are volumes, but no signal comes from there.")
    if unknown:
        notes.append(f"Not understood as a tissue, and left alone: {', '.join(file.name for file in unknown)}.")
    return memberships, crisp, notes, unknown


def _no_signal(volumes: list[Path], where: str, table: Mapping[str, Tissue], how: ReadAs) -> InputError:
    """Return why volumes make no phantom; a damaged one says so itself."""
    for file in volumes:
        if find_tissue(role_of(file), table) is None:
            read_tissue_volume(file, how)
            return FileError(
                where,
                f"the name {file.name} says no tissue",
                f"names such as gm.rawb, subject04_wm_v{file.suffix} or subject04_crisp_v{file.suffix}",
            )
    names = tissues_named([file.name for file in volumes])
    return FileError(
        where,
        f"{names} {'holds' if len(volumes) == 1 else 'hold'} tissue without signal",
        "at least one tissue with signal, such as gm or wm",
    )


def _about_mask(file: Path) -> str:
    volume = read_tissue_volume(file, ReadAs(), labels=is_brainweb_format(file))
    voxels = sum(int((volume.slab(z, z + 1) > 0).sum()) for z in range(volume.shape[0]))
    why = "for a phantom's mask is where the memberships of tissues with signal sum to at least 0.5"
    return f"{file.name} covers {voxels:,} voxels; it is not used, {why}."


def _from_memberships(
    memberships: dict[str, list[Path]],
    crisp: list[Path],
    notes: list[str],
    table: Mapping[str, Tissue],
    how: ReadAs,
    name: str,
    folder: Path | None,
    watch: Watch,
) -> Phantom:
    volumes: dict[str, Volume] = {}
    damaged: dict[str, str] = {}
    for number, (tissue, files) in enumerate(memberships.items()):
        watch.check("reading memberships")
        watch.report(number, len(memberships), f"reading {files[0].name}")
        if len(files) > 1:
            raise InputError(
                f"{', '.join(file.name for file in files)} all hold the membership of {tissue}",
                "one volume for each tissue",
                field="path",
            )
        volume = read_tissue_volume(files[0], how, quiet=True)
        damaged[volume.source] = volume.damage
        first = next(iter(volumes.values()), volume)
        volumes[tissue] = lay_beside(volume, first, notes)
    warn_of_damage(damaged)
    missing = [_BRAIN_FILES[tissue] for tissue in _BRAIN if tissue in table and tissue not in volumes]
    place = "in this folder" if folder is not None else "among these files"
    said = []
    if missing:
        said.append(f"There is no {tissues_named(missing, 'or')} volume {place}.")
        if crisp:
            said.append(f"{crisp[0].name} holds labels of all tissues; open that file for a phantom with them.")
    elif crisp:
        said.append(f"{crisp[0].name} holds labels and was left alone.")
    # what it is, and what it lacks, before how it was made
    phantom = _mixed(volumes, said[1:] + notes if missing else said + notes, table, name, watch)
    return replace(phantom, notes=(said[0], *phantom.notes)) if missing else phantom


def _mixed(
    volumes: dict[str, Volume], notes: list[str], table: Mapping[str, Tissue], name: str, watch: Watch
) -> Phantom:
    order = {tissue: rank for rank, tissue in enumerate(table)}
    ordered = dict(sorted(volumes.items(), key=lambda item: order[item[0]]))
    geometry = next(iter(volumes.values())).geometry
    volumes.clear()  # they are large, and not needed once they are mixed
    mixed = mix(ordered, table, watch=watch)
    said = f"Memberships of {tissues_named(list(ordered))} were mixed."
    del ordered
    if not mixed["mask"].any():
        raise InputError(f"{name}: in no voxel do the memberships sum to 0.5", "memberships from 0 to 1", field="path")
    return Phantom(**mixed, voxel_size=geometry.voxel_size, affine=geometry.affine, name=name, notes=(said, *notes))


def _from_labels(file: Path, table: Mapping[str, Tissue], how: ReadAs, notes: list[str]) -> Phantom:
    volume = read_tissue_volume(file, how, labels=True)
    table_beside = file.with_name(f"{nifti_stem(file)}.tsv")
    if is_nifti(file) and table_beside.is_file():
        found = labels_beside(file, volume.shape, volume.geometry, file.name, notes, how.watch)
        if found and any(name != f"label {number}" for number, name in enumerate(found[1], 1)):
            return _labelled(found[0], (BACKGROUND, *found[1]), table, volume.geometry, file, notes)
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
    if not values["tissues"]:
        raise FileError(
            file,
            "none of its labels is a tissue with signal in the table; found "
            f"{', '.join(classes[number] for number in sorted(present))}.",
            field="tissues",
        )
    said = [f"Labels of {tissues_named(list(values['tissues']))}; every voxel has the values of its tissue."]
    if lost:
        said.append(f"The tissue table has no row for {tissues_named(lost)}; these voxels are background.")
    return Phantom(
        **values,
        voxel_size=geometry.voxel_size,
        affine=geometry.affine,
        name=nifti_stem(file).split(".")[0],
        notes=tuple(said + notes),
    )


def _from_maps(
    files: list[Path],
    maps: dict[str, Path],
    hints: MapHints,
    voxel_size: tuple[float, float, float] | None,
    watch: Watch,
) -> Phantom:
    labels = next((file for file in files if is_nifti(file) and nifti_stem(file).lower().endswith("dseg")), None)
    chosen = {key: maps[key] for key in MAP_KEYS if key in maps}
    phantom = read_map_files(chosen, labels, hints=hints, voxel_size=voxel_size, watch=watch)
    segments = [file for file in files if is_nifti(file) and nifti_stem(file).lower().endswith("probseg")]
    notes = list(phantom.notes)
    fractions = fractions_beside(segments, phantom.tissues, phantom.shape, phantom.geometry, notes)
    if fractions is None and len(notes) == len(phantom.notes):
        return phantom
    return replace(phantom, fractions=fractions, notes=tuple(notes))


def _from_arrays(
    files: list[Path],
    where: str,
    table: Mapping[str, Tissue],
    how: ReadAs,
    hints: MapHints,
    variable: str | None,
    watch: Watch,
) -> Phantom:
    """Read MATLAB or NumPy files of named arrays: maps, in one file or one in each, or an array of labels."""
    contents = {file: map_arrays(file, watch) for file in files}
    maps = {key: found for named, _ in contents.values() for key, found in named.items()}
    size = how.voxel_size
    unknown_size = "The file states no voxel size; it is taken as 1 mm."
    if {"t1", "t2"} <= set(maps) and variable is None:
        twice = [key for key in maps if sum(key in named for named, _ in contents.values()) > 1]
        if twice:
            names = tissues_named([file.name for file in files if twice[0] in contents[file][0]])
            raise FileError(where, f"{names} all hold {twice[0].upper()} maps", "the files of one phantom")
        notes = [] if size is not None else [unknown_size]
        name = files[0].stem if len(files) == 1 else Path(where).stem
        source = files[0].name if len(files) == 1 else where
        geometry = Geometry(size or (1.0, 1.0, 1.0))
        ordered = {key: maps[key] for key in MAP_KEYS if key in maps}
        return phantom_from_maps(ordered, geometry, source=source, name=name, hints=hints, notes=notes)
    if len(files) > 1:
        kind = "MATLAB" if all(file.suffix.lower() == ".mat" for file in files) else "MATLAB and NumPy"
        raise FileError(where, f"holds {len(files)} {kind} files, {', '.join(file.name for file in files)}; name one.")
    content = read_labels(files[0], contents[files[0]][1], variable)
    notes = list(content.notes)
    size = size or content.voxel_size
    notes += [] if size is not None else [unknown_size]
    classes = content.classes or crisp_classes(files[0].name, content.labels)
    return _labelled(content.labels, classes, table, Geometry(size or (1.0, 1.0, 1.0)), files[0], notes)


def _found(files: list[Path]) -> str:
    if not files:
        return " (it holds no file)"
    names = ", ".join(file.name for file in files[:4])
    return f" (found {names}{' and others' if len(files) > 4 else ''})"
