"""The inspector beside a truth whose proton density is in other units than the fingerprints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.jobs.operations.simulate import simulate
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.physics.bounds import cramer_rao_bound
from napari_blochnet.schedules.generators import spline_schedule


def _inspected(desk, index):
    """Open the inspector, point at a voxel of the stack, and return what it shows."""
    _, inspector = desk.viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    stack = desk.session.layers("stack")[-1]
    desk.viewer.dims.ndisplay = 2
    inspector.pick(tuple(stack.data_to_world((0, *index))))
    desk.qtbot.waitUntil(lambda: inspector.shown is not None, timeout=60_000)
    return inspector


def _extent(bound) -> float:
    """Return the largest ratio of two T1 or T2 on the ellipse."""
    ellipse = bound.ellipse()
    return float((ellipse.max(axis=0) / ellipse.min(axis=0)).max())


def test_the_sample_fingerprints_are_explained_by_their_truth(desk):
    desk = desk()
    data = desk.turn_to("Data")
    desk.run(data, data.sample_buttons["noisy-fingerprints"])
    stack = desk.session.entries("stack")[0].subject
    # the voxel with the longest signal, of the middle of the head
    norms = np.linalg.norm(stack.data.astype(float), axis=0) * stack.mask
    index = tuple(map(int, np.unravel_index(norms.argmax(), norms.shape)))
    shown = _inspected(desk, index).shown
    assert shown.truth is shown.items[0]
    # nothing but the noise is left over
    expected = stack.noise_sigma * np.sqrt(stack.shape[0]) / norms[index]
    assert shown.residual[0] == pytest.approx(expected, rel=0.1)
    assert shown.bound.at_truth
    assert 1 < _extent(shown.bound) < 1.5


def test_a_stack_of_a_file_takes_any_scale(desk, tmp_path):
    desk = desk()
    shape = (1, 6, 7)
    t1 = np.linspace(500.0, 1800.0, 42).reshape(shape)
    truth = Phantom(t1, t1 / 12, np.ones(shape), name="ramp")
    made = simulate(truth, spline_schedule(length=60), snr=40.0, seed=2)
    scaled = replace(made, data=made.data * np.complex64(-600j), noise_sigma=600 * made.noise_sigma)
    write_fingerprints(scaled, tmp_path / "stack.nii.gz")
    layers.add_phantom(desk.session, truth)
    assert desk.open_stack(tmp_path / "stack.nii.gz").startswith("Opened")
    mapping = desk.turn_to("Map")
    mapping.estimators.tick(["dictionary"])
    mapping.form.set_values({"step": 0.1})
    desk.run(mapping, mapping.run)
    inspector = _inspected(desk, (0, 3, 2))
    # compared only now: the maps were made without a truth
    assert [item.name for item in inspector.shown.items] == ["dictionary"]
    compare = desk.turn_to("Compare")
    desk.run(compare, compare.run)
    desk.qtbot.waitUntil(lambda: inspector.shown.truth is not None, timeout=10_000)
    shown = inspector.shown
    measured = scaled.data[:, 0, 3, 2]
    expected = np.sqrt(2 * len(measured)) * scaled.noise_sigma / np.linalg.norm(measured)
    assert shown.residual[0] == pytest.approx(expected, rel=0.25)
    assert _extent(shown.bound) < 3
    # the truth and the model in one unit, that of the fingerprint; the bound at the truth's PD in it
    assert [item.pd for item in shown.items] == pytest.approx([600.0, 600.0], rel=0.05)
    at = [float(values[0, 3, 2]) for values in (truth.t1, truth.t2)]
    bound = cramer_rao_bound(scaled.schedule, *at, 1.0, sigma=made.noise_sigma)
    np.testing.assert_allclose(shown.bound.covariance, bound.covariance, rtol=0.03)
