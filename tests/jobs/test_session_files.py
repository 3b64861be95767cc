"""Sessions on disk: every bit comes back, and what is damaged, foreign or cut short is refused in a sentence."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

import napari_blochnet as nb
from napari_blochnet.common.errors import Cancelled, InputError
from napari_blochnet.jobs.sessions import SESSION_FILE, SavedSession, read_session, write_session

SHAPE = (2, 5, 4)


def _bits(array):
    return array.dtype, array.shape, array.tobytes()


@pytest.fixture(scope="module")
def saved():
    rng = np.random.default_rng(1)
    mask = rng.uniform(size=SHAPE) > 0.2
    affine = np.array([[-1.1, 0.1, 0, 7 / 3], [0, 0.9, 0.2, 1e-9], [0.05, 0, 3.3, -1 / 7], [0, 0, 0, 1]])
    phantom = nb.Phantom(
        t1=rng.uniform(300, 5000, SHAPE), t2=rng.uniform(20, 290, SHAPE), pd=rng.uniform(0.5, 1, SHAPE), mask=mask,
        b1=rng.uniform(0.8, 1.2, SHAPE), labels=rng.integers(1, 3, SHAPE), tissues=("white matter", "α <b>"),
        fractions={"white matter": rng.uniform(size=SHAPE).astype(np.float32), "α <b>": rng.uniform(size=SHAPE)},
        voxel_size=(1.1, 1 / 3, 2.0), affine=affine, name="héad/..", notes=("one", "two"), record={"operation": "x"},
    )  # fmt: skip
    schedule = nb.spline_schedule(length=30, seed=2).replace(slice_profile=[0.2, 1.0, 1 / 3])
    stacks = [
        nb.simulate(nb.Phantom(t1=phantom.t1, t2=phantom.t2, pd=phantom.pd, mask=mask), schedule, snr=7, kind=kind)
        for kind in ("complex", "real", "magnitude")
    ]
    stacks.append(nb.FingerprintStack(rng.integers(0, 255, (30, *SHAPE), dtype=np.uint8), schedule))
    stacks.append(nb.FingerprintStack(rng.normal(size=(30, *SHAPE)) + 1j, schedule))
    maps = nb.reconstruct(stacks[0], "dictionary", step=0.3, refine=True)
    subjects = (phantom, *stacks, maps)
    arrays = (rng.integers(0, 9, (3, 4), dtype=np.int16), np.zeros((0, 4, 3)), rng.normal(size=(2, 2)))
    return SavedSession(subjects, arrays, {"note": 1 / 3, "layers": []})


def _assert_same(one, other):
    assert type(one) is type(other)
    for key, value in vars(one).items():
        found = getattr(other, key)
        if isinstance(value, np.ndarray):
            assert _bits(value) == _bits(found), key
        elif key == "fractions" and value is not None:
            assert list(value) == list(found)
            assert all(_bits(value[name]) == _bits(found[name]) for name in value)
        else:
            assert value == found, key


def test_every_bit_comes_back(saved, tmp_path):
    folder = write_session(saved, tmp_path / "session")
    for path in (folder, folder / SESSION_FILE):
        found = read_session(path)
        assert len(found.subjects) == len(saved.subjects)
        for one, other in zip(saved.subjects, found.subjects, strict=True):
            _assert_same(one, other)
        assert list(map(_bits, found.arrays)) == list(map(_bits, saved.arrays))
        assert found.state == saved.state
    # one voxel's fingerprint is one stretch of memory, as it was
    assert found.subjects[1].data.strides == saved.subjects[1].data.strides
    assert found.subjects[1].schedule == saved.subjects[1].schedule


def test_saving_again_replaces_and_leaves_nothing_behind(saved, tmp_path):
    folder = write_session(saved, tmp_path / "session")
    before = {path.name for path in folder.iterdir()}
    smaller = SavedSession(saved.subjects[:1], (), {"layers": ["x"]})
    write_session(smaller, folder / SESSION_FILE)
    after = {path.name for path in folder.iterdir()}
    assert len(after) == 2
    assert after & before == {SESSION_FILE}
    assert read_session(folder).state == {"layers": ["x"]}


class _After:
    """Set after some looks."""

    def __init__(self, looks):
        self.looks = looks

    def is_set(self):
        self.looks -= 1
        return self.looks < 0


def test_a_cancelled_or_failing_save_leaves_the_old_session(saved, tmp_path, monkeypatch):
    folder = write_session(SavedSession(saved.subjects[:1], (), {"old": True}), tmp_path / "session")
    content = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for looks in (0, 3, 10):
        with pytest.raises(Cancelled):
            write_session(saved, folder, cancelled=_After(looks))
        assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == content
    with pytest.raises(ValueError, match=r"NaN|JSON"):
        write_session(SavedSession((), (), {"bad": float("nan")}), folder)
    assert read_session(folder).state == {"old": True}
    with pytest.raises(Cancelled):
        write_session(saved, tmp_path / "never", cancelled=_After(2))
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("missing", ["maps-6.json", "array-0.npy"])
def test_a_session_that_was_read_in_part_does_not_replace_the_whole(saved, tmp_path, missing):
    folder = write_session(saved, tmp_path / "session")
    (file,) = folder.glob(f"data-*/{missing}")
    file.write_bytes(b"")
    left_out = []
    part = read_session(folder, left_out=left_out)
    assert len(left_out) == 1
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for place in (folder, tmp_path / "other"):
        with pytest.raises(InputError, match="left out when it was read"):
            write_session(part, place)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "other").exists()


def test_a_session_that_could_not_be_read_again_is_not_written(saved, tmp_path):
    folder = write_session(saved, tmp_path / "session")
    record = {}
    for _ in range(120):  # two levels a step
        record = {"operation": "x", "inputs": {"phantom": record}}
    with pytest.raises(InputError, match="nested too deeply"):
        write_session(SavedSession((replace(saved.subjects[0], record=record),), (), {}), folder)
    with pytest.raises(InputError, match=r"1,000,00\d lists and objects"):
        write_session(SavedSession((), (), {"layers": [[]] * 1_000_000}), folder)
    assert read_session(folder).state == saved.state


def test_a_folder_of_other_things_is_not_written_into(saved, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        write_session(saved, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        write_session(saved, tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def _edit(folder, **changes):
    path = folder / SESSION_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"blochnet_session": 2}, "later version"),
        ({"blochnet_session": "1"}, "no session"),
        ({"data": "../../etc"}, "damaged"),
        ({"data": "data-00000000"}, "no such file"),
        ({"arrays": -1}, "damaged"),
        ({"arrays": 10**9}, "damaged"),
        ({"subjects": [{"kind": "module", "arrays": []}]}, "damaged"),
        ({"subjects": [{"kind": "phantom", "arrays": ["__class__"]}]}, "damaged"),
        ({"subjects": [{"kind": "phantom", "arrays": ["t1", "t2"]}]}, "damaged"),
        ({"state": []}, "damaged"),
    ],
)
def test_a_changed_session_file_is_refused(saved, tmp_path, changes, sentence):
    folder = write_session(saved, tmp_path / "session")
    _edit(folder, **changes)
    with pytest.raises(InputError, match=sentence):
        read_session(folder)


def test_damaged_files_are_refused_before_anything_is_allocated(saved, tmp_path):
    folder = write_session(saved, tmp_path / "session")
    (data,) = (path for path in folder.iterdir() if path.is_dir())
    array = data / "stack-1-data.npy"
    whole = array.read_bytes()
    for broken in (whole[:-1], whole + b"x", b"not numpy", b""):
        array.write_bytes(broken)
        with pytest.raises(InputError, match=r"stack-1-data\.npy"):
            read_session(folder)
    with array.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<c8", "fortran_order": False, "shape": (2**40, 2**20)})
    with pytest.raises(InputError, match="damaged"):
        read_session(folder)
    np.save(array, np.array([{"run": "me"}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="damaged"):
        read_session(folder)
    array.unlink()
    with pytest.raises(InputError, match="no such file"):
        read_session(folder)
    array.write_bytes(whole)
    about = json.loads((data / "stack-1.json").read_text())
    wrong = {
        "schedule": ({"flip_angle": [1]}, "missing"),
        "voxel_size": ([1, 2], "three lengths"),
        "affine": ("x", "damaged"),
        "record": (3, "damaged"),
        "kind": ("real", "real"),
    }
    for key, (value, found) in wrong.items():
        (data / "stack-1.json").write_text(json.dumps({**about, key: value}))
        with pytest.raises(InputError, match=found):
            read_session(folder)
    (data / "stack-1.json").write_text(json.dumps(about))
    about = json.loads((data / "maps-6.json").read_text())
    for others in ([3], [["B1", "", ""]]):
        (data / "maps-6.json").write_text(json.dumps({**about, "others": others}))
        with pytest.raises(InputError, match=r"maps-6\.json: is damaged"):
            read_session(folder)
    (data / "stack-1.json").write_text("[")
    with pytest.raises(InputError, match="not JSON"):
        read_session(folder)


def test_values_that_cannot_be_are_refused_by_their_own_class(saved, tmp_path):
    folder = write_session(saved, tmp_path / "session")
    (data,) = (path for path in folder.iterdir() if path.is_dir())
    path = data / "phantom-0-t2.npy"
    np.save(path, -np.load(path))
    with pytest.raises(InputError, match=r"phantom-0.json: t2 is -"):
        read_session(folder)


def test_opening_can_be_cancelled(saved, tmp_path):
    folder = write_session(saved, tmp_path / "session")
    wish = threading.Event()
    wish.set()
    with pytest.raises(Cancelled):
        read_session(folder, cancelled=wish)


def test_a_large_array_stays_on_disk(saved, tmp_path, monkeypatch):
    from napari_blochnet.jobs import sessions as session_files

    folder = write_session(saved, tmp_path / "session")
    monkeypatch.setattr(session_files, "_MAPPED_BYTES", 1000)
    found = read_session(folder)
    assert isinstance(found.subjects[1].data, np.memmap)
    _assert_same(saved.subjects[1], found.subjects[1])
