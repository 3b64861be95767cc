"""Mixtures by their definition."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from napari_blochnet.common.errors import Cancelled
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.common.progress import Watch
from napari_blochnet.phantoms.formats.volume import Volume
from napari_blochnet.phantoms.mixing import label_values, mix
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.read import read_phantom
from napari_blochnet.phantoms.tissues import TISSUE_TABLES

_TABLE = TISSUE_TABLES["paper"]


def _volume(values: list[float]) -> Volume:
    return Volume(np.array(values, np.float32).reshape(1, 1, -1), 1.0, 0.0, Geometry(), "test")


def test_by_hand() -> None:
    shares = {"CSF": [0.25, 0.0, 0.3, 0.2, 1.0], "white matter": [0.75, 0.0, 0.1, 0.3, 0.0]}
    phantom = Phantom(**mix({tissue: _volume(values) for tissue, values in shares.items()}, _TABLE))
    # Σf = 1, 0, 0.4, 0.5, 1
    np.testing.assert_array_equal(phantom.mask[0, 0], [True, False, False, True, True])
    csf, wm = 5012.0, 811.0
    expected = [0.25 * csf + 0.75 * wm, 0, 0, (0.2 * csf + 0.3 * wm) / 0.5, csf]
    np.testing.assert_allclose(phantom.t1[0, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(phantom.pd[0, 0], [0.25 + 0.75 * 0.8, 0, 0, 0.2 + 0.3 * 0.8, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(phantom.labels[0, 0], [2, 0, 0, 2, 1])
    assert phantom.tissues == ("CSF", "white matter")
    np.testing.assert_array_equal(phantom.pure_labels[0, 0], [0, 0, 0, 0, 1])


def test_real_memberships_against_the_definition_in_one_piece(shared_data: Path) -> None:
    """The same mixture computed at once in float64 from the raw bytes."""
    import gzip

    folder = shared_data / "brainweb" / "mritc_2mm"
    raw = {
        name: np.frombuffer(gzip.decompress((folder / f"{name}.rawb.gz").read_bytes()), np.uint8)
        for name in ("csf", "gm", "wm")
    }
    f = np.stack([raw[name].reshape(91, 109, 91) / 255.0 for name in ("csf", "gm", "wm")])
    total = f.sum(axis=0)
    mask = total >= 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        phantom = read_phantom(folder)
    np.testing.assert_array_equal(phantom.mask, mask)
    for field, values in (("t1", (5012, 1545, 811)), ("t2", (512, 83, 77))):
        mixed = np.einsum("tzyx,t->zyx", f, np.array(values, float))[mask] / total[mask]
        np.testing.assert_allclose(getattr(phantom, field)[mask], mixed, rtol=2e-6)
    np.testing.assert_allclose(phantom.pd[mask], np.einsum("tzyx,t->zyx", f, [1, 1, 0.8])[mask], rtol=2e-6)


def test_large_volumes_keep_fractions_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_blochnet.phantoms.mixing._HALF_PRECISION_FROM", 4)
    share = np.linspace(0, 1, 256, dtype=np.float32)
    mixed = mix({"CSF": _volume(list(share))}, _TABLE)
    assert mixed["fractions"]["CSF"].dtype == np.float16
    assert np.abs(mixed["fractions"]["CSF"].reshape(-1) - share).max() < 2.5e-4
    # T1 and T2 are mixed from the memberships themselves
    np.testing.assert_allclose(mixed["t1"][mixed["mask"]], 5012.0, rtol=2e-7)


def test_labels_take_their_tissue() -> None:
    labels = np.array([0, 1, 3, 7, 2, 200], np.uint8).reshape(1, 2, 3)
    known = {1: _TABLE["CSF"], 2: _TABLE["grey matter"], 3: _TABLE["white matter"], 7: _TABLE["skull"]}
    phantom = Phantom(**label_values(labels, known))
    assert phantom.tissues == ("CSF", "grey matter", "white matter")
    np.testing.assert_array_equal(phantom.labels.reshape(-1), [0, 1, 3, 0, 2, 0])
    np.testing.assert_array_equal(phantom.t1.reshape(-1), [0, 5012, 811, 0, 1545, 0])
    np.testing.assert_array_equal(phantom.mask.reshape(-1), [0, 1, 1, 0, 1, 0])


def test_cancel_and_progress() -> None:
    seen = []
    mix({"CSF": _volume([1.0])}, _TABLE, watch=Watch(lambda done, total, message="": seen.append((done, total))))
    assert seen[-1] == (1, 1)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        mix({"CSF": _volume([1.0])}, _TABLE, watch=Watch(cancelled=cancelled))
