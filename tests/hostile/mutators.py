"""What a disk, a network, another program or a stranger does to files: one change of one file of a seed."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pydicom

Random = random.Random

_INTEGERS = (0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 2**15 - 1, 2**15, 2**16 - 1, 2**24, 2**31 - 1, -(2**31), 2**32 - 1,
             2**40, 2**62, 2**63 - 1, -(2**63), 2**64 - 1)  # fmt: skip
_FLOATS = (0.0, -1.0, 1e-320, 1e-38, 1e38, 1e300, float("inf"), float("-inf"), float("nan"))
_WORDS = ("", " ", "\0", "x" * 70_000, "../../etc/passwd", "/etc/passwd", "/dev/zero", "=cmd|' /C calc'!A0", "\x1b[2J",
          "\ud800", "$x_1$", "<script>alert(1)</script>", "nan", "1e999", "9" * 5000, "٣", "-", "1,5", "0x10", "1_0",
          "🧠" * 99, "%s%n", "{0}", "\r\n\r\n", '"', "a" * 300)  # fmt: skip


# -- bytes and lengths


def _place(r: Random, content: bytes, head: int = 600) -> int:
    return r.randrange(min(len(content), head) if r.random() < 0.7 else len(content)) if content else 0


def flip(r: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(r.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[_place(r, content)] = r.choice((0, 255, r.randrange(256)))
    return bytes(changed)


def integer(r: Random, content: bytes) -> bytes:
    """Put a length that cannot be where one may stand."""
    width = r.choice((1, 2, 4, 4, 8))
    at = _place(r, content) // width * width
    value = r.choice(_INTEGERS) % 2 ** (8 * width)
    return content[:at] + value.to_bytes(width, r.choice(("little", "big"))) + content[at + width :]


def number(r: Random, content: bytes) -> bytes:
    width, code = r.choice(((4, "f"), (8, "d")))
    at = _place(r, content) // 4 * 4
    value = r.choice(_FLOATS)
    if width == 4 and abs(value) > 3e38:
        value = float("inf")
    return content[:at] + struct.pack(r.choice("<>") + code, value) + content[at + width :]


def cut(r: Random, content: bytes) -> bytes:
    return content[: r.choice((0, 1, 4, 8, len(content) // 2, max(0, len(content) - 1), _place(r, content)))]


def remove(r: Random, content: bytes) -> bytes:
    at = _place(r, content)
    return content[:at] + content[at + r.choice((1, 2, 4, 16, 512)) :]


def insert(r: Random, content: bytes) -> bytes:
    at = _place(r, content)
    return content[:at] + r.choice((b"\0", b"\xff" * 4, r.randbytes(16), content[:512], b"\n")) + content[at:]


def append(r: Random, content: bytes) -> bytes:
    return content + r.choice((b"\0", r.randbytes(600), content))


def replace(r: Random, content: bytes) -> bytes:
    """Put something else under the name."""
    return r.choice((
        r.randbytes(700), b"\0" * 4096, b"\x1f\x8b\x08\0" + r.randbytes(50), b"\x89HDF\r\n\x1a\n" + r.randbytes(300),
        b"CDF\x01" + r.randbytes(200), b"PK\x03\x04" + r.randbytes(100), b"[" * 100_000, b"{}", b"null", b"[]",
        b"# Created by Octave 9\n", b"version https://git-lfs.github.com/spec/v1\n", b"\xff\xfe" + r.randbytes(64),
        b",".join([b"1"] * 60_000), b'"' + b"a," * 40_000, b"\n" * 50_000, b"[" + b"[]," * 60_000 + b"[]]",
        b"9" * 6000,
    ))  # fmt: skip


BYTES = (flip, flip, integer, integer, number, cut, remove, insert, append, replace)


# -- headers and structure


_NIFTI1 = {"sizeof_hdr": (0, "i"), "dim": (40, "h", 8), "intent": (68, "h"), "datatype": (70, "h"), "bitpix": (72, "h"),
           "pixdim": (76, "f", 8), "vox_offset": (108, "f"), "slope": (112, "f"), "inter": (116, "f"),
           "units": (123, "b"), "qform": (252, "h"), "sform": (254, "h"), "quatern": (256, "f", 6),
           "srow": (280, "f", 12), "magic": (344, "b", 4), "extension": (348, "b", 4)}  # fmt: skip


def nifti(r: Random, content: bytes) -> bytes:
    """Give a field of the header a value at the edge of its type."""
    packed = content[:2] == b"\x1f\x8b"
    plain = bytearray(_gunzip(content) if packed else content)
    for _ in range(r.choice((1, 1, 2))):
        at, code, *count = r.choice(list(_NIFTI1.values()))
        at += struct.calcsize(code) * r.randrange(count[0] if count else 1)
        if code == "f":
            value = r.choice(_FLOATS)
            raw = struct.pack("<f", value if abs(value) < 3e38 or value != value else float("inf"))
        else:
            bits = 8 * struct.calcsize(code)
            raw = (r.choice(_INTEGERS) % 2**bits).to_bytes(bits // 8, "little")
        plain[at : at + len(raw)] = raw
    return gzip.compress(bytes(plain), 1) if packed else bytes(plain)


def _gunzip(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return content


def gzipped(r: Random, content: bytes) -> bytes:
    """Change what is packed, and pack it again; or pack far more."""
    if r.random() < 0.1:
        packer = zlib.compressobj(9, wbits=31)
        zeros = b"".join(packer.compress(bytes(2**20)) for _ in range(300))
        return content + zeros + packer.flush() if r.random() < 0.5 else zeros + packer.flush()
    plain = _gunzip(content)
    return gzip.compress(r.choice(BYTES)(r, plain), 1)


def zipped(r: Random, content: bytes) -> bytes:
    """Change a member of an archive, or its list of members."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError):
        return content
    name = r.choice(list(members))
    what = r.randrange(6)
    if what == 0:
        members[r.choice(("../out.npy", "/tmp/out.npy", "a" * 300 + ".npy", "x.npy/y.npy"))] = members.pop(name)
    elif what == 1:
        members[name] = members[name][:128] + bytes(200 * 2**20)
    elif what == 2:
        members |= {f"{i}.npy": members[name] for i in range(3000)}
    elif what == 3:
        shape = r.choice(("(1000000000000,)", "(-1,)", "(2,)*9999", "(1,)*70", "(3,4.0)", "None", "9" * 4000))
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(118) + b"\n"
        members[name] = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + bytes(64)
    else:
        members[name] = r.choice(BYTES)(r, members[name])
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for each, value in members.items():
            archive.writestr(each, value)
    return made.getvalue()


