import json

import numpy as np
import pytest

from napari_blochnet.common.errors import InputError
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.evaluation.comparison import compare_maps
from napari_blochnet.evaluation.maps import ParameterMaps
from napari_blochnet.evaluation.regions import label_regions, read_regions, read_spheres, region_means
from napari_blochnet.evaluation.result_tables import Region
from napari_blochnet.io.nifti import write_nifti
from napari_blochnet.phantoms.phantom import Phantom

SHAPE = (1, 30, 40)


def _maps(t1, **changes):
    ones = np.ones(SHAPE, np.float32)
    fields = {"t1": t1, "t2": 50 * ones, "pd": ones, "residual": 0.1 * ones, "mask": np.ones(SHAPE, bool)}
    return ParameterMaps(**{**fields, **changes})


def test_mean_and_standard_deviation_of_known_values():
    t1 = np.zeros(SHAPE, np.float32)
    mask = np.zeros(SHAPE, bool)
    t1[0, 0, :4], mask[0, 0, :4] = [100, 200, 300, 9999], True
    failed = np.zeros(SHAPE, bool)
    failed[0, 0, 3] = True
    region = Region("a", mask, {"true": {"T1": 250.0}, "site": {"T1": 160.0, "T2": 40.0}})
    found = region_means([_maps(t1, failed=failed)], [region])
    row = found.table[0]
    assert (row["voxels"], row["failures"]) == (3, 1)
    assert row["mean"] == pytest.approx(200)
    assert row["sd"] == pytest.approx(100)
    assert row["true_percent"] == pytest.approx(-20)
    assert row["site_percent"] == pytest.approx(25)
    assert found.table[1]["site_percent"] == pytest.approx(25)
    assert "true" not in found.table[1]
    assert found.references == ("true", "site")
    assert "-20.0" in found.to_text()


def test_a_region_that_was_not_mapped_has_no_mean():
    region = Region("a", np.ones(SHAPE, bool), {"true": {"T1": 250.0}})
    row = region_means([_maps(np.ones(SHAPE), mask=np.zeros(SHAPE, bool))], [region]).table[0]
    assert (row["voxels"], row["mean"], row["sd"], row["true_percent"]) == (0, None, None, None)


def test_maps_of_one_estimator_are_told_apart():
    found = region_means([_maps(np.ones(SHAPE)), _maps(np.ones(SHAPE))], [Region("a", np.ones(SHAPE, bool))])
    assert list(dict.fromkeys(row["model"] for row in found.rows())) == ["estimate", "estimate 2"]


def test_spheres_are_discs_in_a_single_slice(tmp_path):
    path = tmp_path / "spheres.csv"
    path.write_text("sphere,x,y,t1_true_ms,t2_phantom_ms\nA,10,20,1000,\nB,5,5,500,40\n", encoding="utf-8")
    first, second = read_spheres(path, SHAPE, radius=5)
    assert first.mask.sum() == 81  # lattice points in a circle of radius 5 (Gauss)
    assert first.mask[0, 20, 10]
    assert first.references == {"true": {"T1": 1000.0}}
    assert second.references == {"true": {"T1": 500.0}, "phantom": {"T2": 40.0}}


def test_spheres_in_a_volume_and_radii_of_their_own(tmp_path):
    path = tmp_path / "spheres.csv"
    path.write_text("sphere,x,y,z,radius\nA,10,10,10,2\n", encoding="utf-8")
    (region,) = read_spheres(path, (20, 20, 20))
    assert region.mask.sum() == 33  # lattice points in a ball of radius 2
    assert region.mask[12, 10, 10]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x,y\n1,2\n", "no column sphere"),
        ("", "is empty"),
        ("sphere,x,y\nA,1,here\n", "'here'"),
        ("sphere,x,y\nA,1,nan\n", "found nan"),
        ("sphere,x,y\nA,1000,1000\n", "outside the volume"),
        ("sphere,x,y,t1_true_ms\nA,1,1,-5\n", "above 0"),
        ("sphere,x,y\nA,1\n", "y: found ''"),
    ],
)
def test_a_list_of_spheres_that_cannot_be_read_gives_a_sentence(tmp_path, text, found):
    path = tmp_path / "spheres.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=found):
        read_regions(path, SHAPE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sphere,x,y,z\na,1,1,1,9\n", "line 2: has 5 cells; expected 4, as in the header"),
        ("sphere,x,y,z\na,1e200,1,1\n", r"line 2, x: found 1e200; expected -1e\+06 to 1e\+06"),
        ("sphere,x,y,z,radius\na,1,1,1,1e200\n", r"line 2, radius: found 1e200; expected 0 to 1e\+06"),
        ("sphere,x,y,z,t1_=cmd|calc!A1_ms\na,8,8,0,1000\n", "has a column 't1_=cmd|calc!A1_ms'"),
        ('sphere,x,y,z\n"a,1,1,1\n', "line 2: has a quotation mark that is not closed"),
        ("sphere;x;y;z\na;1,5;1.5;0\n", "whether the comma is a decimal mark cannot be told"),
    ],
)
def test_wrong_values_end_in_one_sentence(tmp_path, text, found):
    path = tmp_path / "spheres.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"^spheres\.csv.*{found}") as caught:
        read_regions(path, SHAPE)
    assert caught.value.field == "regions"


