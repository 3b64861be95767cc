"""Zarr stores written by zarr-python: what is taken, what is refused before it is unpacked."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import zarr
from numcodecs import LZ4, Zlib
from numcodecs import Blosc as Blosc2
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import UNWATCHED
from napari_blochnet.io.zarr_arrays import is_zarr, list_zarr_arrays, write_zarr_group, zarr_attributes

VALUES = np.arange(120, dtype=np.float32).reshape(5, 4, 6)


def _read(path, name=None):
    arrays = list_zarr_arrays(path)
    return arrays[name or path.name].read(UNWATCHED)


@pytest.mark.parametrize("packer", [None, GzipCodec(), ZstdCodec(), BloscCodec(cname="lz4")])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "int16", ">i2", "bool", "float64"])
def test_plain_arrays_of_version_3(tmp_path, packer, dtype):
    values = VALUES.astype(dtype)
    zarr.create_array(tmp_path / "a.zarr", data=values, chunks=(5, 3, 4), compressors=packer)
    assert is_zarr(tmp_path / "a.zarr")
    np.testing.assert_array_equal(_read(tmp_path / "a.zarr"), values)


@pytest.mark.parametrize("packer", [None, Zlib(), Blosc2()])
def test_plain_arrays_of_version_2(tmp_path, packer):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2, attributes={"who": "else"})
    made = group.create_array(
        "deep/er", shape=VALUES.shape, dtype="f4", chunks=(2, 4, 6), compressors=packer, order="F"
    )
    made[:] = VALUES
    np.testing.assert_array_equal(_read(tmp_path / "a.zarr", "deep/er"), VALUES)
    assert zarr_attributes(tmp_path / "a.zarr") == {"who": "else"}


def test_chunks_of_zeros_are_not_there_and_read_as_zeros(tmp_path):
    values = np.zeros((3, 2, 4, 4), np.complex64)
    values[:, 1, 2:, :2] = 1 - 2j
    axes = ("time", "z", "y", "x")
    write_zarr_group(tmp_path / "a.zarr", {"data": (values, values.dtype, (3, 1, 2, 2), axes)}, {})
    chunks = [file for file in (tmp_path / "a.zarr" / "data").rglob("*") if file.is_file() and file.name != "zarr.json"]
    assert [str(file.relative_to(tmp_path / "a.zarr" / "data")) for file in chunks] == ["c/0/1/1/0"]
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "a.zarr", mode="r")["data"][:], values)
    np.testing.assert_array_equal(_read(tmp_path / "a.zarr", "data"), values)


def test_other_codecs_are_refused(tmp_path):
    group = zarr.open_group(tmp_path / "two.zarr", mode="w", zarr_format=2)
    group.create_array("data", shape=(4,), dtype="f4", chunks=(4,), compressors=LZ4())
    with pytest.raises(InputError, match=r"data: cannot be read as a Zarr array .it is packed by lz4"):
        list_zarr_arrays(tmp_path / "two.zarr")
    zarr.create_array(tmp_path / "three.zarr", data=VALUES)
    said = json.loads((tmp_path / "three.zarr" / "zarr.json").read_text())
    for change in (
        {"codecs": [{"name": "bytes"}, {"name": "numcodecs.pickle", "configuration": {}}]},
        {"codecs": [{"name": "sharding_indexed", "configuration": {}}]},
        {"codecs": [{"name": "bytes"}, {"name": "gzip"}, {"name": "zstd"}]},
        {"storage_transformers": [{"name": "other"}]},
        {"shape": [-1, 4, 6]},
        {"shape": "12"},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0, 1, 1]}}},
    ):
        (tmp_path / "three.zarr" / "zarr.json").write_text(json.dumps({**said, **change}))
        with pytest.raises(InputError, match=r"three\.zarr: cannot be read as a Zarr array"):
            list_zarr_arrays(tmp_path / "three.zarr")
    for text in ("{", "[" * 100_000, '"' + "\\ud800"):
        (tmp_path / "three.zarr" / "zarr.json").write_text(text)
        with pytest.raises(InputError, match=r"three\.zarr/zarr\.json: cannot be read"):
            list_zarr_arrays(tmp_path / "three.zarr")


@pytest.mark.parametrize("kind", ["|O", "<U4", [["a", "<f4"]], "string"])
def test_what_is_no_number_is_no_array(tmp_path, kind):
    zarr.create_array(tmp_path / "a.zarr", data=VALUES, zarr_format=2, compressors=None)
    file = tmp_path / "a.zarr" / ".zarray"
    file.write_text(json.dumps({**json.loads(file.read_text()), "dtype": kind}))
    assert list_zarr_arrays(tmp_path / "a.zarr") == {}


def _chunk(path, packer, content):
    zarr.create_array(path, data=VALUES, chunks=VALUES.shape, compressors=packer)
    (file,) = (file for file in path.rglob("*") if file.is_file() and file.name != "zarr.json")
    if callable(content):
        content(file)
    else:
        file.write_bytes(content)


def _bomb(size):
    return gzip.compress(bytes(size), 9)


@pytest.mark.parametrize(
    ("packer", "content"),
    [
        (None, bytes(10_000)),
        (GzipCodec(), _bomb(80 * 2**20)),
        (BloscCodec(), b"\x02\x01\x01\x04" + (2**31 - 1).to_bytes(4, "little") + bytes(24)),
        (ZstdCodec(), b"\x28\xb5\x2f\xfd\xa4" + (2**31).to_bytes(4, "little") + bytes(20)),
        (ZstdCodec(), b"\x28\xb5\x2f\xfd\x00\x58" + bytes(20)),  # a stream that does not say its length
    ],
)
def test_a_chunk_that_claims_more_than_its_shape_is_refused(tmp_path, packer, content):
    _chunk(tmp_path / "a.zarr", packer, content)
    with pytest.raises(InputError, match=r"a\.zarr: its chunk 0 holds more than 480 bytes"):
        _read(tmp_path / "a.zarr")


@pytest.mark.parametrize("packer", [None, GzipCodec(), ZstdCodec(), BloscCodec()])
@pytest.mark.parametrize("content", [b"", b"junk", b"\x1f\x8b"])
def test_a_damaged_chunk_is_one_sentence(tmp_path, packer, content):
    _chunk(tmp_path / "a.zarr", packer, content)
    with pytest.raises(InputError, match=r"a\.zarr: (cannot be read as a Zarr array|its chunk)"):
        _read(tmp_path / "a.zarr")


def test_links_are_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(480))

    def link(file):
        file.unlink()
        file.symlink_to(tmp_path / "secret")

    _chunk(tmp_path / "a.zarr", None, link)
    with pytest.raises(InputError, match="its chunk 0 is a link or no plain file"):
        _read(tmp_path / "a.zarr")


def test_a_store_that_claims_more_than_memory_or_a_host_of_chunks_is_refused(tmp_path):
    made = zarr.create_array(tmp_path / "a.zarr", shape=(2**20, 2**20, 2**10), chunks=(2**10, 2**10, 1), dtype="f8")
    assert made.nbytes > 2**50
    with pytest.raises(InputError, match="more than this machine's memory"):
        _read(tmp_path / "a.zarr")
    zarr.create_array(tmp_path / "b.zarr", shape=(2**23,), chunks=(1,), dtype="u1")
    with pytest.raises(InputError, match="lies in more than 5,000,000 chunks"):
        _read(tmp_path / "b.zarr")


def test_what_is_not_ours_is_not_replaced(tmp_path):
    arrays = {"data": (VALUES, VALUES.dtype, (5, 4, 6), ("time", "y", "x"))}
    for name, why in (("folder", "not written by"), ("file", "not written by"), ("link", "not written by")):
        target = tmp_path / f"{name}.zarr"
        if name == "folder":
            target.mkdir()
            (target / "notes.txt").write_text("mine")
        elif name == "file":
            target.write_text("mine")
        else:
            target.symlink_to(tmp_path / "folder.zarr")
        with pytest.raises(InputError, match=rf"{name}\.zarr .*{why}"):
            write_zarr_group(target, arrays, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.zarr", "folder.zarr", "link.zarr"]
    assert (tmp_path / "folder.zarr" / "notes.txt").read_text() == "mine"
