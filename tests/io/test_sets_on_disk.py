"""Sets of files: what else a person keeps under the same beginning stays, and no set is ever half old, half new."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import nibabel as nib
import numpy as np
import pytest
import zarr
from matplotlib.figure import Figure

import napari_blochnet as nb
from napari_blochnet.common.errors import DataWarning, InputError
from napari_blochnet.evaluation.maps_io import files_to_write, read_maps, write_map, write_maps
from napari_blochnet.fingerprints.stack_files import read_fingerprints, write_fingerprints
from napari_blochnet.io.origin import check_outputs, is_ours
from napari_blochnet.phantoms.write import write_phantom

STORED = Path(__file__).parents[1] / "earlier_versions" / "stored"


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made():
    schedule = nb.spline_schedule(length=40, inversion_time=20.0, seed=3)
    truth = nb.synthetic_phantom(shape=(2, 12, 10))
    stack = nb.simulate(truth, schedule, snr=30.0)
    return {"truth": truth, "stack": stack, "maps": nb.reconstruct(stack, step=0.3)}


def named(phantom, name):
    return replace(phantom, name=name)


# -- phantoms beside other results


def test_a_phantom_takes_nothing_but_what_its_earlier_self_listed(made, tmp_path):
    head = named(made["truth"], "head")
    write_phantom(replace(head, b1=np.where(head.mask, 0.9, 0).astype(np.float32)), tmp_path)
    members = set(digests(tmp_path))
    write_fingerprints(made["stack"], tmp_path / "sub-head_mrf.nii.gz")
    write_fingerprints(made["stack"], tmp_path / "sub-head_x.zarr")
    comparison = nb.compare(made["truth"], made["maps"])
    comparison.to_html(tmp_path / "sub-head_report.html")
    write_map(made["maps"], "residual", tmp_path / "sub-head_fit.nii.gz")
    others = {name: digest for name, digest in digests(tmp_path).items() if name not in members}
    plain = replace(head, labels=None, tissues=(), fractions=None)
    write_phantom(plain, tmp_path)
    after = digests(tmp_path)
    assert {name: after.get(name) for name in others} == others
    assert not {"sub-head_TB1map.nii.gz", "sub-head_TB1map.json", "sub-head_dseg.tsv"} & set(after)
    assert not any("probseg" in name for name in after)


def test_a_phantom_of_an_earlier_version_loses_only_its_own_members(made, tmp_path):
    shutil.copytree(STORED / "small", tmp_path, dirs_exist_ok=True)
    write_fingerprints(made["stack"], tmp_path / "sub-synthetichead_mrf.nii.gz")
    kept = [name for name in digests(tmp_path) if "_mrf" in name]
    write_phantom(replace(made["truth"], labels=None, tissues=(), fractions=None), tmp_path)
    after = set(digests(tmp_path))
    assert set(kept) <= after
    assert not any("probseg" in name or "dseg" in name for name in after)


def test_images_of_other_programs_beside_an_earlier_versions_phantom_stay(made, tmp_path):
    shutil.copytree(STORED / "small", tmp_path, dirs_exist_ok=True)
    # measured, and of a segmentation of one's own
    for name in ("TB1map", "label-lesion_probseg"):
        image = nib.Nifti1Image(np.full((4, 3, 2), 0.9, np.float32), np.eye(4))
        nib.save(image, tmp_path / f"sub-synthetichead_{name}.nii.gz")
    before = digests(tmp_path)
    with pytest.raises(InputError, match=r"TB1map\.nii\.gz"):
        write_phantom(replace(made["truth"], b1=np.ones(made["truth"].shape, np.float32)), tmp_path)
    assert digests(tmp_path) == before
    write_phantom(made["truth"], tmp_path)
    after = digests(tmp_path)
    for name in ("TB1map", "label-lesion_probseg"):
        assert after[f"sub-synthetichead_{name}.nii.gz"] == before[f"sub-synthetichead_{name}.nii.gz"]


def test_a_phantom_does_not_replace_maps_nor_maps_a_phantom(made, tmp_path):
    write_maps(made["maps"], tmp_path / "maps")
    before = digests(tmp_path)
    with pytest.raises(InputError, match=r"sub-01_T1map\.json in .* is of maps, .*expected another folder"):
        write_phantom(named(made["truth"], "01"), tmp_path / "maps")
    # what is left of a set of maps whose list was taken away
    (tmp_path / "maps" / "sub-01_T1map.nii.gz").rename(tmp_path / "t1.nii.gz")
    (tmp_path / "maps" / "sub-01_T1map.json").rename(tmp_path / "t1.json")
    with pytest.raises(InputError, match=r"sub-01_T2map\.json in .* is of maps"):
        write_phantom(named(made["truth"], "01"), tmp_path / "maps")
    (tmp_path / "t1.nii.gz").rename(tmp_path / "maps" / "sub-01_T1map.nii.gz")
    (tmp_path / "t1.json").rename(tmp_path / "maps" / "sub-01_T1map.json")
    assert digests(tmp_path) == before
    write_phantom(named(made["truth"], "01"), tmp_path / "p")
    before = digests(tmp_path)
    with pytest.raises(InputError, match=r"sub-01_T1map\.json in .* is of a phantom, .*expected another folder"):
        write_maps(made["maps"], tmp_path / "p")
    # which a command asks before it maps
    with pytest.raises(InputError, match="is of a phantom"):
        check_outputs(files_to_write(tmp_path / "p"))
    assert digests(tmp_path) == before
    write_maps(made["maps"], tmp_path / "p", prefix="sub-02")
    assert read_maps(tmp_path / "p", "sub-02").shape == made["maps"].shape


def test_maps_take_nothing_that_they_did_not_list(made, tmp_path):
    write_maps(made["maps"], tmp_path)
    # the B1 map of another mapping, saved by itself
    other = made["maps"].replace(b1=np.ones(made["maps"].shape, np.float32))
    write_map(other, "b1", tmp_path / "sub-01_TB1map.nii.gz")
    before = digests(tmp_path)
    write_maps(made["maps"], tmp_path)
    after = digests(tmp_path)
    for name in ("sub-01_TB1map.nii.gz", "sub-01_TB1map.json"):
        assert after[name] == before[name]


# -- stacks


def _full(monkeypatch, ending):
    """Let the disk be full as soon as a file with this ending is written."""
    true = Path.write_text

    def write_text(self, *args, **more):
        if self.name.endswith(ending):
            raise OSError(errno.ENOSPC, "No space left on device")
        return true(self, *args, **more)

    monkeypatch.setattr(Path, "write_text", write_text)


def test_a_stack_that_could_not_be_written_leaves_the_old_one_whole(made, tmp_path, monkeypatch):
    path = tmp_path / "a.nii.gz"
    write_fingerprints(made["stack"], path)
    before = digests(tmp_path)
    other = nb.simulate(made["truth"], nb.spline_schedule(length=40, seed=9), snr=5.0)
    with monkeypatch.context() as during:
        _full(during, ".json")
        with pytest.raises(OSError, match="No space left") as said:
            write_fingerprints(other, path)
    assert Path(said.value.filename) == tmp_path / "a.json"
    assert digests(tmp_path) == before
    assert read_fingerprints(path).schedule == made["stack"].schedule
    write_fingerprints(other, path)
    assert read_fingerprints(path).schedule == other.schedule


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("what", ["stack", "maps", "phantom"])
def test_a_set_that_could_not_be_put_in_place_is_put_back(what, step, made, tmp_path, monkeypatch):
    def write(number):
        if what == "stack":
            write_fingerprints(made["stack"], tmp_path / "a.nii", record={"number": number})
        elif what == "maps":
            write_maps(made["maps"].replace(estimator=f"n{number}"), tmp_path)
        else:
            write_phantom(replace(made["truth"], notes=(f"n{number}",)), tmp_path)

    write(1)
    before = digests(tmp_path)
    count = []

    def refusing(true):
        def rename(source, target):
            count.append(target)
            if len(count) == step + 1:
                raise PermissionError(errno.EACCES, "Permission denied", str(source))
            return true(source, target)

        return rename

    with monkeypatch.context() as during:
        during.setattr(os, "rename", refusing(os.rename))
        during.setattr(os, "replace", refusing(os.replace))
        with pytest.raises(PermissionError):
            write(2)
    assert digests(tmp_path) == before
    write(2)
    assert digests(tmp_path).keys() == before.keys()


def test_what_cannot_be_written_is_named_as_the_person_named_it(made, tmp_path, monkeypatch):
    def denied(self, mode=0o777, parents=False, exist_ok=False):
        if not exist_ok:
            raise PermissionError(errno.EACCES, "Permission denied", str(self.absolute()))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "mkdir", denied)
    for write, name in (
        (lambda: nb.write_schedule(made["stack"].schedule, "foo.csv"), "foo.csv"),
        (lambda: write_fingerprints(made["stack"], "foo.nii.gz"), "foo.nii.gz"),
        (lambda: write_fingerprints(made["stack"], tmp_path / "foo.zarr"), "foo.zarr"),
    ):
        with pytest.raises(PermissionError) as said:
            write()
        assert Path(said.value.filename).name == name
        assert list(tmp_path.iterdir()) == []


# -- files that only look like ours


def _figure(path: Path) -> Path:
    Figure().savefig(path)
    return path


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_figures_of_other_programs_beside_our_page_are_theirs(ending, made, tmp_path):
    comparison = nb.compare(made["truth"], made["maps"])
    comparison.to_html(tmp_path / "report.html")
    comparison.to_csv(tmp_path / "report.csv")
    for name in ("fit", "maps", "report_draft", "figure-1"):
        assert not is_ours(_figure(tmp_path / f"{name}{ending}"))
    # as earlier versions named theirs
    for name in ("report", "report-maps", "report-scatter"):
        assert is_ours(_figure(tmp_path / f"{name}{ending}"))
    with pytest.raises(InputError, match="fit-maps"):
        comparison.to_figures(_figure(tmp_path / f"fit-maps{ending}").with_name(f"fit{ending}"))


def test_figures_of_an_earlier_version_are_known_by_all_that_lies_beside(made, tmp_path):
    comparison = nb.compare(made["truth"], made["maps"])
    comparison.to_html(tmp_path / "report.html")
    comparison.to_csv(tmp_path / "report.csv")
    nb.write_schedule(made["stack"].schedule, tmp_path / "schedule.csv")
    picture = _figure(tmp_path / "maps.png")
    assert mpl.__version__.encode() in picture.read_bytes()
    assert not is_ours(picture)
    shutil.copy(STORED / "recipe-maps.json", tmp_path / "recipe.json")
    assert is_ours(picture)
    (tmp_path / "figure6.csv").write_text("experiment,draw,model,preset,seed,set\nfigure6,1,fc,quick,0,phantom\n")
    (tmp_path / "mine.csv").write_text("experiment,draw,model,preset,seed,set\nfigure6,1,fc,quick,0,phantom\n")
    assert is_ours(_figure(tmp_path / "figure6_phantom.png"))
    assert not is_ours(_figure(tmp_path / "mine_phantom.png"))
    for name in ("figure6.md", "mine.md", "report.md"):
        (tmp_path / name).write_text("# Figure 6\n")
    assert [is_ours(tmp_path / name) for name in ("figure6.md", "mine.md", "report.md")] == [True, False, False]


@pytest.mark.parametrize(
    "content",
    [
        {"Units": "s", "Name": "left knee"},
        {"Units": "label", "Description": "regions of the knee"},
        {"Units": "label", "Description": "tissue of a colleague", "Labels": {"1": "white"}},
        {"key": "A1", "rows": [1, 2]},
        {"Units": "%", "Description": "my (estimate − truth)/truth"},
    ],
)
def test_json_that_anybody_could_have_written_is_theirs(content, made, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    assert not is_ours(path)
    with pytest.raises(InputError, match=r"a\.json"):
        write_fingerprints(made["stack"], tmp_path / "a.nii.gz")


# -- stores, links, folders


def test_hidden_files_of_a_file_manager_do_not_make_a_store_foreign(made, tmp_path):
    path = tmp_path / "a.zarr"
    write_fingerprints(made["stack"], path)
    for name in (".DS_Store", "._data", "data/.DS_Store"):
        (path / name).write_bytes(b"\0\0\0\1Bud1")
    back = read_fingerprints(path)
    assert back.schedule == made["stack"].schedule
    assert np.array_equal(back.data, made["stack"].data)
    write_fingerprints(made["stack"], path)
    assert sorted(entry.name for entry in path.iterdir()) == ["data", "mask", "zarr.json"]


@pytest.mark.parametrize("name", ["notes.txt", "data/notes.txt", ".git/HEAD", ".notes"])
def test_a_store_in_which_a_person_keeps_something_stays(name, made, tmp_path):
    path = tmp_path / "a.zarr"
    write_fingerprints(made["stack"], path)
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_text("mine")
    before = digests(tmp_path)
    with pytest.raises(InputError, match=r"a\.zarr in .* was not written by napari-blochnet"):
        write_fingerprints(made["stack"], path)
    assert digests(tmp_path) == before


def test_an_empty_folder_is_free_for_a_store(made, tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    write_fingerprints(made["stack"], path)
    assert zarr.open_group(path, mode="r")["data"].shape == made["stack"].shape
    (tmp_path / "s.csv").mkdir()
    assert not is_ours(tmp_path / "s.csv")


@pytest.mark.parametrize("name", ["a.zarr", "a.nii.gz", "s.csv"])
@pytest.mark.parametrize("is_there", [True, False])
def test_what_a_link_leads_to_is_written_where_it_is_ours(name, is_there, made, tmp_path):
    def write(path):
        if name == "s.csv":
            nb.write_schedule(made["stack"].schedule, path)
        else:
            write_fingerprints(made["stack"], path)

    (tmp_path / "store").mkdir()
    there, link = tmp_path / "store" / name, tmp_path / name
    if is_there:
        write(there)
    link.symlink_to(there)
    before = digests(tmp_path)
    if is_there and name != "a.nii.gz":
        other = nb.spline_schedule(length=40, seed=9)
        if name == "s.csv":
            there.chmod(0o600)
            nb.write_schedule(other, link)
            assert nb.read_schedule(there) == other
            assert there.stat().st_mode & 0o777 == 0o600
        else:
            write_fingerprints(replace(made["stack"], schedule=other), link)
            assert read_fingerprints(there).schedule == other
        assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([name, "store"])
        assert [entry.name for entry in there.parent.iterdir()] == [name]
    else:  # a set of several lies in one folder; where a link leads nowhere, nobody knows whose that is
        with pytest.raises(InputError, match=rf"{name} is a link to .*{name}, and no link is replaced; expected ano"):
            write(link)
        assert digests(tmp_path) == before
    assert link.is_symlink()
    # through a folder that is one, everything is as ever
    (tmp_path / "way").symlink_to(tmp_path / "store")
    write(tmp_path / "way" / name)
    assert there.exists()


# -- inputs that were read elsewhere


@pytest.mark.parametrize("what", ["stack", "schedule", "phantom", "b1"])
def test_an_input_is_protected_when_the_working_folder_changed(what, made, tmp_path, monkeypatch):
    from napari_blochnet.jobs.operations.opening import make_schedule, open_fingerprints, open_phantom

    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.chdir(first)
    if what == "stack":
        write_fingerprints(made["stack"], "a.nii.gz")
        read = open_fingerprints("a.nii.gz")
        assert read.record["inputs"]["path"] == "a.nii.gz"
        write, path = write_fingerprints, first / "a.nii.gz"
    elif what == "schedule":
        nb.write_schedule(made["stack"].schedule, "a.csv")
        read = make_schedule(kind="file", path="a.csv")
        assert read.record["settings"]["path"] == "a.csv"
        write, path = nb.write_schedule, first / "a.csv"
    elif what == "phantom":
        write_phantom(made["truth"], "p")
        read = open_phantom("p")
        write, path = write_phantom, first / "p"
    else:
        write_phantom(replace(made["truth"], b1=np.where(made["truth"].mask, 0.9, 0).astype(np.float32)), "p")
        b1 = "p/sub-synthetichead_TB1map.nii.gz"
        read = nb.reconstruct(made["stack"], step=0.3, refine=True, b1=b1)
        assert read.record["settings"]["b1"] == b1
        write, path = (lambda maps, place: write_map(maps, "b1", place)), first / b1
    before = digests(tmp_path)
    monkeypatch.chdir(second)
    with pytest.raises(InputError, match="is what this is made from"):
        write(read, path)
    assert digests(tmp_path) == before


def test_the_demonstration_looks_before_it_simulates(tmp_path, monkeypatch):
    from napari_blochnet.jobs import demo

    (tmp_path / "report.html").write_text("<p>mine</p>")
    monkeypatch.setattr(demo, "simulate", None)
    with pytest.raises(InputError, match=r"report\.html"):
        demo.run_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


# -- members that are not what was written


def test_a_member_that_a_person_edited_is_read_and_told(made, tmp_path):
    path = tmp_path / "a.nii.gz"
    write_fingerprints(made["stack"], path)
    assert not any("changed" in note for note in read_fingerprints(path).notes)
    mask = nib.load(tmp_path / "a_mask.nii.gz")
    smaller = np.asarray(mask.dataobj).copy()
    smaller[: len(smaller) // 2] = 0
    nib.save(nib.Nifti1Image(smaller, mask.affine), tmp_path / "a_mask.nii.gz")
    back = read_fingerprints(path)
    assert np.array_equal(back.mask, smaller.T.astype(bool))
    told = "a_mask.nii.gz was changed since it was written with the others; it is read as it is now."
    assert told in back.notes

    write_maps(made["maps"], tmp_path / "maps")
    twice = nib.load(tmp_path / "maps" / "sub-01_T2map.nii.gz")
    nib.save(nib.Nifti1Image(2 * twice.get_fdata(), twice.affine), tmp_path / "maps" / "sub-01_T2map.nii.gz")
    with pytest.warns(DataWarning, match=r"sub-01_T2map\.nii\.gz was changed since"):
        back = read_maps(tmp_path / "maps")
    np.testing.assert_allclose(back.t2, 2 * made["maps"].t2, rtol=1e-6)

    head = named(made["truth"], "head")
    write_phantom(head, tmp_path / "p")
    t1 = nib.load(tmp_path / "p" / "sub-head_T1map.nii.gz")
    nib.save(nib.Nifti1Image(1.5 * t1.get_fdata(), t1.affine), tmp_path / "p" / "sub-head_T1map.nii.gz")
    back = nb.read_phantom(tmp_path / "p")
    np.testing.assert_allclose(back.t1[back.mask], 1.5 * head.t1[back.mask], rtol=1e-6)
    assert any("sub-head_T1map.nii.gz was changed since" in note for note in back.notes)


def test_what_is_left_of_another_set_is_said_and_not_used(made, tmp_path):
    b1 = np.where(made["truth"].mask, 0.8, 0).astype(np.float32)
    write_phantom(replace(named(made["truth"], "head"), b1=b1), tmp_path / "other")
    write_phantom(named(made["truth"], "head"), tmp_path / "p")
    shutil.copy(tmp_path / "other" / "sub-head_TB1map.nii.gz", tmp_path / "p")
    back = nb.read_phantom(tmp_path / "p")
    assert back.b1 is None
    assert any("sub-head_TB1map.nii.gz" in note and "left alone" in note for note in back.notes)

    write_maps(made["maps"], tmp_path / "maps")
    shutil.copy(tmp_path / "maps" / "sub-01_T1map.nii.gz", tmp_path / "maps" / "sub-01_desc-se_T1map.nii.gz")
    with pytest.warns(DataWarning, match=r"sub-01_desc-se_T1map\.nii\.gz in .* is not of the set"):
        assert read_maps(tmp_path / "maps").t1_se is None

    path = tmp_path / "a.nii.gz"
    write_fingerprints(made["stack"], path)
    content = json.loads((tmp_path / "a.json").read_text())
    del content["NapariBlochnetFiles"]["a_mask.nii.gz"]
    (tmp_path / "a.json").write_text(json.dumps(content))
    back = read_fingerprints(path)
    assert "a_mask.nii.gz beside it is not of its set, and left alone." in back.notes