def matlab(r: Random, content: bytes) -> bytes:
    """Change what is inside the packed elements of MATLAB 5, or make it large."""
    parts, at = [content[:128]], 128
    while at + 8 <= len(content):
        kind, length = struct.unpack("<II", content[at : at + 8])
        body = content[at + 8 : at + 8 + length]
        if kind == 15:
            try:
                plain = zlib.decompress(body)
            except zlib.error:
                plain = body
            if r.random() < 0.1:
                plain += bytes(120 * 2**20)
            plain = r.choice(BYTES[:-1])(r, plain)
            body = zlib.compress(plain, 1)
        parts.append(struct.pack("<II", kind, len(body)) + body)
        at += 8 + length
    return b"".join(parts)


def npy(r: Random, content: bytes) -> bytes:
    """Claim another shape or type in the header of an array."""
    kind = r.choice(("<f4", "<f8", "|O", "<U9", "<c8", ">i8", "|V8", "|b1", "<m8", "|S0", "zzz", "<f16"))
    shape = r.choice(((), (0,), (2**40,), (2**62, 4), (-3,), (1,) * 33, (12, 2, 5, 4), "(((", (True, 2), (1e3,)))
    header = f"{{'descr': '{kind}', 'fortran_order': {r.choice((True, False, 3))}, 'shape': {shape}, }}".encode()
    header = header.ljust(118) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + content[128:]


