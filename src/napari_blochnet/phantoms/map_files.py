"""Files of maps: which are maps of what by their names, and how one is read and laid beside the others."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_blochnet.common.arrays import AnyArray, dimensions
from napari_blochnet.common.errors import DataWarning, FileError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.grids import lay_on_grid, says_nothing, turned_onto, without_axes_of_one
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.nifti import is_nifti, nifti_sidecar, read_nifti
from napari_blochnet.phantoms.formats.brainweb import is_brainweb_format, read_volume, role_of
from napari_blochnet.phantoms.formats.numpy_arrays import numpy_arrays
from napari_blochnet.phantoms.formats.segmenters import is_part_by_spm, is_segmentation
from napari_blochnet.phantoms.quantities import TimeUnit, is_weighted, refuse_weighted, stated_unit
from napari_blochnet.phantoms.tissues import TISSUE_TABLES, find_tissue

__all__ = [
    "MAP_KEYS",
    "NO_HINTS",
    "MapArray",
    "MapHints",
    "choose_maps",
    "is_rate",
    "map_key",
    "plain_stem",
    "read_map",
    "read_maps_of",
]

#: The fields of a phantom that a map can fill.
MAP_KEYS = ("t1", "t2", "pd", "b1")

_NAME = re.compile(r"(?:map)?[tq]?(t1|t2|pd|b1|r1|r2)(?:map)?")
# T2 of any tissue is well below T1; of two runs or readers called R1 and R2, the values are much the same.
_LEAST_RATIO = 1.3


@dataclass(frozen=True)
class MapHints:
    """What a person says of maps.

    Parameters
    ----------
    t1_unit, t2_unit : {"ms", "s", "us", "1/ms", "1/s"}, optional
    b1_nominal : float, optional
        What the B1 map holds where the field is nominal.
    by_file : bool
        Whether a person can say more only in a JSON file beside a map, which sentences then ask for.
    """

    t1_unit: TimeUnit | None = None
    t2_unit: TimeUnit | None = None
    b1_nominal: float | None = None
    by_file: bool = False

    @property
    def units(self) -> dict[str, str | None]:
        """By "t1" and "t2"."""
        return {"t1": self.t1_unit, "t2": self.t2_unit}


@dataclass(frozen=True, eq=False)
class MapArray:
    """A map as its file holds it.

    Parameters
    ----------
    values : array of shape (Z, Y, X)
    source : str
        The file, as a sentence names it.
    geometry : Geometry, optional
        Where the file knows it.
    unit : str, optional
        As it states it.
    is_rate : bool
        Whether it is called R1 or R2.
    flip_angle : float, optional
        Degrees; what the JSON file beside it states as prescribed.
    """

    values: AnyArray
    source: str
    geometry: Geometry | None = None
    unit: str | None = None
    is_rate: bool = False
    flip_angle: float | None = None


NO_HINTS = MapHints()


def map_key(name: str, *, by_ending: bool = False) -> str | None:
    """Return which field a file or variable name means: ``t1``, ``t2``, ``pd``, ``b1``; or None.

    BIDS suffixes (``T1map``, ``TB1map``, ``R1map``) and plain names (``T1``, ``qT1``, ``t2_ms``, ``T1_128``, ``PD``)
    are understood. ``by_ending``: ``sub01_MPM_R1`` as well, which may as well be a first run; see `choose_maps`.
    """
    found = _meant(name) or (_rate_by_ending(name) if by_ending else None)
    return None if found is None else found.replace("r", "t")


def is_rate(name: str, *, by_ending: bool = False) -> bool:
    """Return whether a name means R1 or R2, of which `map_key` says t1 and t2."""
    return (_meant(name) or (_rate_by_ending(name) if by_ending else None) or "").startswith("r")


def _rate_by_ending(name: str) -> str | None:
    """Return r1 or r2 where a name ends so and means nothing else."""
    found = re.fullmatch(r".*[^a-z0-9](r[12])", name.lower())
    return found[1] if found and _meant(name) is None else None


def _meant(name: str) -> str | None:
    words = re.split(r"[^a-z0-9]+", name.lower())
    for place, word in reversed(list(enumerate(words))):
        found = _NAME.fullmatch(word)
        # a bare R1 may well be the first run or reader: it takes a word more, or no other word
        if found and (found[0] not in ("r1", "r2") or words[place + 1 :] == ["map"] or len(words) == 1):
            return found[1]
        if word in ("m0", "m0map"):
            return "pd"
    return None


def choose_maps(files: Sequence[Path], where: str) -> dict[str, Path]:
    """Return which of several files are the maps of a phantom, by `MAP_KEYS`; none where they are something else.

    NIfTI is believed its name. MINC and ``.npy`` are maps where T1 and T2 are both among them. Of several for one
    field, a map counts more than a weighted image, a time than a rate, and a plain one than one with BIDS' ``desc-``.
    Names that end in R1 and R2 (hMRI) are believed where no other is that of a map of T1 or T2, or of a tissue.

    Raises
    ------
    InputError
        Two maps of one field.
    """
    named = [file for file in files if map_key(plain_stem(file)) and not is_segmentation(plain_stem(file))]
    if "t2" not in {map_key(plain_stem(file)) for file in named}:
        named = [file for file in named if not is_part_by_spm(plain_stem(file))]
    candidates = [file for file in named if is_nifti(file)]
    if not {"t1", "t2"} & {map_key(plain_stem(file)) for file in named}:
        candidates += _rates_by_ending(files)
    if not candidates:
        candidates = [file for file in named if _is_array(file) and not is_weighted(plain_stem(file))]
        if not {"t1", "t2"} <= {map_key(plain_stem(file)) for file in candidates}:
            return {}
    by_key: dict[str, dict[tuple[bool, ...], list[Path]]] = {}
    for file in candidates:
        stem = plain_stem(file)
        rank = (is_weighted(stem), is_rate(stem), "desc-" in stem)
        by_key.setdefault(map_key(stem, by_ending=True) or "", {}).setdefault(rank, []).append(file)
    chosen = {}
    for key, ranked in by_key.items():
        best = ranked[min(ranked)]
        if len(best) > 1:
            names = " and ".join(file.name for file in best)
            raise FileError(where, f"{names} are all {key.upper()} maps; name the files of one phantom.")
        chosen[key] = best[0]
    return chosen


def _rates_by_ending(files: Sequence[Path]) -> list[Path]:
    """Return NIfTI files of one name that ends in R1 and R2; none where others are volumes of tissues."""
    rates = [file for file in files if is_nifti(file) and _rate_by_ending(plain_stem(file))]
    names = {plain_stem(file)[:-2] for file in rates}
    if len(names) != 1 or any(find_tissue(role_of(file), TISSUE_TABLES["paper"]) for file in files):
        return []
    return rates


def _is_array(file: Path) -> bool:
    return file.suffix.lower() == ".npy" or file.name.lower().endswith((".mnc", ".mnc.gz"))


def plain_stem(file: Path) -> str:
    """Return a file's name without what says its format."""
    return re.sub(r"(\.nii|\.mnc)?(\.gz)?$|\.(npy|npz|mat)$", "", file.name, flags=re.IGNORECASE)


