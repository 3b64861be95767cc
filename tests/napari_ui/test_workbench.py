"""The workbench's tabs: there at once, made when they are needed."""

from __future__ import annotations

from napari_blochnet.napari_ui.state import preferences

_TITLES = ["Data", "Schedule", "Simulate", "Map", "Compare", "Train"]


def _open(viewer):
    return viewer.window.add_plugin_dock_widget("napari-blochnet", "Workbench")[1]


def test_tabs_are_made_one_by_one_or_when_somebody_turns_to_them(make_napari_viewer, qtbot):
    workbench = _open(make_napari_viewer(show=True))
    tabs = workbench.tabs
    assert [tabs.tabText(index) for index in range(tabs.count())] == _TITLES
    assert not workbench.is_complete
    tabs.setCurrentIndex(_TITLES.index("Compare"))
    assert tabs.currentWidget() is workbench.compare
    qtbot.waitUntil(workbench.compare.isVisible, timeout=60_000)
    qtbot.waitUntil(lambda: workbench.is_complete, timeout=300_000)
    assert [tabs.widget(index).title for index in range(tabs.count())] == _TITLES
    assert tabs.currentWidget() is workbench.compare


def test_the_tab_of_last_time_is_in_front(make_napari_viewer, qtbot):
    preferences.remember("workbench", "tab", "Map")
    workbench = _open(make_napari_viewer(show=True))
    assert workbench.tabs.currentWidget() is workbench.map
    qtbot.waitUntil(workbench.map.isVisible, timeout=60_000)
    qtbot.waitUntil(lambda: workbench.is_complete, timeout=300_000)
    assert preferences.remembered("workbench")["tab"] == "Map"