def test_more_spheres_than_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_blochnet.evaluation.regions._LARGEST_MASKS", 5 * 30 * 40 * 2)
    path = tmp_path / "spheres.csv"
    path.write_text("sphere,x,y,z\n" + "a,1,1,1\n" * 1000, encoding="utf-8")
    with pytest.raises(InputError, match=r"line 7: is one sphere too many; expected at most 5 here"):
        read_regions(path, (2, 30, 40), 1.0)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
@pytest.mark.parametrize("first", ["", "sep=;\r\n"])
def test_spheres_of_a_spreadsheet(tmp_path, encoding, first):
    path = tmp_path / "spheres.csv"
    text = f"{first}Sphere;X;Y;T1_true_ms;;\r\nköpfchen;10,5;20;1234,5;;\r\n;;;;;\r\n"
    path.write_bytes(text.encode(encoding))
    (region,) = read_regions(path, SHAPE)
    assert (region.name, region.references) == ("köpfchen", {"true": {"T1": 1234.5}})


def test_names_that_look_like_comments_are_names(tmp_path):
    (tmp_path / "spheres.csv").write_text("sphere,x,y,t1_Site_ms\n#1,10,20,1000\n#2,12,20,900\n", encoding="utf-8")
    regions = read_regions(tmp_path / "spheres.csv", SHAPE)
    assert [region.name for region in regions] == ["#1", "#2"]
    assert regions[0].references == {"Site": {"T1": 1000.0}}