def model(r: Random, content: bytes) -> bytes:
    """Change the header of safetensors as JSON, and its card within."""
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
    except ValueError:
        return content
    inner = header.get("__metadata__", {})
    key = next(iter(inner), None)
    if key is not None and r.random() < 0.7:
        inner[key] = changed_json(r, inner[key].encode()).decode("utf-8", "surrogatepass")
        text = json.dumps(header).encode("utf-8", "replace")
    else:
        text = changed_json(r, json.dumps(header).encode())
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def hdf5(r: Random, path: Path) -> None:
    """Change what an HDF5 file holds through its own library."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = r.choice(names)
        old = file[name]
        attributes, values = dict(old.attrs), old[()]
        what = r.randrange(11)
        if what == 0 and old.attrs:
            file[name].attrs[r.choice(list(old.attrs))] = r.choice((1.5, b"\xff", "x", np.zeros(9), np.nan, -1))
            return
        del file[name]
        if what == 1:
            file[name] = h5py.ExternalLink(r.choice(("/etc/passwd", "other.h5", "/dev/zero", "../b.h5")), "/data")
        elif what == 2:
            outside = path.with_name("outside.bin")
            outside.write_bytes(np.ones(values.size or 1).tobytes())
            file.create_dataset(name, np.shape(values) or (1,), "f8", external=[(str(outside), 0, h5py.h5f.UNLIMITED)])
        elif what == 3:
            file[name] = h5py.SoftLink(r.choice((f"/{name}", "/nowhere", "/")))
        elif what == 4:
            layout = h5py.VirtualLayout(np.shape(values) or (1,), "f8")
            layout[...] = h5py.VirtualSource("/etc/hosts", "x", np.shape(values) or (1,))
            file.create_virtual_dataset(name, layout)
        elif what == 5:
            file.create_dataset(name, r.choice(((2**40,), (2**20, 2**20), (1,) * 32)), "f4", chunks=True)
        elif what == 6:
            file.create_dataset(name, (12, 2**14, 2**11), "f4", chunks=(1, 2**10, 2**10), compression="gzip")
        elif what == 7:
            file[name] = r.choice((np.bytes_("text"), np.array([b"a", b"b"]), np.zeros(0), np.float32(3), np.bool_(1)))
        elif what == 8:
            pair = np.dtype({"names": ["r", "i"], "formats": ["f4", "f4"], "offsets": [8, 0], "itemsize": 16})
            file.create_dataset(name, np.shape(values), pair)
        elif what == 9:
            file.create_group(name)
        else:
            with np.errstate(all="ignore"):
                file[name] = np.asarray(values, complex).astype(r.choice(("f2", "f8", "i1", "u8", "c16")))
        if name in file and isinstance(file[name], (h5py.Dataset, h5py.Group)) and what not in (1, 3):
            for key, value in attributes.items():
                file[name].attrs[key] = value


def dicom(r: Random, path: Path) -> None:
    """Give an element of an image another value."""
    data = pydicom.dcmread(path)
    element = r.choice([each for each in data if each.tag != 0x7FE00010])
    values = {"US": (0, 1, 65535), "IS": ("0", "-1", "2147483647"), "DS": ("0", "1e30", "-1", "NaN", "1e-30"),
              "UI": ("1.2.3", ""), "CS": ("", "X", "P")}.get(element.VR, ("", "x"))  # fmt: skip
    count = r.choice((1, 2, 3, 6))
    if r.random() < 0.3:
        del data[element.tag]
    else:
        with pydicom.config.disable_value_validation():
            element.value = r.choice(values) if element.VR == "US" or count == 1 else [r.choice(values)] * count
    data.save_as(path)


# -- JSON and text


def _hostile(r: Random) -> Any:
    return r.choice((
        None, True, False, -1, 0, 1, 10**400, int("9" * 5000) if r.random() < 0 else 2**70, 1.5, 1e308, -1e308,
        float("nan"), float("inf"), [], {}, [[]], [None], {"": None}, {"step": 0}, {"step": 2**40}, {"operation": "x"},
        {"operation": []}, list(range(2000)), "/etc/passwd", *_WORDS,
    ))  # fmt: skip


def changed_json(r: Random, content: bytes) -> bytes:
    """Change a value, key or depth somewhere in JSON."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return content
    what = r.randrange(12)
    if what == 0:
        depth = r.choice((60, 500, 3000, 100_000))
        mark = json.dumps("@@deep@@")
        text = json.dumps(_changed(r, tree, "@@deep@@"))
        open_, close = r.choice((("[", "]"), ('{"a":', "}"), ('{"inputs":{"a":', "}}")))
        return text.replace(mark, open_ * depth + "1" + close * depth, 1).encode()
    if what == 1:
        text = json.dumps(_changed(r, tree, "@@long@@"))
        return text.replace(
            '"@@long@@"', r.choice(("9" * 5000, "1" + "0" * 400, "-" + "9" * 5000, "1e400")), 1
        ).encode()
    for _ in range(r.choice((1, 1, 1, 3))):
        tree = _changed(r, tree, _hostile(r))
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _nodes(tree: Any, path: tuple = ()) -> list[tuple]:
    """Return the places of values; of long lists some."""
    found = [path] if path else []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree[:4]) if isinstance(tree, list) else ()
    for key, value in items:
        found += _nodes(value, (*path, key))
    return found


def _changed(r: Random, tree: Any, value: Any) -> Any:
    nodes = _nodes(tree)
    if not nodes or r.random() < 0.02:
        return value
    *way, last = r.choice(nodes)
    parent = tree
    for key in way:
        parent = parent[key]
    what = r.random()
    if what < 0.15:
        del parent[last]
    elif what < 0.25 and isinstance(parent, dict):
        parent[r.choice(("x", "progress", "cancelled", "checkpoint", "settings", "operation", "step", ""))] = value
    elif what < 0.32:
        parent[last] = [parent[last]] if r.random() < 0.5 else {"a": parent[last]}
    elif what < 0.37 and isinstance(parent[last], list):
        parent[last] = parent[last] * 300
    else:
        parent[last] = value
    return tree


