"""Colour limits: of one quantity the same for all, whatever the order in which layers came, until somebody chooses."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.colour_limits import error_limits
from napari_blochnet.evaluation.agreement.difference_maps import difference_maps
from napari_blochnet.evaluation.beside_truth import signed_errors
from napari_blochnet.jobs.operations.opening import synthetic_head
from napari_blochnet.napari_ui.background.turns import at_once
from napari_blochnet.napari_ui.canvas import differences, layers, limits
from napari_blochnet.napari_ui.canvas import showing as canvas
from napari_blochnet.napari_ui.canvas.differences import difference_steps
from napari_blochnet.napari_ui.canvas.limits import limits_of
from napari_blochnet.napari_ui.sessions.restoring import open_session, restore_steps
from napari_blochnet.napari_ui.sessions.snapshots import snapshot
from napari_blochnet.napari_ui.view_bar.limits_menu import LimitsMenu

SPREADS = {"exact": 0.002, "fair": 0.01, "rough": 0.037}


@pytest.fixture
def head():
    return synthetic_head(shape=(1, 24, 20))


@pytest.fixture
def stack(head):
    return nb.simulate(head, nb.spline_schedule(length=60))


@pytest.fixture
def models(head, stack):
    """Return maps by name, each off by a relative spread of its own."""
    found = {}
    plain = nb.reconstruct(stack, "dictionary", step=0.3)
    for seed, (name, spread) in enumerate(SPREADS.items()):
        noise = 1 + spread * np.random.default_rng(seed).standard_normal((2, *head.shape))
        values = {"t1": head.t1 * noise[0], "t2": head.t2 * noise[1]}
        found[name] = replace(
            plain, estimator=name, mask=head.mask, failed=np.zeros(head.shape, bool),
            **{key: np.where(head.mask, value, 0).astype(np.float32) for key, value in values.items()},
        )  # fmt: skip
    return found


def _show(place, stack, maps, truth):
    layers.add_maps(place.session, maps, stack, truth, maps.estimator)
    if truth is not None:
        at_once(layers.error_steps(place.session, maps, signed_errors(truth, maps)))


def _limits(place, role):
    (found,) = {tuple(layer.contrast_limits) for layer in place.session.layers(role=role)}
    return found


@pytest.mark.parametrize("order", list(itertools.permutations(SPREADS))[::2], ids="-".join)
def test_errors_of_all_models_set_the_limits_in_any_order(desk, head, stack, models, order):
    place = desk()
    layers.add_stack(place.session, stack, head)
    for name in order:
        _show(place, stack, models[name], head)
    for role, key in (("T1 error", "t1"), ("T2 error", "t2")):
        true = getattr(head, key)[head.mask]
        most = max(
            np.percentile(100 * np.abs(getattr(maps, key)[head.mask] - true) / true, 98) for maps in models.values()
        )
        low, high = _limits(place, role)
        assert low == -high
        assert most <= high <= 1.5 * most
        # mapping again changes nothing, as the numbers are the same
        before = (low, high)
        _show(place, stack, replace(models[order[0]]), head)
        assert _limits(place, role) == before


@pytest.mark.parametrize("order", list(itertools.permutations(SPREADS))[::2], ids="-".join)
def test_and_so_do_maps_where_there_is_no_truth(desk, stack, models, order):
    place = desk()
    layers.add_stack(place.session, stack)
    longer = replace(models["rough"], t1=2 * models["rough"].t1)
    for name in order:
        _show(place, stack, longer if name == "rough" else models[name], None)
    inside = longer.t1[longer.mask]
    most = min(np.percentile(inside, 99), 2.5 * np.median(inside))
    low, high = _limits(place, "T1")
    assert low == 0
    assert most <= high <= 1.5 * most


def test_what_is_closed_has_no_say(desk, head, stack, models):
    place = desk()
    layers.add_stack(place.session, stack, head)
    _show(place, stack, models["exact"], head)
    alone = _limits(place, "T1 error")
    _show(place, stack, models["rough"], head)
    assert _limits(place, "T1 error")[1] > alone[1]
    for layer in place.session.layers(subject=models["rough"]):
        place.viewer.layers.remove(layer)
    assert _limits(place, "T1 error") == alone


def test_a_choice_holds_for_those_that_come_and_can_be_taken_back(desk, head, stack, models):
    place = desk()
    layers.add_stack(place.session, stack, head)
    _show(place, stack, models["exact"], head)
    alone = _limits(place, "T1 error")
    # by napari's own slider
    place.session.layers(role="T1 error")[0].contrast_limits = (-7, 7)
    _show(place, stack, models["rough"], head)
    assert _limits(place, "T1 error") == (-7, 7)
    limits_of(place.session).choose(("T1 error", 0), None)
    assert _limits(place, "T1 error")[1] > alone[1]


def test_pd_of_a_stack_in_its_own_units_is_not_drawn_in_the_phantoms(desk, head, stack, models):
    place = desk()
    layers.add_phantom(place.session, head)
    layers.add_stack(place.session, stack, head)
    scaled = replace(models["exact"], pd=(1000 * head.pd).astype(np.float32))
    _show(place, stack, scaled, head)
    (phantom,), (mapped,) = place.session.layers("phantom", role="PD"), place.session.layers("maps", role="PD")
    assert mapped.contrast_limits[1] == pytest.approx(1000 * phantom.contrast_limits[1])


def test_a_choice_survives_a_session(desk, head, stack, models, tmp_path):
    from napari_blochnet.jobs.sessions import write_session

    place = desk()
    layers.add_stack(place.session, stack, head)
    _show(place, stack, models["exact"], head)
    limits_of(place.session).choose(("T1 error", 0), (-7.0, 7.0))
    write_session(snapshot(place.session).saved, tmp_path / "session")
    other = desk()
    at_once(restore_steps(other.session, open_session(tmp_path / "session")))
    assert _limits(other, "T1 error") == (-7, 7)
    assert limits_of(other.session).is_chosen(("T1 error", 0))
    assert not limits_of(other.session).is_chosen(("T2 error", 0))


def test_the_report_has_the_colours_of_the_screen(desk, head, stack, models, monkeypatch, tmp_path):
    from napari_blochnet.evaluation.comparison import Comparison

    place = desk()
    layers.add_phantom(place.session, head)
    layers.add_stack(place.session, stack, head)
    for maps in models.values():
        _show(place, stack, maps, head)
    panel = place.turn_to("Compare")
    place.run(panel, panel.run)
    limits_of(place.session).choose(("T1", 0), (500.0, 1500.0))
    drawn = []
    monkeypatch.setattr(Comparison, "to_html", lambda self, path: drawn.append(self))
    panel.save(str(tmp_path / "report.html"))
    place.wait(panel)
    (comparison,) = drawn
    shown = {role: _limits(place, role) for role in ("T1", "T2", "T1 error", "T2 error")}
    assert comparison.colour_limits == shown
    assert shown["T1"] == (500, 1500)
    # what the page says of itself draws it again
    assert comparison.record["settings"]["t1_limits"] == [500, 1500]


def test_the_menu_shows_and_sets_the_limits_of_what_is_seen(desk, head, stack, models):
    place = desk()
    layers.add_stack(place.session, stack, head)
    for name in ("exact", "fair"):
        _show(place, stack, models[name], head)
    at_once(canvas.show_quantity(place.session, "T1", beside=True))
    automatic = _limits(place, "T1 error")
    place.click(place.workbench.view_bar.limits)
    (menu,) = place.workbench.view_bar.findChildren(LimitsMenu)
    assert [family[0] for family in menu.rows] == ["T1", "T1 error"]
    row = menu.rows["T1 error", 0]
    assert (row.low.value(), row.high.value(), row.automatic.isChecked()) == (*automatic, True)
    row.high.setValue(12)
    assert _limits(place, "T1 error") == (automatic[0], 12)
    assert not row.automatic.isChecked()
    # no range: nothing changes
    row.low.setValue(40)
    assert _limits(place, "T1 error") == (automatic[0], 12)
    row.automatic.click()
    assert _limits(place, "T1 error") == automatic
    menu.close()


def test_a_form_takes_back_what_it_said_and_no_persons_choice(desk, head, stack, models):
    place = desk()
    layers.add_stack(place.session, stack, head)
    _show(place, stack, models["exact"], head)
    alone, wrong = _limits(place, "T1 error"), signed_errors(head, models["exact"])

    def compare(limit):
        at_once(layers.error_steps(place.session, models["exact"], wrong, limit))

    compare(5.0)
    assert _limits(place, "T1 error") == (-5, 5)
    compare(None)
    assert _limits(place, "T1 error") == alone
    assert not limits_of(place.session).is_chosen(("T1 error", 0))
    compare(5.0)
    # by napari's slider, and by the menu: a person's
    place.session.layers(role="T1 error")[0].contrast_limits = (-7, 7)
    limits_of(place.session).choose(("T2 error", 0), (-9.0, 9.0))
    compare(None)
    assert (_limits(place, "T1 error"), _limits(place, "T2 error")) == ((-7, 7), (-9, 9))


def test_differences_follow_and_are_taken_back_alike(desk, stack, models):
    place = desk()
    layers.add_stack(place.session, stack)
    for name in ("exact", "rough"):
        _show(place, stack, models[name], None)
    apart = difference_maps(models["exact"], models["rough"])

    def compare(limit):
        at_once(difference_steps(place.session, models["rough"], "exact", apart, limit))

    compare(None)
    automatic = _limits(place, "T1 difference")
    assert automatic == error_limits(apart["T1"])
    compare(40.0)
    assert _limits(place, "T1 difference") == (-40, 40)
    compare(None)
    assert _limits(place, "T1 difference") == automatic


def test_limits_of_a_layer_are_computed_once(desk, head, stack, models, monkeypatch):
    place = desk()
    layers.add_stack(place.session, stack, head)
    _show(place, stack, models["exact"], None)
    seen = []
    for module in (limits, layers, differences):
        if hasattr(module, "error_limits"):
            monkeypatch.setattr(
                module, "error_limits", lambda values, **how: seen.append(values) or error_limits(values, **how)
            )
    wrong = signed_errors(head, models["exact"])
    for _ in range(2):
        at_once(layers.error_steps(place.session, models["exact"], wrong))
        assert len(seen) == 2
        seen.clear()
        at_once(difference_steps(place.session, models["exact"], "truth", wrong))
        assert len(seen) == 2
        seen.clear()


def test_pd_of_maps_without_a_stack_is_in_units_of_its_own(desk, models):
    place = desk()
    loud = replace(models["fair"], pd=1000 * models["fair"].pd)
    for maps in (models["exact"], loud):
        layers.add_maps(place.session, maps, None, None, maps.estimator)
    (one,), (two,) = (place.session.layers("maps", maps, "PD") for maps in (models["exact"], loud))
    assert two.contrast_limits[1] == pytest.approx(1000 * one.contrast_limits[1])
    two.contrast_limits = (0, 5)
    assert one.contrast_limits[1] != 5


@pytest.mark.parametrize("unit", [2e-6, 1.0, 3e7])
def test_the_menu_chooses_pd_in_any_unit(desk, models, unit):
    place = desk()
    maps = replace(models["exact"], pd=(unit * models["exact"].pd).astype(np.float32))
    layers.add_maps(place.session, maps, None, None, "exact")
    at_once(canvas.show_quantity(place.session, "PD", beside=False))
    (layer,) = place.session.layers("maps", maps, "PD")
    before = tuple(layer.contrast_limits)
    place.click(place.workbench.view_bar.limits)
    menu = place.workbench.view_bar.findChildren(LimitsMenu)[-1]
    ((family, row),) = menu.rows.items()
    assert (row.low.value(), row.high.value()) == pytest.approx(before, rel=1e-2)
    row.automatic.click()
    assert limits_of(place.session).is_chosen(family)
    assert tuple(layer.contrast_limits) == pytest.approx(before, rel=1e-2)
    row.automatic.click()
    # no range: unticked, nothing is chosen and what is shown comes back
    row.low.setValue(2 * row.high.value())
    row.automatic.click()
    assert not limits_of(place.session).is_chosen(family)
    assert row.automatic.isChecked()
    assert tuple(layer.contrast_limits) == before
    assert row.low.value() == 0
    menu.close()


def test_limits_that_are_no_range_are_not_chosen(desk, head):
    place = desk()
    layers.add_phantom(place.session, head)
    before = _limits(place, "T1")
    with pytest.raises(ValueError, match="lower limit first"):
        limits_of(place.session).choose(("T1", 0), (5.0, 5.0))
    assert not limits_of(place.session).is_chosen(("T1", 0))
    assert _limits(place, "T1") == before


def test_the_report_of_agreement_has_the_colours_of_the_screen(desk, stack, models, monkeypatch, tmp_path):
    from napari_blochnet.evaluation.agreement.agreeing import Agreement

    place = desk()
    layers.add_stack(place.session, stack)
    for maps in models.values():
        _show(place, stack, maps, None)
    panel = place.turn_to("Compare")
    place.run(panel, panel.run)
    limits_of(place.session).choose(("T1", 0), (500.0, 1500.0))
    limits_of(place.session).choose(("T2 difference", 0), (-3.0, 2.0))
    drawn = []
    monkeypatch.setattr(Agreement, "to_html", lambda self, path: drawn.append(self))
    panel.save_agreement(str(tmp_path / "report.html"))
    place.wait(panel)
    (agreement,) = drawn
    roles = ("T1", "T2", "T1 difference", "T2 difference")
    assert agreement.colour_limits == {role: _limits(place, role) for role in roles}
    assert agreement.colour_limits["T2 difference"] == (-3, 2)
    assert agreement.record["settings"]["t1_limits"] == [500, 1500]