def test_names_with_dollars_are_drawn(tmp_path):
    maps = _maps(np.full(SHAPE, 800.0))
    region_means([maps], [Region("$x_{$", np.ones(SHAPE, bool))]).to_html(tmp_path / "page.html")
    assert "$x_{$" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_volume_needs_z(tmp_path):
    path = tmp_path / "spheres.csv"
    path.write_text("sphere,x,y\nA,1,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="no column z"):
        read_spheres(path, (3, 30, 40))


def test_labels_are_regions(tmp_path):
    labels = np.zeros(SHAPE, np.int16)
    labels[0, :3], labels[0, 5:6] = 1, 7
    write_nifti(labels, Geometry(), tmp_path / "labels.nii.gz")
    regions = read_regions(tmp_path / "labels.nii.gz", SHAPE)
    assert [(region.name, int(region.mask.sum())) for region in regions] == [("label 1", 120), ("label 7", 40)]
    assert label_regions(labels, {7: "putamen"})[1].name == "putamen"
    with pytest.raises(InputError, match="shape"):
        read_regions(tmp_path / "labels.nii.gz", (2, 30, 40))
    with pytest.raises(InputError, match="no label"):
        label_regions(np.zeros(SHAPE, int))
    with pytest.raises(InputError, match="whole"):
        label_regions(np.full(SHAPE, 0.5))


def test_nothing_to_average_and_other_grids_are_refused():
    region = Region("a", np.ones(SHAPE, bool))
    with pytest.raises(InputError, match="no maps"):
        region_means([], [region])
    with pytest.raises(InputError, match="no regions"):
        region_means([_maps(np.ones(SHAPE))], [])
    with pytest.raises(InputError, match="same grid"):
        region_means([_maps(np.ones(SHAPE))], [Region("a", np.ones((1, 2, 3), bool))])


def test_the_page_of_the_acquired_spheres(shared_data, tmp_path):
    path = shared_data / "acquired" / "vumc_mrf_500" / "spheres.csv"
    shape = (1, 240, 240)
    ones = np.ones(shape, np.float32)
    maps = ParameterMaps(1000 * ones, 100 * ones, ones, 0.1 * ones, np.ones(shape, bool), estimator="<b>flat</b>")
    regions = read_regions(path, shape)
    assert [region.name for region in regions] == [str(k) for k in range(1, 15)]
    assert {int(region.mask.sum()) for region in regions} == {81}
    found = region_means([maps], regions)
    found.to_html(tmp_path / "page.html")
    found.to_csv(tmp_path / "page.csv")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>flat" not in page
    assert "−59.7" in page  # 1000 against 2480 ms


def test_the_truth_has_rows_of_its_own_and_is_what_means_are_compared_with():
    shape = (2, 4, 5)
    t1 = np.linspace(500, 1500, 40).reshape(shape)
    truth = Phantom(t1=t1, t2=t1 / 10, pd=np.ones(shape))
    maps = ParameterMaps(1.1 * t1, t1 / 10, np.full(shape, 2.0), np.zeros(shape), np.ones(shape, bool))
    region = Region("a", t1 < 700)
    found = region_means([maps], [region], truth=truth)
    inside = truth.t1[region.mask].astype(np.float64)
    rows = {(row["model"], row["parameter"]): row for row in found.rows()}
    assert rows["truth", "T1"]["mean"] == pytest.approx(inside.mean())
    assert rows["truth", "T1"]["sd"] == pytest.approx(inside.std(ddof=1))
    assert rows["truth", "T1"]["voxels"] == region.mask.sum()
    assert rows["estimate", "T1"]["truth_percent"] == pytest.approx(10, rel=1e-5)
    # all of its PD is twice the truth: a scale, and no error
    assert rows["estimate", "PD"]["truth_percent"] == pytest.approx(0, abs=1e-6)
    assert next(iter(found.rows()))["model"] == "truth"
    with pytest.raises(InputError, match="same grid"):
        region_means([maps], [region], truth=truth[0])


def test_pd_is_freed_of_its_scale_as_in_a_comparison(tmp_path):
    shape = (2, 4, 5)
    t1, pd = np.linspace(500, 1500, 40).reshape(shape), np.linspace(0.5, 1, 40).reshape(shape)
    truth = Phantom(t1=t1, t2=t1 / 10, pd=pd)
    error = np.where(t1 < 700, 1.02, 1.0)
    failed = t1 > 1480
    several = [
        ParameterMaps(t1, t1 / 10, 3000 * pd * error, None, np.ones(shape, bool), failed=failed, estimator="loud"),
        ParameterMaps(t1, t1 / 10, pd / 50, None, t1 > 510, estimator="quiet"),
    ]
    low, high = Region("low", t1 < 700), Region("high", t1 > 1000)
    found = region_means(several, [low, high], truth=truth)
    rows = {(row["model"], row["region"]): row for row in found.rows() if row["parameter"] == "PD"}
    assert rows["loud", "low"]["truth_percent"] == pytest.approx(2, abs=1e-4)
    assert rows["quiet", "high"]["truth_percent"] == pytest.approx(0, abs=1e-4)
    assert rows["loud", "low"]["mean"] == pytest.approx(1.02 * pd[low.mask].mean(), rel=1e-6)
    assert rows["loud", "low"]["sd"] == pytest.approx(1.02 * pd[low.mask].std(ddof=1), rel=1e-6)
    assert found.pd_scale == compare_maps(truth, several).pd_scale
    assert found.pd_scale == pytest.approx({"loud": 1 / 3000, "quiet": 50})
    sentence = "Estimated PD is relative; it was multiplied with 0.0003333 (loud), 50 (quiet) before it was averaged."
    found.to_html(tmp_path / "page.html")
    assert sentence in found.to_text()
    assert sentence in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_pd_without_a_truth_is_as_stored():
    pd = np.full(SHAPE, 3000.0)
    found = region_means([_maps(np.full(SHAPE, 800.0), pd=pd)], [Region("a", np.ones(SHAPE, bool))])
    assert next(row["mean"] for row in found.rows() if row["parameter"] == "PD") == 3000
    assert "multiplied" not in found.to_text()
    # maps without PD have no scale to tell of
    truth = Phantom(t1=np.full(SHAPE, 800.0), t2=np.full(SHAPE, 50.0), pd=np.ones(SHAPE))
    bare = region_means([_maps(np.full(SHAPE, 800.0), pd=None)], [Region("a", np.ones(SHAPE, bool))], truth=truth)
    assert bare.pd_scale == {}
    assert "multiplied" not in bare.to_text()


def test_an_empty_region_has_no_mean_and_no_error():
    found = region_means([_maps(np.ones(SHAPE))], [Region("none", np.zeros(SHAPE, bool))])
    assert [row["mean"] for row in found.rows()] == [None] * 3


def test_painted_regions_are_part_of_the_record_and_of_a_recipe(tmp_path):
    from napari_blochnet.jobs.history.recipes import run_recipe
    from napari_blochnet.jobs.history.scripts import as_command, as_python
    from napari_blochnet.jobs.operations.compare import region_means as job
    from napari_blochnet.jobs.operations.opening import make_schedule, synthetic_head
    from napari_blochnet.jobs.operations.reconstruct import reconstruct
    from napari_blochnet.jobs.operations.simulate import simulate
    from napari_blochnet.jobs.records import as_recipe

    head = synthetic_head(shape=(1, 24, 20))
    stack = simulate(head, make_schedule(kind="spline", length=60), snr=50)
    maps = reconstruct(stack, "dictionary", step=0.3)
    painted = np.zeros(maps.shape, bool)
    painted[0, 8:12, 8:12] = True
    found = job(maps, [Region("putamen", painted)], head)
    recipe = json.loads(json.dumps(as_recipe(found.record)))
    again = run_recipe(recipe)[-1]
    assert again.rows() == found.rows()
    with pytest.raises(InputError, match="painted"):
        as_command(found.record)
    names = {}
    exec(as_python(found.record), names)
    assert names["regions_2"].rows() == found.rows()
    write_nifti(painted.astype(np.uint8), head.geometry, tmp_path / "labels.nii.gz")
    script = as_python(job(maps, tmp_path / "labels.nii.gz", head).record)
    names = {}
    exec(script, names)
    assert [row["mean"] for row in names["regions"].rows()] == [row["mean"] for row in found.rows()]