def read_map(path: Path, watch: Watch = UNWATCHED) -> MapArray:
    """Read one map: NIfTI, MINC or ``.npy``; axes of length one beyond three are dropped."""
    geometry: Geometry | None = None
    if path.suffix.lower() == ".npy":
        values = next(iter(numpy_arrays(path).values()))
    elif is_brainweb_format(path):
        volume = read_volume(path, watch=watch)
        values, geometry = volume.slab(0, volume.shape[0]), volume.geometry
    else:
        values, geometry = read_nifti(path, watch=watch)
    values = without_axes_of_one(values)
    if values.ndim != 3:
        raise FileError(path, f"has {_COUNTS.get(values.ndim, values.ndim)} axes", "a map with three")
    beside = nifti_sidecar(path) if is_nifti(path) else {}
    unit, angle = beside.get("Units"), beside.get("FlipAngle")
    return MapArray(
        values,
        path.name,
        geometry,
        unit if isinstance(unit, str) else None,
        is_rate(plain_stem(path), by_ending=True),
        # JSON's true is an int to Python
        float(angle) if isinstance(angle, int | float) and not isinstance(angle, bool) and 0 < angle < 720 else None,
    )


_COUNTS = {1: "one", 2: "two", 4: "four", 5: "five"}


def read_maps_of(
    files: Mapping[str, Path], hints: MapHints, notes: list[str], watch: Watch = UNWATCHED
) -> tuple[dict[str, MapArray], Geometry | None]:
    """Read the maps of one object onto the grid of the first, and where that lies, if its file knows.

    Parameters
    ----------
    files : mapping of str to Path
        By `MAP_KEYS`.
    hints : MapHints
    notes : list of str
        Takes what was done.
    watch : Watch

    Raises
    ------
    InputError
        A file that cannot be read; a map on another grid; a weighted image by the name of a map.
    """
    maps: dict[str, MapArray] = {}
    first: MapArray | None = None
    for key, path in files.items():
        found = read_map(path, watch)
        unit = stated_unit(found.unit)
        if key in ("t1", "t2") and unit is None and hints.units[key] is None:
            refuse_weighted(path.name, key, found.values, by_file=hints.by_file)
        if first is None:
            first = found
        else:
            found = replace(found, values=_beside(key, found, first, notes))
        maps[key] = found
    _check_rates(files, maps, hints, notes)
    return maps, None if first is None else first.geometry


