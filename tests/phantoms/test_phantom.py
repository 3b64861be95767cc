"""The phantom's own rules."""

from __future__ import annotations

import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.phantoms.phantom import Phantom


def _maps() -> dict[str, np.ndarray]:
    return {"t1": np.full((3, 4, 5), 1000.0), "t2": np.full((3, 4, 5), 80.0), "pd": np.ones((3, 4, 5))}


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("t1", 0.0, r"t1 is 0 at voxel \(z, y, x\) = \(1, 2, 3\) inside the mask"),
        ("t1", np.nan, "t1 is nan at voxel"),
        ("t2", -1.0, "t2 is -1 at voxel"),
        ("pd", np.inf, "pd is inf at voxel"),
        ("t2", 1001.0, "t2 is 1001 ms where t1 is 1000 ms"),
    ],
)
def test_values_inside_the_mask(key: str, value: float, sentence: str) -> None:
    maps = _maps()
    maps[key][1, 2, 3] = value
    with pytest.raises(InputError, match=sentence) as caught:
        Phantom(**maps, mask=np.ones((3, 4, 5), bool))
    assert caught.value.field == key
    outside = np.ones((3, 4, 5), bool)
    outside[1, 2, 3] = False
    phantom = Phantom(**maps, mask=outside)
    assert phantom.t1[1, 2, 3] == phantom.t2[1, 2, 3] == phantom.pd[1, 2, 3] == 0


def test_the_mask_is_where_all_is_positive() -> None:
    maps = _maps()
    maps["t2"][0, 0, 0] = 0
    maps["pd"][0, 0, 1] = np.nan
    phantom = Phantom(**maps)
    assert phantom.mask.sum() == 58
    assert np.isfinite(phantom.pd).all()


@pytest.mark.parametrize("key", ["t2", "pd", "mask", "b1", "labels"])
def test_shapes_that_differ(key: str) -> None:
    with pytest.raises(InputError, match=rf"{key} has shape \(3, 4, 4\)"):
        Phantom(**{**_maps(), key: np.ones((3, 4, 4))})


def test_a_slice_keeps_its_place() -> None:
    affine = np.array([[0, -2.0, 0, 5], [1.0, 0, 0, 6], [0, 0, 3.0, 7], [0, 0, 0, 1]])
    phantom = Phantom(**_maps(), affine=affine, voxel_size=(3.0, 2.0, 1.0), fractions={"CSF": np.zeros((3, 4, 5))})
    assert phantom[2].shape == (1, 4, 5)
    assert phantom[-1].shape == (1, 4, 5)
    np.testing.assert_allclose(phantom[1:3].affine @ [0, 0, 0, 1], affine @ [0, 0, 1, 1])
    assert phantom[1:3].fractions["CSF"].shape == (2, 4, 5)
    with pytest.raises(InputError, match="hold no contiguous part"):
        phantom[::2]


def test_pure_voxels() -> None:
    share = np.full((3, 4, 5), 0.5)
    share[0] = 0.99
    share[1] = 0.9899
    phantom = Phantom(
        **_maps(), fractions={"CSF": share, "fat": 1 - share}, labels=np.ones((3, 4, 5)), tissues=("CSF", "fat")
    )
    assert phantom.pure_labels[0].all()
    assert not phantom.pure_labels[1:].any()


def test_maps_that_need_no_change_are_not_copied() -> None:
    maps = {key: values.astype(np.float32) for key, values in _maps().items()}
    phantom = Phantom(**maps)
    assert phantom.t1 is maps["t1"]
