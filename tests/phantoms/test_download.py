"""Downloading BrainWeb's subjects, from a server on this machine that answers as theirs does."""

from __future__ import annotations

import gzip
import http.server
import io
import threading
import urllib.parse

import numpy as np
import pytest
from scipy.io import netcdf_file

import napari_blochnet as nb
from napari_blochnet.common.progress import Watch
from napari_blochnet.phantoms import download
from napari_blochnet.phantoms.download import VOLUMES, brainweb_folder, download_brainweb, is_cached

SHAPE = (4, 6, 5)
PAGE = b"<html><body>The requested volume is not available.</body></html>"


def _minc(values: np.ndarray, scale: float = 1.0) -> bytes:
    """A volume as the service sends it: signed bytes with a range, MINC 1."""
    content = io.BytesIO()
    file = netcdf_file(content, "w")
    for name, length in zip(("zspace", "yspace", "xspace"), values.shape, strict=True):
        file.createDimension(name, length)
    for name in ("zspace", "yspace", "xspace"):
        variable = file.createVariable(name, "i4", ())
        variable.step, variable.start = 0.5, -20.0
    for name, value in (("image-min", 0.0), ("image-max", scale)):
        file.createVariable(name, "f8", ("zspace",))[:] = value
    image = file.createVariable("image", "i1", ("zspace", "yspace", "xspace"))
    image[:] = np.round(values / scale * 255 - 128).astype(np.int8)
    image.signtype = b"signed__"
    image.valid_range = np.array([-128.0, 127.0])
    file.flush()
    return content.getvalue()


