"""The 20 normal brains of BrainWeb from its own download service, into a cache on this machine.

The service is the form of https://brainweb.bic.mni.mcgill.ca/brainweb/anatomic_normal_20.html: one volume for each
request, here as gzipped MINC, which states the scale of every slice; raw shorts leave an offset to be guessed.
Subjects: Aubert-Broche, Griffin, Pike, Evans, Collins, IEEE Trans Med Imaging 25:1410, 2006.
"""

from __future__ import annotations

import logging
import os
import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import Cancelled, FileError, InputError
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.io.unpacking import is_gzipped, unpack

__all__ = ["ADDRESS", "SUBJECTS", "VOLUMES", "brainweb_folder", "download_address", "download_brainweb", "is_cached"]

#: The download service; BLOCHNET_BRAINWEB names another place that answers in the same way.
ADDRESS = "https://brainweb.bic.mni.mcgill.ca/cgi/brainweb1"
SUBJECTS = (
    "04", "05", "06", "18", "20", "38", "41", "42", "43", "44", "45", "46", "47", "48", "49", "50", "51", "52", "53",
    "54",
)  # fmt: skip
#: What the service calls each volume, and the name under which it circulates; tissues without signal are not needed.
VOLUMES: dict[str, dict[str, str]] = {
    "tissues": {
        "csf": "csf_v", "gry": "gm_v", "wht": "wm_v", "fat": "fat_v", "mus": "muscles_v", "m-s": "muscles_skin_v",
        "fat2": "fat2_v", "dura": "dura_v", "mrw": "marrow_v",
    },
    "labels": {"crisp": "crisp_v"},
}  # fmt: skip

# Packed volumes take 1 to 4 MB; what one unpacks to is 362 × 434 × 362 bytes and a header.
_MOST_PACKED = 48 * 2**20
_MOST_UNPACKED = 64 * 2**20
# Seconds to wait for an answer, and for each part of it; the service packs a volume before it sends it.
_TIMEOUT = (10.0, 90.0)
_LOOK_EVERY = 0.1


def download_address() -> str:
    """Return where volumes are downloaded from."""
    return os.environ.get("BLOCHNET_BRAINWEB") or ADDRESS


def brainweb_folder(subject: str, volumes: str = "tissues") -> Path:
    """Return where a subject's volumes lie, or will lie, on this machine."""
    from platformdirs import user_cache_path

    return (
        user_cache_path("napari-blochnet") / "brainweb" / f"subject{subject}{'' if volumes == 'tissues' else '-labels'}"
    )


def _files(subject: str, volumes: str) -> dict[str, Path]:
    folder = brainweb_folder(subject, volumes)
    return {alias: folder / f"subject{subject}_{name}.mnc.gz" for alias, name in VOLUMES[volumes].items()}


def is_cached(subject: str, volumes: str = "tissues") -> bool:
    """Return whether nothing is left to download."""
    return all(path.is_file() for path in _files(subject, volumes).values())


def download_brainweb(subject: str, volumes: str = "tissues", *, watch: Watch = UNWATCHED) -> Path:
    """Download what is not there yet of a subject.

    Parameters
    ----------
    subject : str
        One of `SUBJECTS`.
    volumes : {"tissues", "labels"}
        Fuzzy memberships of the nine tissues with signal, about 20 MB, or one volume of labels, about 3 MB.
    watch : Watch
        Counts hundredths of volumes. What is complete stays in the cache.

    Returns
    -------
    Path
        The folder, which `napari_blochnet.read_phantom` opens.

    Raises
    ------
    InputError
        An unknown subject; no answer; an answer that is no volume, or not a whole one.
    Cancelled
        At once, whatever the network does.
    """
    if subject not in SUBJECTS:
        raise InputError(f"subject is {subject!r}", f"one of {', '.join(SUBJECTS)}", field="subject")
    if volumes not in VOLUMES:
        raise InputError(f"volumes is {volumes!r}", f"one of {', '.join(VOLUMES)}", field="volumes")
    files = _files(subject, volumes)
    for number, (alias, path) in enumerate(files.items()):
        watch.check("downloading")
        if path.is_file():
            continue

        def tell(share: float, number: int = number, name: str = path.name) -> None:
            watch.report(round(100 * (number + share)), 100 * len(files), f"downloading {name}")

        tell(0.0)
        _patiently(_Download(subject, alias, path, tell), watch)
    watch.report(1, 1, f"downloaded subject {subject}")
    return brainweb_folder(subject, volumes)