def _check_rates(files: Mapping[str, Path], maps: Mapping[str, MapArray], hints: MapHints, notes: list[str]) -> None:
    """Refuse what ends in R1 and R2 by name, and cannot be rates: two runs or readers of something else."""
    keys = [key for key in ("t1", "t2") if key in files and _rate_by_ending(plain_stem(files[key]))]
    if len(keys) < 2 or any(maps[key].unit or hints.units[key] for key in keys):
        return
    first, second = (maps[key].values for key in keys)
    with np.errstate(invalid="ignore"):
        inside = (first > 0) & (second > 0) & (first < np.inf) & (second < np.inf)
    if not inside.any():
        return
    medians = [float(np.median(values[inside])) for values in (first, second)]
    is_whole = any(values.dtype.kind in "iub" or (values[inside] == np.rint(values[inside])).all()
                   for values in (first, second))  # fmt: skip
    names = " and ".join(maps[key].source for key in keys)
    if is_whole or medians[1] < _LEAST_RATIO * medians[0]:
        said = "'Units' as '1/s' in a JSON file beside each" if hints.by_file else "t1_unit and t2_unit"
        holds = "whole numbers" if is_whole else f"values (median {medians[0]:g} and {medians[1]:g})"
        raise FileError(
            names,
            f"end in R1 and R2 as maps of rates do, or two runs, and hold {holds} that are not those of rates",
            f"R2 well above R1; or names R1map and R2map, or {said}, where these are maps of rates",
            field="t1_unit",
        )
    notes.append(f"{names} are taken as maps of the rates R1 and R2 by their names.")


def _beside(key: str, found: MapArray, first: MapArray, notes: list[str]) -> AnyArray:
    """Return a map as it lies beside the first one: tissues are not interpolated, only turned; a B1 field is."""
    values, (z, y, x) = found.values, first.values.shape
    if found.geometry is None or first.geometry is None:
        if values.shape != (z, y, x):
            raise _other_shape(found, first)
        return values
    if key == "b1":
        laid = lay_on_grid(values, found.geometry, (z, y, x), first.geometry, name=found.source, onto=first.source,
                           field="path", nearest=False, zero_is_empty=True)  # fmt: skip
        if laid.note:
            notes.append(laid.note)
        if laid.how == "by index":
            warnings.warn(laid.note, DataWarning, stacklevel=4)
        return laid.data
    turned = turned_onto(values, found.geometry, (z, y, x), first.geometry, name=found.source, onto=first.source)
    if turned is not None:
        notes += [turned.note] if turned.note else []
        return turned.data
    if values.shape != (z, y, x):
        raise _other_shape(found, first)
    silent = next((each.source for each in (found, first) if each.geometry and says_nothing(each.geometry)), None)
    if silent is None:
        raise FileError(
            found.source,
            f"lies on another grid than {first.source}, though it has as many voxels (their affines differ)",
            f"maps of one grid: resample it onto {first.source}, or give both the affine of that where they lie alike",
            field="path",
        )
    sentence = f"{found.source} is taken voxel by voxel: the affine of {silent} is a default that says nothing."
    notes.append(sentence)
    warnings.warn(sentence, DataWarning, stacklevel=4)
    return values


def _other_shape(found: MapArray, first: MapArray) -> FileError:
    return FileError(
        found.source,
        f"has {dimensions(found.values.shape)} voxels (z, y, x)",
        f"{dimensions(first.values.shape)}, as in {first.source}",
    )