class Service(http.server.ThreadingHTTPServer):
    """What BrainWeb's form answers; ``spoil`` changes an answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, str]] = []
        self.spoil = lambda alias, content: content
        self.length: int | None = None
        # while it is not set, the server keeps silent
        self.answers = threading.Event()
        self.answers.set()
        self.is_asked = threading.Event()
        labels = np.zeros(SHAPE)
        labels[1:3, 1:5, 1:4] = np.resize([1, 2, 3], (2, 4, 3))
        self.labels = labels
        self.volumes = {"crisp": _minc(labels, 255.0)}
        for number, alias in enumerate(VOLUMES["tissues"], start=1):
            self.volumes[alias] = _minc((labels == number).astype(float))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/cgi/brainweb1"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.server.asked.append(query)
        self.server.is_asked.set()
        self.server.answers.wait(60)
        alias = query["do_download_alias"].removeprefix("subject04_")
        content = self.server.spoil(alias, gzip.compress(self.server.volumes[alias]))
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(self.server.length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service(tmp_path, monkeypatch):
    server = Service()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BLOCHNET_BRAINWEB", server.address)
    yield server
    server.shutdown()
    server.server_close()


def _nothing_half_done(volumes: str = "tissues") -> bool:
    folder = brainweb_folder("04", volumes)
    return not folder.exists() or all(path.name.endswith(".mnc.gz") for path in folder.iterdir())


def test_a_subject_is_asked_for_as_the_form_does_and_read(service):
    told = []
    phantom = nb.brainweb_phantom(subject="04", progress=lambda done, total, words="", /: told.append((done, total)))
    assert [query["do_download_alias"] for query in service.asked] == [f"subject04_{a}" for a in VOLUMES["tissues"]]
    assert {(query["format_value"], query["zip_value"], query["download_for_real"]) for query in service.asked} == {
        ("minc", "gnuzip", "[Start download!]")
    }
    assert max(done for done, _ in told) > 800
    np.testing.assert_array_equal(phantom.mask, service.labels > 0)
    np.testing.assert_allclose(phantom.t1[service.labels == 3], 811.0, rtol=1e-6)
    np.testing.assert_allclose(phantom.t2[service.labels == 1], 512.0, rtol=1e-6)
    assert phantom.voxel_size == (0.5, 0.5, 0.5)
    assert phantom.record["operation"] == "brainweb_phantom"
    # the second time nothing is asked for
    assert is_cached("04")
    service.asked.clear()
    again = nb.brainweb_phantom(subject="04")
    assert service.asked == []
    np.testing.assert_array_equal(again.t1, phantom.t1)


def test_labels_are_one_volume(service):
    phantom = nb.brainweb_phantom(subject="04", volumes="labels")
    assert [query["do_download_alias"] for query in service.asked] == ["subject04_crisp"]
    np.testing.assert_allclose(phantom.t1[service.labels == 2], 1545.0, rtol=1e-6)
    assert not is_cached("04")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda alias, content: PAGE, "sent a web page in place of a MINC volume"),
        (lambda alias, content: gzip.compress(PAGE), "sent a web page in place of a MINC volume"),
        (lambda alias, content: b"", "sent nothing in place of a MINC volume"),
        (lambda alias, content: gzip.compress(b"\x89HDF" + bytes(99)), "sent something else in place"),
        (lambda alias, content: content[: len(content) * 2 // 3], "the volume is cut off inside its gzip stream"),
        (lambda alias, content: None, "answered 404 Not Found"),
        (lambda alias, content: gzip.compress(b"CDF\x01" + bytes(65 * 2**20)), "unpacks to more than 64 MB"),
        (lambda alias, content: bytes(49 * 2**20), "sends more than 48 MB for one volume"),
    ],
)
def test_what_is_no_volume_is_one_sentence_and_is_not_kept(service, spoil, sentence):
    service.spoil = lambda alias, content: spoil(alias, content) if alias == "wht" else content
    with pytest.raises(nb.InputError, match=sentence) as caught:
        nb.brainweb_phantom(subject="04")
    assert caught.value.field == "subject"
    assert str(caught.value).startswith("subject04_wm_v.mnc.gz: ")
    assert sorted(path.name for path in brainweb_folder("04").iterdir()) == [
        "subject04_csf_v.mnc.gz", "subject04_gm_v.mnc.gz",
    ]  # fmt: skip
    # what came before is not asked for again
    service.spoil = lambda alias, content: content
    service.asked.clear()
    nb.brainweb_phantom(subject="04")
    assert len(service.asked) == len(VOLUMES["tissues"]) - 2


def test_a_connection_that_breaks_off(service):
    service.length = 10_000_000
    with pytest.raises(nb.InputError, match="broke off"):
        download_brainweb("04", "labels")
    assert _nothing_half_done("labels")


def test_a_size_that_is_announced_is_believed_before_anything_is_kept(service):
    service.length = 2**40
    with pytest.raises(nb.InputError, match="sends more than 48 MB"):
        download_brainweb("04", "labels")
    assert _nothing_half_done("labels")


def test_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # nobody listens there
    monkeypatch.setenv("BLOCHNET_BRAINWEB", "http://127.0.0.1:9/cgi/brainweb1")
    with pytest.raises(nb.InputError, match=r"there is no connection to 127\.0\.0\.1:9"):
        download_brainweb("04")
    with pytest.raises(nb.InputError, match="expected one of 04, 05"):
        download_brainweb("07")


def test_cancel_answers_while_the_server_keeps_silent(service):
    service.answers.clear()
    # the wish comes when the server was asked, and the answer to it before the server's
    with pytest.raises(nb.Cancelled):
        download_brainweb("04", watch=Watch(cancelled=service.is_asked))
    assert len(service.asked) == 1
    assert not service.answers.is_set()
    assert not is_cached("04")
    service.answers.set()


def test_the_address_is_brainwebs(monkeypatch):
    monkeypatch.delenv("BLOCHNET_BRAINWEB", raising=False)
    assert download.download_address() == "https://brainweb.bic.mni.mcgill.ca/cgi/brainweb1"


def test_on_the_command_line(service, tmp_path):
    from click.testing import CliRunner

    from napari_blochnet.cli.main import blochnet
    from napari_blochnet.jobs.history.scripts import as_command, as_python

    phantom = nb.brainweb_phantom(subject="04", volumes="labels")
    assert as_command(phantom.record) == "blochnet phantom --brainweb 04 --volumes labels -o phantom\n"
    assert "nb.brainweb_phantom(volumes='labels')" in as_python(phantom.record)
    done = CliRunner().invoke(
        blochnet, ["phantom", "--brainweb", "04", "--volumes", "labels", "-o", str(tmp_path / "p")]
    )
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(nb.read_phantom(tmp_path / "p").t1, phantom.t1, rtol=1e-6)
    refused = CliRunner().invoke(blochnet, ["phantom", "--brainweb", "07", "-o", str(tmp_path / "q")])
    assert refused.exit_code == 2
    assert "'07'" in refused.output
