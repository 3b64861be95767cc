"""Bytes out of whole, cut and polluted gzip files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.common.progress import Watch
from napari_blochnet.io.unpacking import is_gzipped, unpack

_CONTENT = bytes(range(256)) * 400


def test_plain_and_packed(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a", tmp_path / "b"
    plain.write_bytes(_CONTENT)
    packed.write_bytes(gzip.compress(_CONTENT))
    assert not is_gzipped(plain)
    assert is_gzipped(packed)
    for path in (plain, packed):
        whole = unpack(path, len(_CONTENT))
        assert bytes(whole.data) == _CONTENT
        assert whole.damage == ""
        part = unpack(path, 1000)
        assert bytes(part.data) == _CONTENT[:1000]
        assert not part.complete
    assert unpack(plain, len(_CONTENT)).complete


def test_members_end_to_end_and_zero_padding_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(_CONTENT) + gzip.compress(b"more") + bytes(512))
    found = unpack(path, 10**6)
    assert bytes(found.data) == _CONTENT + b"more"
    assert found.complete
    assert found.damage == ""


def test_garbage_after_the_last_member_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(_CONTENT) + b"\x07" * 3_000_000)
    found = unpack(path, 10**6)
    assert bytes(found.data) == _CONTENT
    assert found.damage == "carries 3,000,000 bytes of garbage after its gzip content"


def test_a_cut_stream_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(_CONTENT)[:-20])
    found = unpack(path, 10**6)
    assert _CONTENT.startswith(bytes(found.data))
    assert len(found.data) > 0
    assert found.damage == "is cut off inside its gzip stream"


def test_a_bomb_is_unpacked_only_as_far_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    assert path.stat().st_size < 60_000
    found = unpack(path, 4096)
    assert len(found.data) == 4096
    assert not found.complete


def test_nothing_to_unpack(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(b"\x1f\x8bnot gzip after all")
    with pytest.raises(InputError, match=r"a\.gz: begins like a gzip file but cannot be unpacked"):
        unpack(path, 10)


def test_unpacking_can_be_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a.mnc.gz"
    path.write_bytes(gzip.compress(np.random.default_rng(0).integers(0, 50, 2**21).astype(np.uint8).tobytes()))
    looks = []

    class Wish:
        def is_set(self) -> bool:
            looks.append(True)
            return len(looks) > 3

    with pytest.raises(Cancelled, match=r"a\.mnc\.gz"):
        unpack(path, 2**22, Watch(cancelled=Wish()))
    assert len(looks) == 4