class _Download:
    """One volume; also the "progress bar" through which pooch's downloader tells how far it is."""

    def __init__(self, subject: str, alias: str, path: Path, tell: Callable[[float], None]) -> None:
        query = {
            "do_download_alias": f"subject{subject}_{alias}",
            "format_value": "minc",
            "zip_value": "gnuzip",
            "download_for_real": "[Start download!]",
        }
        self.address = f"{download_address()}?{urllib.parse.urlencode(query)}"
        self.host = urllib.parse.urlsplit(self.address).netloc
        self.path, self.tell = path, tell
        self.is_given_up = threading.Event()
        self._total = self._done = 0

    def run(self) -> None:
        """Download into the cache; the file has its name only once it was checked."""
        import pooch
        import requests

        # pooch tells on its log, which napari shows, that there is no checksum; BrainWeb publishes none
        pooch.get_logger().setLevel(logging.WARNING)
        downloader = pooch.HTTPDownloader(progressbar=self, chunk_size=2**16, timeout=_TIMEOUT)

        def fetch(address: str, output: str, owner: Any) -> None:
            downloader(address, output, owner)
            self._check(Path(output))

        try:
            pooch.retrieve(self.address, None, self.path.name, self.path.parent, downloader=fetch)
        except requests.HTTPError as error:
            answer = error.response
            status = "with an error" if answer is None else f"{answer.status_code} {answer.reason}"
            raise self._failure(f"{self.host} answered {status}") from None
        except requests.Timeout:
            raise self._failure(f"{self.host} does not answer") from None
        except requests.ConnectionError:
            raise self._failure(f"there is no connection to {self.host}, or it broke off") from None
        except requests.RequestException as error:
            raise self._failure(f"the connection to {self.host} broke off ({type(error).__name__})") from None

    def _failure(self, found: str) -> InputError:
        return FileError(
            self.path, f"{found}; expected BrainWeb's download service. What came before is kept.", field="subject"
        )

    def _check(self, path: Path) -> None:
        """Raise `InputError` where an answer is not a whole MINC volume."""
        content = unpack(path, _MOST_UNPACKED) if path.stat().st_size else None
        start = bytes(content.data[:512]).lstrip() if content is not None else b""
        if content is None or not start.startswith((b"CDF\x01", b"CDF\x02")):
            what = "nothing" if not start else "a web page" if start.startswith(b"<") else "something else"
            raise self._failure(f"{self.host} sent {what} in place of a MINC volume")
        if not content.complete:
            raise self._failure(f"the volume unpacks to more than {_MOST_UNPACKED // 2**20} MB")
        if content.damage and is_gzipped(path) and "inside" in content.damage:
            raise self._failure(f"the volume {content.damage}")

    # -- what pooch expects of a progress bar

    @property
    def total(self) -> int:
        """Bytes that the server announces, 0 where it does not."""
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = total
        self._look(total)

    def update(self, count: int) -> None:
        """Count bytes."""
        self._done += count
        self._look(self._done)
        self.tell(min(0.99, self._done / self._total) if self._total else 0.5)

    def reset(self) -> None:
        """Begin again; pooch does so before it says that it is done."""
        self._done = 0

    def close(self) -> None:
        """Be done."""

    def _look(self, size: int) -> None:
        if self.is_given_up.is_set():
            raise Cancelled("Cancelled: downloading.")
        if size > _MOST_PACKED:
            raise self._failure(f"{self.host} sends more than {_MOST_PACKED // 2**20} MB for one volume")


def _patiently(download: _Download, watch: Watch) -> None:
    """Run a download beside this thread: a socket that waits hears of no wish to cancel."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            download.run()
        except BaseException as error:
            failures.append(error)

    # daemonic: a download that was given up ends by itself, at the latest when its socket has waited enough
    thread = threading.Thread(target=guarded, name="BrainWeb download", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_EVERY)
        try:
            if thread.is_alive():
                watch.check("downloading; what was complete is kept")
        except Cancelled:
            download.is_given_up.set()
            raise
    if failures:
        raise failures[0]
