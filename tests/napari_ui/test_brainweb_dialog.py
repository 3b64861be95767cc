"""A BrainWeb subject from the Data tab and from File ▸ Open Sample: asked for first, then downloaded and shown."""

from __future__ import annotations

import gzip
import http.server
import io
import threading
import urllib.parse

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from scipy.io import netcdf_file

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.napari_ui.panels.data.brainweb_dialog import BrainWebDialog

LABELS = np.zeros((4, 6, 5))
LABELS[1:3, 1:5, 1:4] = np.resize([1, 2, 3], (2, 4, 3))


def _crisp() -> bytes:
    content = io.BytesIO()
    file = netcdf_file(content, "w")
    for name, length in zip(("zspace", "yspace", "xspace"), LABELS.shape, strict=True):
        file.createDimension(name, length)
        variable = file.createVariable(name, "i4", ())
        variable.step, variable.start = 0.5, -20.0
    for name, value in (("image-min", 0.0), ("image-max", 255.0)):
        file.createVariable(name, "f8", ("zspace",))[:] = value
    image = file.createVariable("image", "i1", ("zspace", "yspace", "xspace"))
    image[:] = (LABELS - 128).astype(np.int8)
    image.signtype = b"signed__"
    image.valid_range = np.array([-128.0, 127.0])
    file.flush()
    return gzip.compress(content.getvalue())


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.server.asked.append(query["do_download_alias"])
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service(tmp_path, monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.asked, server.content = [], _crisp()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BLOCHNET_BRAINWEB", f"http://127.0.0.1:{server.server_address[1]}/cgi/brainweb1")
    yield server
    server.shutdown()
    server.server_close()


def _dialog(desk) -> BrainWebDialog:
    def found():
        return [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, BrainWebDialog)
                and widget.isVisible()]  # fmt: skip

    desk.qtbot.waitUntil(lambda: bool(found()), timeout=5000)
    return found()[0]


def _answer(desk, button: str) -> list[tuple[str, str, bool]]:
    """Press a button of the dialog that napari's menu is going to wait for."""
    seen = []

    def press() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, BrainWebDialog):
            QTimer.singleShot(50, press)
            return
        is_cached = "nothing is downloaded" in dialog.text.text()
        seen.append((dialog.form.values()["subject"], dialog.accept_button.text(), is_cached))
        desk.click(getattr(dialog, button))

    QTimer.singleShot(50, press)
    return seen


def test_asked_downloaded_shown(desk, service):
    desk = desk()
    data = desk.turn_to("Data")
    desk.click(data.brainweb)
    dialog = _dialog(desk)
    # size and address stand there before anything is sent
    assert "9 volumes of subject 04, about 20 MB" in dialog.text.text()
    assert "127.0.0.1" in dialog.text.text()
    dialog.form.editor("subject").native.setCurrentText("18")
    dialog.form.editor("volumes").native.setCurrentText("labels")
    assert "1 volume of subject 18, about 3 MB" in dialog.text.text()
    assert service.asked == []
    desk.click(dialog.accept_button)
    assert desk.wait(data) == "Opened subject 18."
    assert service.asked == ["subject18_crisp"]
    (entry,) = desk.session.entries("phantom")
    np.testing.assert_array_equal(entry.subject.mask, LABELS > 0)
    # from the File menu, the second time: on this machine
    seen = _answer(desk, "accept_button")
    desk.viewer.open_sample("napari-blochnet", "brainweb-subject")
    assert seen == [("18", "Open", True)]
    assert len(service.asked) == 1
    assert len(desk.session.entries("phantom")) == 2


def test_no_means_no(desk, service):
    desk = desk()
    data = desk.turn_to("Data")
    desk.click(data.brainweb)
    desk.click(_dialog(desk).cancel_button)
    desk.qtbot.wait(200)
    _answer(desk, "cancel_button")
    with pytest.raises(Cancelled, match="No BrainWeb subject was opened"):
        desk.viewer.open_sample("napari-blochnet", "brainweb-subject")
    assert service.asked == []
    assert not data.is_busy


def test_without_a_network_one_sentence(desk, service, monkeypatch):
    monkeypatch.setenv("BLOCHNET_BRAINWEB", "http://127.0.0.1:9/cgi/brainweb1")
    desk = desk()
    data = desk.turn_to("Data")
    desk.click(data.brainweb)
    desk.click(_dialog(desk).accept_button)
    said = desk.wait(data)
    assert said.startswith("subject04_csf_v.mnc.gz: there is no connection to 127.0.0.1:9")
    assert len(desk.viewer.layers) == 0
    _answer(desk, "accept_button")
    with pytest.raises(InputError, match="there is no connection"):
        desk.viewer.open_sample("napari-blochnet", "brainweb-subject")
