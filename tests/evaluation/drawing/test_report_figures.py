"""Figures of reports against what they are of: which way up, which colours, and which ends of colour bars point."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

import napari_blochnet as nb
from napari_blochnet.evaluation.agreement.agreement_figures import difference_figure, distribution_figure
from napari_blochnet.evaluation.drawing.figure_style import COLOURMAPS, MODEL_COLOURS, colour_table
from napari_blochnet.evaluation.drawing.figures import comparison_figure, region_figure
from napari_blochnet.evaluation.drawing.image_parts import extension, is_upright
from napari_blochnet.evaluation.drawing.map_figure import map_figure
from napari_blochnet.evaluation.result_tables import Region

SHAPE = (1, 12, 10)
FILE = {"operation": "open_fingerprints", "inputs": {"path": "scan.npz"}}
ARRAY = {"operation": "fingerprints_from_array", "inputs": {}}
SIMULATED = {"operation": "simulate", "inputs": {}}
MATLAB = {"operation": "open_phantom", "inputs": {"source": "maps.mat"}, "image_order": True}
CUT = {"operation": "cut_phantom", "inputs": {"phantom": MATLAB}}
OF_MATLAB = {"operation": "simulate", "inputs": {"phantom": CUT}}
LAYERS = {"operation": "given", "layers": {"t1": "T1"}}


def _of(stack):
    return {"operation": "reconstruct", "inputs": {"stack": stack}}


@pytest.fixture(scope="module")
def head():
    t1 = 500.0 + 100.0 * np.arange(12.0)[:, None] * np.ones(SHAPE)
    return nb.Phantom(t1, t1 / 10, np.ones(SHAPE))


def _maps(head, name="a", factor=1.02, **changes):
    fields = {"t1": head.t1 * factor, "t2": head.t2 * factor, "pd": head.pd, "residual": 0 * head.t1}
    return nb.ParameterMaps(**{**fields, "mask": head.mask, "estimator": name, **changes})


def _figures(head, record):
    maps = [_maps(head, name, factor, record=record) for name, factor in (("a", 1.02), ("b", 0.97))]
    region = Region("left", head.mask & (np.arange(10) < 5))
    return (
        map_figure(maps, ["a", "b"], head),
        comparison_figure(nb.compare(head, maps, bound_voxels=0)),
        region_figure(nb.region_means(maps, [region])),
        difference_figure(nb.agreement(maps)),
    )


def _images(figure):
    return [image for axes in figure.findobj(Axes) for image in axes.get_images() if image.get_array().ndim == 2
            and not axes.get_ylabel()]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "origin"),
    [({}, "lower"), (_of(SIMULATED), "lower"), (_of(FILE), "upper"), (_of(ARRAY), "upper"),
     (LAYERS, "upper"), (_of(_of(ARRAY)), "upper"), (_of(OF_MATLAB), "upper")],
)  # fmt: skip
def test_all_figures_are_the_same_way_up_as_the_window(head, record, origin):
    for figure in _figures(head, record):
        images = [image for image in _images(figure) if image.colorbar is None or image.axes.get_images()]
        assert images
        assert {image.origin for image in images} == {origin}


def test_an_affine_of_a_file_or_a_nifti_is_known(head):
    turned = nb.ParameterMaps(head.t1, head.t2, head.pd, 0 * head.t1, head.mask, affine=np.diag([-1.0, 1, 1, 1]))
    assert is_upright(_of(FILE), turned.geometry)
    assert not is_upright(FILE, head.geometry, is_stack=True)
    assert is_upright({**FILE, "inputs": {"path": "scan.nii.gz"}}, head.geometry, is_stack=True)
    assert not is_upright(CUT, head.geometry)
    # as earlier versions opened it
    assert is_upright({name: MATLAB[name] for name in ("operation", "inputs")}, head.geometry)


def test_a_bar_points_where_values_lie_beyond_it(head):
    values = [np.array([1.0, np.nan, 5.0]), np.ma.masked_array([9.0, 2.0], [True, False])]
    limits = {(0, 5): "neither", (2, 5): "min", (1, 4): "max", (2, 3): "both"}
    assert {pair: extension(values, *pair) for pair in limits} == limits
    assert extension([np.array([np.nan])], 0, 1) == "neither"
    # all values of T1 from 500 to 1,600 ms and 2 % more
    for low, high, ends in ((0, 2000, "neither"), (700, 2000, "min"), (700, 900, "both"), (0, 900, "max")):
        figure = comparison_figure(nb.compare(head, _maps(head), bound_voxels=0, t1_limits=(low, high)))
        bars = [image.colorbar for image in _images(figure) if image.colorbar is not None]
        assert {bar.extend for bar in bars if bar.ax.get_ylabel() == "T1 (ms)"} == {ends}


def test_errors_and_models_have_the_colours_of_the_window(head):
    _, compared, _, apart = _figures(head, {})
    for figure, label in ((compared, "T1 error (%)"), (apart, "T1 difference (%)")):
        image = next(i for i in _images(figure) if i.colorbar is not None and i.colorbar.ax.get_ylabel() == label)
        np.testing.assert_allclose(image.cmap(np.arange(257)), colour_table(COLOURMAPS["T1 error"]))
        # no error is black, and no voxel is not
        assert to_hex(image.cmap(0.5)) == "#000000"
        assert to_hex(image.cmap.get_bad()) != "#000000"
    maps = [_maps(head), _maps(head, "b", 0.97)]
    (legend,) = distribution_figure(nb.agreement(maps, head)).legends
    assert [to_hex(patch.get_facecolor()) for patch in legend.get_patches()[1:]] == list(MODEL_COLOURS[:2])


def test_the_references_box_holds_all_voxels_though_the_first_model_rejected_some(head):
    failed = head.t1 > 900
    maps = [_maps(head, "rejects", failed=failed), _maps(head, "b", 0.97)]
    boxes = distribution_figure(nb.agreement(maps, head)).axes[0]
    medians = [line.get_ydata()[0] for line in boxes.lines if line.get_color() == "#1d2330"]
    expected = [np.median(head.t1), np.median(1.02 * head.t1[~failed]), np.median(0.97 * head.t1)]
    np.testing.assert_allclose(medians, expected, rtol=1e-6)
