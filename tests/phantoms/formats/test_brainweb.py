"""BrainWeb's raw formats, names, grids and labels."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.phantoms.formats.brainweb import (
    CRISP_OLD,
    CRISP_TWENTY,
    brainweb_grid,
    crisp_classes,
    read_volume,
    role_of,
)

_TWO_MM = (91, 109, 91)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("subject04_gm_v.mnc.gz", "gm"),
        ("subject20_muscles_skin_v.mnc", "muscles_skin"),
        ("subject20_vessels.mnc.gz", "vessels"),
        ("subject20_crisp_v.rawb", "crisp"),
        ("phantom_1.0mm_normal_m+s.rawb.gz", "m+s"),
        ("phantom_1.0mm_normal_gry.mnc", "gry"),
        ("phantom_1.0mm_normal_crisp.raws", "crisp"),
        ("csf.rawb.gz", "csf"),
        ("sub-01_space-T1w_label-GM_probseg.nii.gz", "GM"),
    ],
)
def test_names(name: str, role: str) -> None:
    assert role_of(Path(name)) == role


def test_published_tissues_of_the_labels() -> None:
    assert CRISP_TWENTY[1:4] == CRISP_OLD[1:4] == ("CSF", "grey matter", "white matter")
    assert (CRISP_TWENTY[7], CRISP_TWENTY[11], CRISP_OLD[7], CRISP_OLD[9]) == (
        "skull", "marrow", "skull", "connective tissue",
    )  # fmt: skip


def test_label_sets_are_told_apart_or_asked_for() -> None:
    small = np.zeros((2, 2, 2), np.uint8)
    assert crisp_classes("subject04_crisp_v.mnc", small) == CRISP_TWENTY
    assert crisp_classes("phantom_1.0mm_normal_crisp.mnc", small) == CRISP_OLD
    assert crisp_classes("x.mnc", np.full((2, 2, 2), 11, np.uint8)) == CRISP_TWENTY
    with pytest.raises(InputError, match="could be of BrainWeb's 20 normal brains or of its older one"):
        crisp_classes("x.mnc", small)
    with pytest.raises(InputError, match="holds the label 12"):
        crisp_classes("x.mnc", np.full((2, 2, 2), 12, np.uint8))


def test_grids_lie_where_brainweb_has_them() -> None:
    shape, geometry = brainweb_grid(181 * 217 * 181) or (None, None)
    assert shape == (181, 217, 181)
    assert geometry is not None
    # the anterior commissure, x = y = z = 0, is a voxel of the 1-mm and 2-mm grids
    np.testing.assert_array_equal(geometry.affine @ [90, 126, 72, 1], [0, 0, 0, 1])
    assert brainweb_grid(1000) is None


def test_bytes_and_12_bit_shorts(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, _TWO_MM).astype(np.uint8)
    (tmp_path / "gm.rawb").write_bytes(values.tobytes())
    (tmp_path / "wm.rawb.gz").write_bytes(gzip.compress(values.tobytes(), 1))
    for name in ("gm.rawb", "wm.rawb.gz"):
        volume = read_volume(tmp_path / name)
        np.testing.assert_allclose(volume.slab(0, 91), values / 255.0, atol=1e-7)
        assert volume.geometry.voxel_size == (2.0, 2.0, 2.0)
    np.testing.assert_array_equal(read_volume(tmp_path / "gm.rawb", labels=True).labels(), values)
    twelve = np.random.default_rng(0).integers(0, 4096, _TWO_MM)
    for order in ("<u2", ">u2"):
        (tmp_path / "csf.raws").write_bytes(twelve.astype(order).tobytes())
        np.testing.assert_allclose(read_volume(tmp_path / "csf.raws").slab(0, 91), twelve / 4095.0, atol=1e-6)


def test_shorts_of_more_than_12_bits(tmp_path: Path) -> None:
    (tmp_path / "csf.raws").write_bytes(np.full(_TWO_MM, 0x7777, "<u2").tobytes())
    with pytest.raises(InputError, match=r"csf\.raws: holds numbers above 4095 in either byte order"):
        read_volume(tmp_path / "csf.raws")


@pytest.mark.parametrize("packed", [False, True])
def test_truncated_raw_files(tmp_path: Path, packed: bool) -> None:
    data = bytes(91 * 109 * 91 - 1)
    path = tmp_path / ("gm.rawb.gz" if packed else "gm.rawb")
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(InputError, match=rf"^{path.name}: holds 902,628 bytes; expected a BrainWeb grid of .*902,629"):
        read_volume(path)
    with pytest.raises(InputError, match=r"holds 902,628 bytes; expected 902,629 for 91 × 109 × 91 voxels"):
        read_volume(path, shape=_TWO_MM)


def test_a_gzip_stream_cut_inside_the_voxels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, 91 * 109 * 91).astype(np.uint8)
    (tmp_path / "gm.rawb.gz").write_bytes(gzip.compress(values.tobytes())[:-5000])
    with pytest.raises(InputError, match=r"gm\.rawb\.gz: holds 89\d,\d+ bytes; expected"):
        read_volume(tmp_path / "gm.rawb.gz")


def test_a_bomb_stops_at_the_largest_grid(tmp_path: Path) -> None:
    (tmp_path / "gm.rawb.gz").write_bytes(gzip.compress(bytes(362 * 434 * 362 + 1), 1))
    with pytest.raises(InputError, match="holds more than 56,873,096 bytes; expected a BrainWeb grid"):
        read_volume(tmp_path / "gm.rawb.gz")


def test_other_grids_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "gm.rawb"
    path.write_bytes(bytes(range(60)))
    with pytest.raises(InputError, match="give shape and voxel_size") as caught:
        read_volume(path)
    assert caught.value.field == "shape"
    with pytest.raises(InputError, match="do not state a voxel size") as caught:
        read_volume(path, shape=(3, 4, 5))
    assert caught.value.field == "voxel_size"
    volume = read_volume(path, shape=(3, 4, 5), voxel_size=(3.0, 2.0, 1.0))
    # x is the fastest axis
    np.testing.assert_allclose(volume.slab(0, 1)[0, 1] * 255, [5, 6, 7, 8, 9], atol=1e-4)
    with pytest.raises(InputError, match="expected three numbers of voxels above 0"):
        read_volume(path, shape=(0, 4, 5), voxel_size=(1.0, 1.0, 1.0))


def test_trailing_garbage_as_found_in_the_wild(shared_data: Path) -> None:
    path = shared_data / "brainweb" / "mritc_2mm" / "mask.rawb.gz"
    with pytest.warns(DataWarning, match=r"mask\.rawb\.gz carries 41,590 bytes of garbage") as caught:
        volume = read_volume(path, labels=True)
    assert len(caught) == 1
    labels = volume.labels()
    assert set(np.unique(labels)) == {0, 1}
    assert int(labels.sum()) == 229_786
