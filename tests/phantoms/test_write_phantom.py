"""A phantom that was written and read again gives the same fingerprints, to the last bit."""

import numpy as np

import napari_blochnet as nb
from napari_blochnet.phantoms.write import write_phantom


def test_every_bit_of_t1_t2_and_pd_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    t1 = np.exp(rng.uniform(np.log(1), np.log(6000), (4, 40, 40))).astype(np.float32)
    phantom = nb.Phantom(t1=t1, t2=t1 * rng.uniform(0.05, 0.99, t1.shape), pd=rng.uniform(0.1, 1, t1.shape))
    write_phantom(phantom, tmp_path)
    found = nb.read_phantom(tmp_path)
    for name in ("t1", "t2", "pd"):
        assert getattr(found, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(found, name), getattr(phantom, name))
