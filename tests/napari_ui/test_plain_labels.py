"""Names of files and models are text: no label of ours takes them for markup, as Qt does by itself."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_blochnet.estimators.offers import Offer
from napari_blochnet.napari_ui.widgets.estimator_choice import _rich


def test_every_label_says_what_it_takes(desk):
    desk = desk()
    _, inspector = desk.viewer.window.add_plugin_dock_widget("napari-blochnet", "Voxel inspector")
    labels = [
        label
        for root in (desk.workbench, inspector)
        for label in root.findChildren(QLabel)
        # not what Qt itself makes, and names of rows, which are our own words
        if not label.objectName().startswith("qt_") and label.buddy() is None
    ]
    assert len(labels) > 30
    guessing = [label for label in labels if label.textFormat() == Qt.TextFormat.AutoText]
    assert not [f"{type(label.parent()).__name__}: {label.text()!r}" for label in guessing]


def test_the_tooltip_of_a_model_shows_its_name_as_it_is():
    offer = Offer("<img src=x>", description="<b>mine</b>\nfor 5 & 6", refusal="<script>")
    assert _rich(offer) == (
        "<p><b>&lt;img src=x&gt;</b></p>"
        "<p><b>Not for this stack:</b> &lt;script&gt;</p><p>&lt;b&gt;mine&lt;/b&gt;</p><p>for 5 &amp; 6</p>"
    )
