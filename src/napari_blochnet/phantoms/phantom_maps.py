"""Phantoms out of T1, T2, PD and B1 maps that exist already, whatever file they lie in.

Measured maps have voxels without a fit: NaN, infinite, negative, 0, T2 above T1. These leave the mask, and are counted.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, IntArray
from napari_blochnet.common.errors import DataWarning, FileError, InputError, in_file
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.nifti import is_nifti, nifti_sidecar
from napari_blochnet.io.origin import about_changes
from napari_blochnet.phantoms.map_files import MAP_KEYS, NO_HINTS, MapArray, MapHints, plain_stem, read_maps_of
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.quantities import in_ms, nominal_b1, stated_unit, time_units
from napari_blochnet.phantoms.segmentations import labels_beside

__all__ = ["phantom_from_maps", "read_map_files", "usable_times"]

# Of voxels with T1 and T2, the share with T2 > T1 from which on the two are no maps of T1 and T2.
_MOST_REVERSED = 0.5
# A proton density goes up to about 1; beyond this it has another scale, which is said.
_PLAIN_PD = 1.5


def read_map_files(
    files: Mapping[str, Path],
    labels: Path | None,
    *,
    hints: MapHints = NO_HINTS,
    voxel_size: tuple[float, float, float] | None = None,
    watch: Watch = UNWATCHED,
) -> Phantom:
    """Read maps into a phantom.

    Parameters
    ----------
    files : mapping of str to Path
        By `MAP_KEYS`; T1 and T2 at least.
    labels : Path, optional
        BIDS discrete segmentation; names of its labels from the ``.tsv`` beside it.
    hints : MapHints
    voxel_size : tuple of float, optional
        (z, y, x), mm, where the files do not say.
    watch : Watch
        Counts megabytes of each file.

    Returns
    -------
    Phantom

    Raises
    ------
    InputError
        T1 or T2 missing; files of different shape; a unit that cannot be told; no voxel with values of tissue.
    """
    notes: list[str] = []
    first = next(iter(files.values()))
    maps, geometry = read_maps_of(files, hints, notes, watch)
    if geometry is None:
        geometry = Geometry(voxel_size or (1.0, 1.0, 1.0))
        if voxel_size is None:
            notes.append("The file states no voxel size; it is taken as 1 mm.")
    shape = next(iter(maps.values())).values.shape
    found = None if labels is None else labels_beside(labels, shape, geometry, first.name, notes, watch)
    about = nifti_sidecar(first) if is_nifti(first) else {}
    notes += about_changes(about, [*files.values(), *([] if labels is None else [labels])])
    name = about.get("Name")
    if not isinstance(name, str) or not name:
        name = re.sub(r"_[A-Za-z0-9]+map$", "", plain_stem(first))
    phantom = phantom_from_maps(
        maps, geometry, source=first.name, name=name, hints=hints, notes=notes,
        labels=None if found is None else found[0], tissues=() if found is None else found[1],
    )  # fmt: skip
    record = about.get("Record")
    return replace(phantom, record=record) if isinstance(record, dict) else phantom


def phantom_from_maps(
    maps: Mapping[str, MapArray],
    geometry: Geometry,
    *,
    source: str,
    name: str,
    hints: MapHints = NO_HINTS,
    notes: list[str] | None = None,
    labels: IntArray | None = None,
    tissues: tuple[str, ...] = (),
) -> Phantom:
    """Make a phantom of maps, leaving out voxels that lack a value of tissue in one of them.

    Parameters
    ----------
    maps : mapping of str to MapArray
        By `MAP_KEYS`; T1 and T2 at least. 0 and NaN in both are background.
    geometry : Geometry
    source : str
        The file, as a sentence names it.
    name : str
    hints : MapHints
    notes : list of str, optional
        What was noticed before.
    labels, tissues : optional
        As in `Phantom`.

    Warns
    -----
    DataWarning
        Voxels left out; a B1 map that was scaled.
    """
    said = list(notes or [])
    values = usable_times(maps, source, hints, said)
    background = np.logical_and.reduce([(values[key] == 0) | np.isnan(values[key]) for key in ("t1", "t2")])
    with np.errstate(invalid="ignore"):
        inside = (values["t1"] > 0) & (values["t2"] > 0) & (values["t1"] < np.inf) & (values["t2"] < np.inf)
        reversed_ = inside & (values["t2"] > values["t1"])
    _check_order(source, reversed_, inside, values, hints)
    for key in ("pd", "b1"):
        if key in maps:
            values[key] = _numbers(f"{maps[key].source}: the {key.upper()} map", maps[key].values).astype(np.float32)
    if "pd" not in values:
        values["pd"] = np.where(background, np.float32(0), np.float32(1))
        said.append("There is no PD map; PD is 1 in every voxel.")
    if "b1" in values:
        nominal, note = nominal_b1(maps["b1"].source, values["b1"], inside, stated=maps["b1"].unit,
                                   nominal=hints.b1_nominal, field="b1_nominal",
                                   flip_angle=maps["b1"].flip_angle)  # fmt: skip
        if note:
            values["b1"] = values["b1"] / np.float32(nominal)
            said.append(note)
            warnings.warn(note, DataWarning, stacklevel=3)
    mask, left_out = _usable(values, background)
    if (reversed_ & mask).any():
        left_out.append(f"{int((reversed_ & mask).sum()):,} with T2 > T1")
        mask &= ~reversed_
    if not mask.any():
        raise FileError(source, f"no voxel is left that could be tissue: {', '.join(left_out) or 'all are 0 or NaN'}",
                        "T1, T2 and PD above 0, and T2 ≤ T1", field="t1")  # fmt: skip
    if left_out:
        total = int((~mask & ~background).sum())
        sentence = (
            f"{source}: {total:,} voxel{'s were' if total > 1 else ' was'} left out of the mask: {', '.join(left_out)}."
        )
        said.append(sentence)
        warnings.warn(sentence, DataWarning, stacklevel=3)
    largest = float(values["pd"].max(where=mask, initial=0))
    if largest > _PLAIN_PD:
        said.append(f"PD goes up to {largest:.3g}; it is relative, and taken as it is.")
    said.append(f"The file holds maps of {', '.join(key.upper() for key in maps)}.")
    with in_file(source):
        return Phantom(
            **{key: values.get(key) for key in MAP_KEYS},  # type: ignore[arg-type]
            mask=mask,
            labels=labels,
            tissues=tissues,
            voxel_size=geometry.voxel_size,
            affine=geometry.affine,
            name=name,
            notes=tuple(said),
        )


def usable_times(maps: Mapping[str, MapArray], source: str, hints: MapHints, notes: list[str]) -> dict[str, FloatArray]:
    """Return T1 and T2 in ms, float32, by "t1" and "t2"; what is no time (NaN, infinite, negative) as it is.

    Parameters are those of `phantom_from_maps`; ``notes`` takes which unit was understood.
    """
    for key in ("t1", "t2"):
        if key not in maps:
            raise FileError(
                source,
                f"there is no {key.upper()} map; found {', '.join(maps) or 'none'}, expected T1 and T2 at least.",
            )
    raw = {key: _numbers(f"{maps[key].source}: the {key.upper()} map", maps[key].values) for key in ("t1", "t2")}
    with np.errstate(invalid="ignore"):
        inside = np.logical_and.reduce([(array > 0) & (array < np.inf) for array in raw.values()])
        medians = {}
        for key, array in raw.items():
            used = array[inside] if inside.any() else array[(array > 0) & (array < np.inf)]
            if not used.size:
                expected = f"{key.upper()} values"
                raise FileError(source, f"the {key.upper()} map holds no value above 0", expected, field=key)
            medians[key] = float(np.median(used))
    stated = {key: stated_unit(maps[key].unit) for key in raw}
    rates = tuple(key for key in raw if maps[key].is_rate)
    sources = {key: maps[key].source for key in raw}
    units = time_units(sources, medians, stated, hints.units, rates, notes, by_file=hints.by_file)
    with np.errstate(over="ignore", invalid="ignore"):
        return {key: in_ms(array, units[key]).astype(np.float32) for key, array in raw.items()}


def _usable(values: Mapping[str, FloatArray], background: BoolArray) -> tuple[BoolArray, list[str]]:
    """Return where all maps hold positive numbers, and how many voxels lack one why."""
    mask = ~background
    left_out = []
    for key in MAP_KEYS:
        array = values.get(key)
        if array is None:
            continue
        with np.errstate(invalid="ignore"):
            reasons = (
                ("NaN", np.isnan(array)),
                ("infinite", np.isinf(array)),
                ("negative", (array < 0) & (array > -np.inf)),
                ("= 0", array == 0),
            )
            mask &= (array > 0) & (array < np.inf)
        for words, bad in reasons:
            count = int((bad & ~background).sum())
            if count:
                left_out.append(f"{count:,} with {key.upper()} {words}")
    return mask, left_out


def _check_order(
    source: str, reversed_: BoolArray, inside: BoolArray, values: Mapping[str, FloatArray], hints: MapHints
) -> None:
    """Refuse what cannot be maps of T1 and T2, for T2 is the larger in most voxels."""
    wrong, count = int(reversed_.sum()), int(inside.sum())
    if hints.t1_unit is not None and hints.t2_unit is not None:
        return
    if wrong > _MOST_REVERSED * count:
        raise FileError(
            source,
            f"T2 is above T1 in {100 * wrong / count:.0f} % of the voxels that have both (weighted images, T1 and T2 "
            "exchanged, or rates R1 and R2?)",
            "maps with T2 ≤ T1; or t1_unit and t2_unit, the unit of each (1/s of rates)",
            field="t2",
        )


def _numbers(what: str, array: AnyArray) -> FloatArray:
    if array.dtype.kind not in "iufb":
        raise InputError(f"{what} holds {array.dtype}", "real numbers", field="path")
    # seconds in double precision are milliseconds to the last bit of single precision
    return np.array(array, dtype=np.float64 if array.dtype == np.float64 else np.float32)
