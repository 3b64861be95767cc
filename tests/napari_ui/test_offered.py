"""What coefficients lack is said beside a network's name, once that is known."""

from __future__ import annotations

import threading

import numpy as np

import napari_blochnet as nb
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.canvas import layers
from napari_blochnet.napari_ui.panels.map import offered


def test_networks_that_lack_go_grey_once_it_is_known(desk, monkeypatch):
    place, asked, go_on = desk(), [], threading.Event()

    def look(names, schedule, kind, subspace, **how):
        asked.append((tuple(names), subspace.rank))
        assert go_on.wait(60)
        return {name: f"The stack's {subspace.rank} coefficients hold too little." for name in names if name == "fc"}

    monkeypatch.setattr(offered, "networks_that_lack", look)
    random = np.random.default_rng(0)
    schedule = nb.fisp_schedule()
    for components in (3, 3):
        basis = np.linalg.qr(np.random.default_rng(1).standard_normal((1000, components)))[0]
        data = random.standard_normal((components, 1, 6, 6)).astype(np.complex64)
        layers.add_stack(place.session, FingerprintStack(data, schedule, basis=basis), title=f"number {components}")
    mapping = place.turn_to("Map")

    def box(name):
        return next(one for one, known in mapping.estimators._boxes if known == name)

    # offered until it is known otherwise, and nothing waits for that
    assert box("fc").isEnabled()
    assert mapping.run.isEnabled()
    place.qtbot.waitUntil(lambda: bool(asked), timeout=60_000)
    ((names, rank),) = asked
    assert {"fc", "blochnet"} <= set(names)
    assert rank == 3
    assert box("fc").isEnabled()
    go_on.set()
    place.qtbot.waitUntil(lambda: not box("fc").isEnabled(), timeout=60_000)
    assert "3 coefficients hold too little" in box("fc").toolTip()
    assert box("blochnet").isEnabled()
    # known of this subspace, whichever stack it is of
    mapping.stack.value = mapping.stack.choices[0]
    assert not box("fc").isEnabled()
    place.qtbot.wait(1000)
    assert len(asked) == 1
