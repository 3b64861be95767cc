"""The manifest names what exists, and claims no file that is not ours."""

from __future__ import annotations

import importlib

from npe2 import PluginManifest


def _manifest() -> PluginManifest:
    return PluginManifest.from_distribution("napari-blochnet")


def test_every_command_exists():
    for command in _manifest().contributions.commands:
        module, _, name = command.python_name.partition(":")
        assert callable(getattr(importlib.import_module(module), name)), command.id


def test_is_found_in_the_menu():
    manifest = _manifest()
    assert manifest.display_name == "BlochNet"
    assert manifest.visibility == "public"
    widgets = [widget.display_name for widget in manifest.contributions.widgets]
    assert widgets == [
        "Workbench",
        "Voxel inspector",
        "Three planes",
        "Data",
        "Schedule",
        "Simulate",
        "Map",
        "Compare",
        "Train",
    ]


def test_each_tab_opens_alone(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    for widget in _manifest().contributions.widgets:
        dock, inner = viewer.window.add_plugin_dock_widget("napari-blochnet", widget.display_name)
        qtbot.waitUntil(inner.isVisible)
        viewer.window.remove_dock_widget(dock)
