import json
import threading

import nibabel as nib
import numpy as np
import pytest

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.maps_io import read_maps, write_error_maps, write_maps
from napari_blochnet.phantoms.phantom import Phantom

SHAPE = (2, 4, 5)
AFFINE = np.array([[0, 0, 2.5, -3], [1.5, 0, 0, 4], [0, 2.0, 0, 5], [0, 0, 0, 1.0]])


def _maps(**changes):
    rng = np.random.default_rng(0)
    mask = rng.random(SHAPE) > 0.2
    fields = {key: (rng.uniform(1, 5000, SHAPE) * mask).astype(np.float32) for key in ("t1", "t2", "pd")}
    fields |= {
        "residual": rng.random(SHAPE).astype(np.float32),
        "mask": mask,
        "failed": mask & (rng.random(SHAPE) > 0.9),
    }
    fields |= {"estimator": "dictionary", "voxel_size": (2.5, 2.0, 1.5), "affine": AFFINE, "record": {"seed": 3}}
    return ParameterMaps(**{**fields, **changes})


def test_maps_come_back_as_they_were(tmp_path):
    maps = _maps(phase=np.full(SHAPE, -170.5, np.float32), t1_se=np.full(SHAPE, 3.25, np.float32))
    written = write_maps(maps, tmp_path / "out", "sub-7_ses-2")
    assert all(path.exists() and path.name.startswith("sub-7_ses-2_") for path in written)
    back = read_maps(tmp_path / "out")
    for key in ("t1", "t2", "t1_se"):  # seconds in float32 and back: one unit in the last place
        np.testing.assert_array_max_ulp(getattr(back, key), getattr(maps, key), 1)
    for key in ("pd", "residual", "mask", "failed", "phase"):
        assert np.array_equal(getattr(back, key), getattr(maps, key)), key
    assert back.t2_se is None
    assert (back.estimator, back.record) == ("dictionary", {"seed": 3})
    assert np.allclose(back.affine, AFFINE)
    assert back.voxel_size == pytest.approx((2.5, 2.0, 1.5))


def test_files_follow_bids(tmp_path):
    maps = _maps()
    write_maps(maps, tmp_path)
    image = nib.load(tmp_path / "sub-01_T1map.nii.gz")
    assert image.shape == SHAPE[::-1]
    assert np.allclose(image.get_fdata().T, maps.t1 / 1000.0)
    sidecar = json.loads((tmp_path / "sub-01_T1map.json").read_text(encoding="utf-8"))
    assert sidecar["Units"] == "s"
    assert sidecar["Record"] == {"seed": 3}


def test_writing_again_leaves_nothing_of_an_earlier_result(tmp_path):
    write_maps(_maps(phase=np.ones(SHAPE, np.float32), t2_se=np.ones(SHAPE, np.float32)), tmp_path)
    write_maps(_maps(), tmp_path)
    assert read_maps(tmp_path).phase is None
    assert not list(tmp_path.glob("*desc-se*"))


@pytest.mark.parametrize("images", [0, 1, 5])
def test_giving_up_leaves_the_earlier_result_whole(tmp_path, images):
    earlier, later = _maps(), _maps(t1=np.full(SHAPE, 5.0, np.float32))
    write_maps(earlier, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    wish = threading.Event()

    def stop(done, total, message=""):
        if done == images:
            wish.set()

    with pytest.raises(Cancelled):
        write_maps(later, tmp_path, progress=stop, cancelled=wish)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    np.testing.assert_allclose(read_maps(tmp_path).t1, earlier.t1, rtol=1e-6)


def test_error_maps_are_written_beside_maps_without_being_taken_for_some(tmp_path):
    maps = _maps(voxel_size=(1, 1, 1), affine=None)
    truth = Phantom(np.full(SHAPE, 1000.0), np.full(SHAPE, 100.0), np.ones(SHAPE))
    write_maps(maps, tmp_path)
    paths = write_error_maps(truth, maps, tmp_path)
    assert paths[0].name == "sub-01_desc-error_T1map.nii.gz"
    error = nib.load(paths[0]).get_fdata().T
    good = maps.mask & ~maps.failed
    assert np.allclose(error[good], (maps.t1[good] - 1000) / 10, rtol=1e-4, atol=1e-4)
    assert (error[maps.failed] == -100).all()
    assert read_maps(tmp_path).estimator == "dictionary"


@pytest.mark.parametrize("prefix", ["../sub-01", "sub 01", "", "sub-01_T1map/x"])
def test_a_prefix_is_not_a_path(tmp_path, prefix):
    with pytest.raises(InputError, match="prefix"):
        write_maps(_maps(), tmp_path, prefix)


def test_what_is_not_a_folder_of_maps_gives_a_sentence(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_maps(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"T1map\.json"):
        read_maps(tmp_path)
    write_maps(_maps(), tmp_path, "sub-01")
    write_maps(_maps(), tmp_path, "sub-02")
    with pytest.raises(InputError, match="sub-01, sub-02"):
        read_maps(tmp_path)
    assert read_maps(tmp_path, "sub-02").shape == SHAPE
    (tmp_path / "sub-02_T2map.nii.gz").unlink()
    with pytest.raises(InputError, match="sub-02_T2map"):
        read_maps(tmp_path, "sub-02")
    (tmp_path / "sub-02_T1map.json").write_text('{"NapariBlochnetMaps": {"t1": 1, "evil": 2}}', encoding="utf-8")
    with pytest.raises(InputError, match="list of files"):
        read_maps(tmp_path, "sub-02")
