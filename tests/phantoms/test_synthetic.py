"""The synthetic head: that it is a head, by measures of heads."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.synthetic import synthetic_phantom


@pytest.fixture(scope="module")
def head() -> Phantom:
    return synthetic_phantom()


def _voxels(head: Phantom, tissue: str) -> np.ndarray:
    return head.labels == head.tissues.index(tissue) + 1


def test_size_and_place(head: Phantom) -> None:
    assert head.shape == (60, 109, 91)
    assert head.voxel_size == pytest.approx((3.0, 2.0, 2.0))
    middle = head.affine @ [45, 54, 29.5, 1]
    np.testing.assert_allclose(middle, [0, 0, 8, 1], atol=1e-9)


def test_volumes_are_those_of_an_adult_head(head: Phantom) -> None:
    litre = {tissue: share.sum() * 12e-6 for tissue, share in head.fractions.items()}
    # adults: grey matter 0.6 to 0.9, white matter 0.4 to 0.65, both together 1.0 to 1.5 litres
    assert 0.6 < litre["grey matter"] < 0.9
    assert 0.4 < litre["white matter"] < 0.65
    assert 0.2 < litre["CSF"] < 0.5
    extent = [np.ptp(np.flatnonzero(head.mask.any(axis=axes))) for axes in ((1, 2), (0, 2), (0, 1))]
    assert 150 < extent[1] * 2 < 215  # length of the head with the nose, mm
    assert 140 < extent[2] * 2 < 182  # width with the ears


def test_tissues_are_nested_from_the_skin_inwards(head: Phantom) -> None:
    """From the top straight down to the brain: skin, fat, bone, CSF, grey, white matter."""
    column = head.labels[::-1, 50, 60]
    order = [head.tissues[label - 1] for label in column if label]
    for outer, inner in (
        ("muscle/skin", "CSF"),
        ("fat", "CSF"),
        ("CSF", "grey matter"),
        ("grey matter", "white matter"),
    ):
        assert order.index(outer) < order.index(inner)
    skin = np.flatnonzero(column == head.tissues.index("muscle/skin") + 1)[0]
    csf = np.flatnonzero(column == head.tissues.index("CSF") + 1)[0]
    share = sum(head.fractions.values())[::-1, 50, 60]
    assert share[skin:csf].min() < 0.5  # the skull between them gives no signal


def test_ventricles(head: Phantom) -> None:
    """The largest CSF spaces inside the brain: two lateral ventricles of 5 to 20 cm³, the third of 1 to 3."""
    csf = _voxels(head, "CSF")
    inside, count = ndimage.label(csf & ~_outside_csf(csf, head))
    numbers = np.arange(1, count + 1)
    size = ndimage.sum_labels(csf, inside, numbers) * 0.012
    largest = np.argsort(size)[::-1][:3]
    assert 5 < size[largest[1]] <= size[largest[0]] < 20
    assert 1 < size[largest[2]] < 3
    centres = [(head.affine @ [*ndimage.center_of_mass(inside == numbers[i])[::-1], 1])[:3] for i in largest]
    sides = sorted(centre[0] for centre in centres)
    assert sides[0] < -8 < -2 < sides[1] < 2 < 8 < sides[2]


def _outside_csf(csf: np.ndarray, head: Phantom) -> np.ndarray:
    """Return the CSF around the brain: what touches the CSF just below the skull's top."""
    regions, _ = ndimage.label(csf)
    top = regions[np.flatnonzero(csf.any(axis=(1, 2)))[-1]]
    return regions == np.bincount(top[top > 0]).argmax()


def test_cortex_is_folded(head: Phantom) -> None:
    """The surface between grey and white matter is far larger than that of a smooth brain of its size."""
    white = head.fractions["white matter"] >= 0.5
    brain = ndimage.binary_fill_holes(
        ndimage.binary_closing(white | (head.fractions["grey matter"] >= 0.5), iterations=4)
    )

    def surface(mask: np.ndarray) -> float:
        areas = (4.0, 6.0, 6.0)
        return sum(area * np.abs(np.diff(mask.astype(np.int8), axis=axis)).sum() for axis, area in enumerate(areas))

    assert surface(white) > 1.6 * surface(brain)


def test_both_halves_are_alike_but_not_equal(head: Phantom) -> None:
    mirrored = head.mask[:, :, ::-1]
    overlap = 2 * (head.mask & mirrored).sum() / (head.mask.sum() + mirrored.sum())
    assert overlap > 0.93
    inside = _voxels(head, "grey matter")
    assert (inside & inside[:, :, ::-1]).sum() < 0.9 * inside.sum()


def test_partial_volume(head: Phantom) -> None:
    total = sum(share.astype(float) for share in head.fractions.values())
    assert total.max() <= 1 + 1e-6
    mixed = head.mask & (np.max(list(head.fractions.values()), axis=0) < 0.99)
    assert 0.2 < mixed.sum() / head.mask.sum() < 0.9
    np.testing.assert_array_equal(head.mask, total >= 0.5 - 1e-6)


def test_seeds_decide() -> None:
    shape = (6, 55, 46)
    first = synthetic_phantom(shape, seed=3)
    np.testing.assert_array_equal(first.t1, synthetic_phantom(shape, seed=3).t1)
    other = synthetic_phantom(shape, seed=4)
    assert np.mean(first.labels != other.labels) > 0.05


def test_the_same_head_at_any_resolution() -> None:
    fine = synthetic_phantom((6, 110, 92), seed=0)
    coarse = synthetic_phantom((6, 55, 46), seed=0)
    averaged = fine.fractions["white matter"].reshape(6, 55, 2, 46, 2).mean(axis=(2, 4))
    # other slices are as thick as coarse voxels are long at most, so slices differ in thickness
    if fine.voxel_size[0] == coarse.voxel_size[0]:
        assert np.abs(averaged - coarse.fractions["white matter"]).mean() < 0.02
    else:
        assert fine.voxel_size[0] == pytest.approx(3.0)
        assert coarse.voxel_size[0] == pytest.approx(218 / 55)


def test_one_slice_goes_through_the_ventricles() -> None:
    slice_ = synthetic_phantom((1, 109, 91))
    assert slice_.voxel_size[0] == pytest.approx(3.0)
    middle = slice_.labels[0, 30:80, 30:61]
    assert (middle == slice_.tissues.index("CSF") + 1).sum() > 40


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"shape": (0, 5, 5)}, "shape"),
        ({"shape": (5, 5)}, "shape"),
        ({"shape": (1024, 1024, 1024)}, "shape"),
        ({"seed": -1}, "seed"),
    ],
)
def test_values_out_of_range(arguments: dict, field: str) -> None:
    with pytest.raises(InputError) as caught:
        synthetic_phantom(**arguments)
    assert caught.value.field == field


def test_a_table_without_the_heads_tissues(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("tissue,t1_ms,t2_ms,pd\ngm,1000,80,1\n")
    with pytest.raises(InputError, match="has no values for CSF, white matter, fat"):
        synthetic_phantom((1, 4, 4), tissues=tmp_path / "a.csv")


def test_progress_and_cancel() -> None:
    seen: list[tuple[int, int]] = []
    synthetic_phantom((4, 10, 10), progress=lambda done, total, message="": seen.append((done, total)))
    assert seen[0] == (0, 4)
    assert seen[-1] == (4, 4)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        synthetic_phantom((4, 10, 10), cancelled=cancelled)