def table(r: Random, content: bytes) -> bytes:
    """Change a cell, a row or the encoding of text."""
    lines = content.decode("utf-8", "replace").splitlines() or [""]
    row = r.randrange(len(lines))
    separator = next((mark for mark in ",;\t" if mark in lines[row]), ",")
    cells = lines[row].split(separator)
    cell, what = r.randrange(len(cells)), r.randrange(10)
    if what < 4:
        cells[cell] = r.choice((*_WORDS, "1e300", "-1e300", "1e-320", "inf", "-5", "0", "1" * 200_000))
        lines[row] = separator.join(cells)
    elif what == 4:
        del lines[row]
    elif what == 5:
        lines[row] = separator.join(cells * r.choice((2, 5000)))
    elif what == 6:
        lines[row] = '"' + lines[row]
    elif what == 7:
        lines = [*lines, *[lines[row]] * 20_000]
    elif what == 8:
        return "\n".join(lines).encode(r.choice(("utf-16", "utf-32", "utf-8-sig", "cp037")), "replace")
    else:
        lines.insert(row, r.choice(("", "# x: " + "9" * 5000, "# TI = nan ms", "# inversion_time_ms: 1e999", "\0")))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


# -- links and special files


def special(r: Random, path: Path) -> None:
    """Put something in a file's place that is no plain file."""
    away = path.with_name(f"{path.name}.away")
    path.rename(away)
    what = r.randrange(9)
    if what == 0:
        os.mkfifo(path)
    elif what == 1:
        with socket.socket(socket.AF_UNIX) as made, _in_folder(path.parent):
            made.bind(path.name)
    elif what == 2:
        path.symlink_to(r.choice(("/dev/zero", "/dev/null", "/dev/tty", "/dev/stdin", "/proc/self/mem")))
    elif what == 3:
        path.symlink_to(path.name)
    elif what == 4:
        path.symlink_to("nowhere")
    elif what == 5:
        fifo = path.with_name("pipe")
        os.mkfifo(fifo)
        path.symlink_to(fifo)
    elif what == 6:
        path.mkdir()
    elif what == 7:
        path.symlink_to(away)
    else:
        path.symlink_to(r.choice(("/etc/passwd", "/proc/self/environ", "/proc/cpuinfo", "/")))


class _in_folder:  # noqa: N801 - names of sockets are short
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        self.here = Path.cwd()
        os.chdir(self.folder)

    def __exit__(self, *_: object) -> None:
        os.chdir(self.here)


# -- all together


def _of_file(path: Path) -> list[Callable[[Random, bytes], bytes]]:
    name = path.name.lower()
    if name.endswith((".nii", ".hdr")):
        return [*BYTES, *[nifti] * 8]
    if name.endswith(".nii.gz"):
        return [*BYTES[:4], *[nifti] * 6, *[gzipped] * 3]
    if name.endswith((".mnc.gz",)):
        return [*BYTES[:3], *[gzipped] * 8]
    if name.endswith(".npz"):
        return [*BYTES, *[zipped] * 10]
    if name.endswith(".npy"):
        return [*BYTES, *[npy] * 5]
    if name.endswith(".mat"):
        return [*BYTES, *[matlab] * 8]
    if name.endswith((".json", ".zarray", ".zgroup", ".zattrs")):
        return [*BYTES[::4], *[changed_json] * 12]
    if name.endswith((".csv", ".tsv", ".txt")):
        return [*BYTES, *[table] * 10]
    if name.endswith((".safetensors", ".training")):
        return [*BYTES, *[model] * 12]
    return list(BYTES)


def mutate(r: Random, folder: Path) -> str:
    """Change one file below a folder; return what was done."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    # what describes the others more often than one of many volumes
    told = [path for path in files if path.suffix in (".json", ".tsv", ".zarray", ".zgroup")]
    path = r.choice(told if told and r.random() < 0.5 else files)
    if r.random() < 0.06:
        special(r, path)
        return f"special {path.name}"
    try:
        head = path.read_bytes()[:520]
        if b"\x89HDF" in head and r.random() < 0.5:
            hdf5(r, path)
            return f"hdf5 {path.name}"
        if path.suffix == ".dcm" and r.random() < 0.6:
            dicom(r, path)
            return f"dicom {path.name}"
    except Exception as error:  # the library itself may refuse to make such a file
        return f"none ({type(error).__name__})"
    change = r.choice(_of_file(path))
    path.write_bytes(change(r, path.read_bytes()))
    return f"{change.__name__} {path.name}"
