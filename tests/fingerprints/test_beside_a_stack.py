"""What lies beside a stack, or in its place: other programs' JSON, pointers of large-file stores, forged headers."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile

import nibabel as nib
import numpy as np
import pytest
from scipy.io import savemat

import napari_blochnet as nb
from napari_blochnet.common.errors import InputError
from napari_blochnet.fingerprints.stack_files import write_fingerprints
from napari_blochnet.io.json_files import read_json
from napari_blochnet.jobs.recognise import has_own_schedule

N = 9
SCHEDULE = nb.Schedule(np.linspace(10, 60, N), 12.0, 4.0)
DATA = np.random.default_rng(0).normal(size=(4, 3, 2, N)) + 1j
WORDS = {"PatientName": "Jäger", "EchoTime": 0.004}
FOREIGN = {
    "latin-1": json.dumps(WORDS, ensure_ascii=False).encode("latin-1"),
    "UTF-8 with a mark": json.dumps(WORDS).encode("utf-8-sig"),
    "UTF-16": json.dumps(WORDS).encode("utf-16"),
    "empty": b"",
    "spaces": b" \n",
    "a list": b"[1, 2]",
    "a number": b"3",
    "text": b"no JSON",
    "half": b'{"a": [1,',
    "deep": b"[" * 200_000,
    "deep object": b'{"a":' * 100_000,
    "a long number": b'{"a": ' + b"9" * 5000 + b"}",
    "lists without end": b"[" + b"[]," * 1_100_000 + b"[]]",
    "another schedule": b'{"schedule": {"flip_angle": "many"}}',
    "a schedule in words": b'{"schedule": "monthly", "kind": "real", "snr": 1e400}',
    "our words": b'{"kind": "magnitude", "name": ["x"], "snr": "high", "record": 3}',
    "binary": bytes(range(256)),
}


@pytest.fixture
def stack(tmp_path):
    nib.save(nib.Nifti1Image(DATA.astype(np.complex64), np.eye(4)), tmp_path / "a.nii.gz")
    return tmp_path / "a.nii.gz"


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_foreign_json_beside_a_stack_does_not_matter(stack, content):
    stack.with_name("a.json").write_bytes(content)
    read = nb.read_fingerprints(stack, SCHEDULE)
    np.testing.assert_array_equal(read.data, DATA.T.astype(np.complex64))
    assert (read.kind, read.name, read.snr) == ("complex", "a", None)
    # napari's reader asks whose it is
    assert not has_own_schedule(stack) or b"flip_angle" in content
    # without a schedule it is needed, and what is wrong with it is said
    with pytest.raises(InputError) as caught:
        nb.read_fingerprints(stack)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_with_json_beside_a_stack_is_said(stack):
    stack.with_name("a.json").write_bytes(b"")
    assert any("a.json beside it is left aside: " in note for note in nb.read_fingerprints(stack, SCHEDULE).notes)
    with pytest.raises(InputError, match=r"does not say what schedule made it \(a\.json beside it is left aside"):
        nb.read_fingerprints(stack)


@pytest.mark.parametrize("digits", [400, 5000])
def test_numbers_beyond_all_bounds_in_our_own_json(tmp_path, digits):
    files = write_fingerprints(nb.FingerprintStack(DATA.T.astype(np.complex64), SCHEDULE), tmp_path / "a.nii.gz")
    huge = "9" * digits
    text = files[2].read_text()
    files[2].write_text(text.replace('"snr": null', f'"snr": {huge}').replace('"noise_sigma": null', f'"x": -{huge}'))
    assert nb.read_fingerprints(files[0]).snr is None
    files[2].write_text(text.replace("10.0,", f"{huge},", 1))
    with pytest.raises(InputError, match=r"^a\.json: flip_angle is inf at pulse 1; expected a finite number"):
        nb.read_fingerprints(files[0])


def test_whole_numbers_keep_all_their_digits(tmp_path):
    (tmp_path / "a.json").write_text('{"seed": 340282366920938463463374607431768211455}')
    assert read_json(tmp_path / "a.json") == {"seed": 2**128 - 1}


# -- pointers


POINTERS = {
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 230528\n",
    "git-annex": b"/annex/objects/MD5E-s230528--5f3a.nii.gz\n",
}


@pytest.mark.parametrize("store", POINTERS)
@pytest.mark.parametrize("ending", ["npy", "npz", "nii", "nii.gz", "h5", "mat", "img", "json", "csv"])
def test_a_pointer_is_named_whatever_it_stands_for(tmp_path, store, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(POINTERS[store])
    readers = {"json": read_json, "csv": nb.read_schedule}
    with pytest.raises(
        InputError, match=rf"^a\.{ending}: holds only a pointer of {store}, not the file.* get|pull"
    ) as e:
        readers.get(ending, lambda path: nb.read_fingerprints(path, SCHEDULE))(path)
    assert "git lfs pull" in str(e.value) or "git annex get" in str(e.value)
    assert "pickle" not in str(e.value)


def test_a_link_to_nothing_of_git_annex_is_named(tmp_path):
    (tmp_path / "a.npy").symlink_to("../.git/annex/objects/x/y/MD5E-s230528.npy")
    with pytest.raises(InputError, match=r"no such file or folder; fetch it with: git annex get"):
        nb.read_fingerprints(tmp_path / "a.npy", SCHEDULE)


def test_what_is_no_array_is_told_without_advice_about_pickles(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"text, and more text")
    with pytest.raises(InputError, match="does not begin as one does") as caught:
        nb.read_fingerprints(tmp_path / "a.npy", SCHEDULE)
    assert "pickle" not in str(caught.value)
    with zipfile.ZipFile(tmp_path / "b.npy", "w") as archive:  # an archive by an array's name
        archive.writestr("x.npy", b"")
    with pytest.raises(InputError, match=r"^b\.npy: cannot be read as a NumPy array"):
        nb.read_fingerprints(tmp_path / "b.npy", SCHEDULE)


# -- forged headers


@pytest.mark.parametrize("version", [b"\x01\x00", b"\x02\x00", b"\x03\x00"])
def test_a_header_in_an_archive_that_claims_too_much_is_refused_cheaply(tmp_path, version):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        field = struct.pack("<H", 65535) if version == b"\x01\x00" else struct.pack("<I", 50 * 2**20)
        archive.writestr("stack.npy", b"\x93NUMPY" + version + field + b" " * 50 * 2**20)
    (tmp_path / "a.npz").write_bytes(content.getvalue())
    tracemalloc.start()
    with pytest.raises(InputError, match=r"^a\.npz: .*a header claims"):
        nb.read_fingerprints(tmp_path / "a.npz", SCHEDULE)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 * 2**20


def test_axes_of_one_beyond_four_are_dropped(tmp_path):
    expected = DATA.T.astype(np.complex64)
    matlab = expected.transpose(2, 3, 1, 0)  # y, x, z, time
    savemat(tmp_path / "a.mat", {"s": matlab[:, :, :, None]})
    np.save(tmp_path / "a.npy", expected[:, None, :, :, :, None])
    nib.save(nib.Nifti1Image(expected.T[:, :, :, None], np.eye(4)), tmp_path / "a.nii.gz")
    for name, hints in (("a.mat", {"time_axis": 4}), ("a.npy", {"time_axis": 0}), ("a.nii.gz", {})):
        np.testing.assert_array_equal(nb.read_fingerprints(tmp_path / name, SCHEDULE, **hints).data, expected)
