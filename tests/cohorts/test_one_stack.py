"""How a stack of a study is opened."""

import numpy as np

import napari_blochnet as nb
from napari_blochnet.cohorts.one_stack import _open_stack
from napari_blochnet.common.progress import UNWATCHED
from napari_blochnet.fingerprints.stack_files import write_fingerprints


def test_a_stack_keeps_its_own_basis_where_the_recipe_had_another(tmp_path):
    random = np.random.default_rng(0)
    own, other = (np.linalg.qr(random.normal(size=(20, 3)))[0].astype(np.float32) for _ in range(2))
    coefficients = random.normal(size=(3, 1, 4, 5)).astype(np.float32)
    write_fingerprints(nb.FingerprintStack(coefficients, basis=own), tmp_path / "own.nii")
    np.save(tmp_path / "plain.npy", coefficients)
    np.save(tmp_path / "other.npy", other)
    recipe = {"steps": [{"settings": {"basis": str(tmp_path / "other.npy")}}]}
    for name, basis in (("own.nii", own), ("plain.npy", other)):
        task = {"stack": str(tmp_path / name), "opened": {}, "schedule": None, "common": None, "recipe": recipe,
                "each": 0}  # fmt: skip
        np.testing.assert_array_equal(_open_stack(task, None, watch=UNWATCHED).basis, basis)
