"""What a saved session says of the window: layers, how they are linked and shown, pins, the view.

All of it is JSON that `SessionState` validates; subjects and arrays are referred to by their place in the session's
folder. The models below are the file's format.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.sessions import SESSION_FILE, SavedSession
from napari_blochnet.jobs.settings_comparing import AgreementSettings, CompareSettings
from napari_blochnet.napari_ui.state.chosen_b1 import B1Source, B1Unit

__all__ = [
    "USUAL_VIEW",
    "B1State",
    "ColormapState",
    "ComparisonState",
    "EntryState",
    "LayerState",
    "PinState",
    "PlaceState",
    "PlotState",
    "SessionState",
    "ShapeState",
    "ViewState",
    "damaged",
    "first_fault",
    "parse_state",
]

_MOST_LAYERS = 10_000
# Beyond these Qt's integers of 32 bits, OpenGL's floats and napari's own arithmetic raise midway or never end.
_FURTHEST, _FINEST = 1e7, 1e-7
_Place = Annotated[int, Field(ge=0, lt=2**31)]
_Length = Annotated[float, Field(ge=-_FURTHEST, le=_FURTHEST)]
_Point = Annotated[list[_Length], Field(max_length=8)]
_Level = Annotated[float, Field(ge=-1e30, le=1e30)]
_Row = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=4, max_length=4)]
_Text = Annotated[str, Field(max_length=1000)]
_Matrix = Annotated[list[Annotated[list[_Length], Field(max_length=9)]], Field(max_length=9)]
# What a table of features holds: names of regions, numbers that a person measured.
_Cells = Annotated[list[bool | int | float | _Text | None], Field(max_length=100_000)]


class _State(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        """Take what napari holds as arrays."""
        return value.tolist() if isinstance(value, np.ndarray) else value


class EntryState(_State):
    """What a layer shows; `subject`, `truth` and `stack` are places."""

    kind: Literal["phantom", "stack", "maps", "region"]
    role: _Text
    subject: _Place
    title: _Text
    truth: _Place | None = None
    stack: _Place | None = None

    @field_validator("role")
    @classmethod
    def _known(cls, role: str) -> str:
        # of the parameters of a dictionary names are known once its maps are read
        if not role:
            raise ValueError("it is empty; expected what the layer shows")
        return role


class ColormapState(_State):
    """A colour map that a person chose."""

    name: _Text
    colors: Annotated[list[_Row], Field(min_length=1, max_length=4096)]
    controls: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(max_length=4097)]
    interpolation: Literal["linear", "zero"]


class ShapeState(_State):
    """One drawn shape: its kind and its corners in the layer's own coordinates."""

    kind: Literal["ellipse", "rectangle", "polygon", "line", "path"]
    corners: Annotated[list[_Point], Field(min_length=2, max_length=100_000)]
    edge: _Row | None = None
    face: _Row | None = None
    width: Annotated[float, Field(ge=0, le=1e5)] | None = None


class PlaceState(_State):
    """Where a layer that is not ours lies, and in which units."""

    scale: _Point
    translate: _Point
    rotate: _Matrix
    shear: Annotated[list[_Length], Field(max_length=28)]
    affine: _Matrix
    units: Annotated[list[_Text], Field(max_length=8)]
    axis_labels: Annotated[list[_Text], Field(max_length=8)]


class LayerState(_State):
    """One layer. `array` is a place; `entry` is None for a person's own: regions, and images that are B1 maps.

    Of layers without `entry`, `place` says where they lie; sessions of version 0.1 have `scale` and `translate` alone.
    """

    type: Literal["image", "labels", "shapes"]
    name: _Text
    visible: bool
    opacity: Annotated[float, Field(ge=0, le=1)]
    blending: _Text
    entry: EntryState | None = None
    array: _Place | None = None
    contrast_limits: tuple[_Level, _Level] | None = None
    contrast_range: tuple[_Level, _Level] | None = None
    gamma: Annotated[float, Field(ge=0.01, le=10)] = 1.0
    colormap: ColormapState | None = None
    name_shown: bool = False
    ndim: Annotated[int, Field(ge=2, le=8)] = 3
    scale: _Point | None = None
    translate: _Point | None = None
    place: PlaceState | None = None
    features: Annotated[dict[_Text, _Cells], Field(max_length=1000)] = {}
    shapes: Annotated[list[ShapeState], Field(max_length=10_000)] = []


class ViewState(_State):
    """Where the viewer stood, in mm.

    `framed`: whether pictures filled their cells, to be framed anew in a window of any size; earlier versions do not
    say so.
    """

    point: _Point
    order: Annotated[list[_Place], Field(max_length=8)]
    ndisplay: Literal[2, 3]
    center: Annotated[list[_Length], Field(min_length=3, max_length=3)]
    zoom: Annotated[float, Field(ge=_FINEST, le=_FURTHEST)]
    angles: Annotated[list[_Length], Field(min_length=3, max_length=3)]
    grid: bool
    grid_shape: tuple[Annotated[int, Field(ge=-1, le=1000)], Annotated[int, Field(ge=-1, le=1000)]]
    grid_stride: Annotated[int, Field(ge=-1000, le=1000)]
    active: _Place | None = None
    tab: _Text = ""
    inspector: bool = False
    framed: bool | None = None


#: Where a session does not say it: from the front, the pictures framed.
USUAL_VIEW = ViewState(
    point=[], order=[], ndisplay=2, center=[0, 0, 0], zoom=1, angles=[0, 0, 90], grid=False, grid_shape=(-1, -1),
    grid_stride=1, framed=True,
)  # fmt: skip


class PinState(_State):
    """A pinned voxel of a stack."""

    stack: _Place
    index: tuple[_Place, _Place, _Place]
    number: Annotated[int, Field(ge=1, lt=2**31)]
    current: bool


class PlotState(_State):
    """What table and plots of the Compare tab show, where somebody chose it."""

    kind: _Text = ""
    region: _Text = ""
    measure: _Text = ""


class B1State(_State):
    """The B1 map that is chosen for a stack; `layer` is the place of its layer among the session's."""

    stack: _Place
    source: B1Source
    layer: _Place | None = None
    path: Annotated[str, Field(max_length=4096)] | None = None
    unit: B1Unit = "stated"
    nominal: Annotated[float, Field(gt=0, le=1e30)] = 90.0


class ComparisonState(_State):
    """What was compared; scores and agreement are computed again, which gives the same.

    With a ``reference`` that is a model there are no scores. Sessions of version 0.1 know no ``agreement``.
    """

    truth: _Place | None = None
    maps: Annotated[list[_Place], Field(min_length=1)]
    settings: CompareSettings
    reference: _Place | None = None
    agreement: AgreementSettings = AgreementSettings()
    plot: PlotState = PlotState()


class SessionState(_State):
    """Everything but the numbers.

    `mapped` are the maps that were made last, `hidden` those not in the inspector, `slots` the numbers of the maps'
    colours; earlier versions do not tell them, and colours follow the order of the maps. `b1`: of each stack for which
    one was chosen.
    """

    layers: Annotated[list[LayerState], Field(max_length=_MOST_LAYERS)]
    view: ViewState
    pins: Annotated[list[PinState], Field(max_length=100)] = []
    comparison: ComparisonState | None = None
    mapped: Annotated[list[_Place], Field(max_length=1000)] = []
    hidden: Annotated[list[_Place], Field(max_length=1000)] = []
    slots: Annotated[list[tuple[_Place, Annotated[int, Field(ge=0, lt=1000)]]], Field(max_length=1000)] = []
    truth_hidden: bool = False
    b1: Annotated[list[B1State], Field(max_length=1000)] = []
    schedule: dict[str, Any] | None = None


def damaged(what: str) -> InputError:
    """Return what is said of a session that is not as it was written."""
    return InputError(f"{SESSION_FILE}: {what}; expected what this package wrote.", field="path")


def parse_state(
    saved: SavedSession, fits: Callable[[LayerState, SavedSession], bool], left_out: list[str] | None = None
) -> SessionState:
    """Return the state in a session that was read, with every reference checked.

    Parameters
    ----------
    saved : SavedSession
    fits : callable
        Whether a layer fits what it shows.
    left_out : list of str, optional
        Where it is given, layers, pins, scores and all else that is damaged, or whose data are, are left out, and said
        here.

    Raises
    ------
    InputError
        The first thing that is not as it was written.
    """
    kept, state = _whole_state(saved.state, left_out)
    classes = {"phantom": "Phantom", "stack": "FingerprintStack", "maps": "ParameterMaps"}
    kinds = [type(subject).__name__ for subject in saved.subjects]

    def check(place: int | None, kind: str, what: str) -> None:
        if place is not None and (
            place >= len(kinds) or saved.subjects[place] is None or (kind != "region" and kinds[place] != classes[kind])
        ):
            raise damaged(f"{what} refers to subject {place}, which is not a {kind} of this session")

    def check_layer(number: int, layer: LayerState) -> None:
        if layer.entry is not None:
            check(layer.entry.subject, layer.entry.kind, f"layer {number}")
            check(layer.entry.truth, "phantom", f"layer {number}")
            check(layer.entry.stack, "stack", f"layer {number}")
        if layer.array is not None and (layer.array >= len(saved.arrays) or saved.arrays[layer.array] is None):
            raise damaged(f"layer {number} refers to array {layer.array} of {len(saved.arrays)}")
        if not fits(layer, saved):
            raise damaged(f"layer {number} does not fit what it shows")

    def whole(check_one: Callable[[], None]) -> bool:
        try:
            check_one()
        except InputError as error:
            if left_out is None:
                raise
            left_out.append(str(error))
            return False
        return True

    def check_pin(pin: PinState) -> None:
        check(pin.stack, "stack", "a pin")
        subject: Any = saved.subjects[pin.stack]
        if any(index >= length for index, length in zip(pin.index, subject.shape[1:], strict=True)):
            raise damaged(f"a pin lies at {pin.index}, outside its stack")

    def check_comparison(made: ComparisonState) -> None:
        check(made.truth, "phantom", "the comparison")
        check(made.reference, "maps", "the comparison")
        if made.truth is None and made.reference is None:
            raise damaged("the comparison has no reference")
        for place in made.maps:
            check(place, "maps", "the comparison")

    shown = [
        (place, layer)
        for place, layer in zip(kept, state.layers, strict=True)
        if whole(partial(check_layer, place, layer))
    ]
    if not shown and saved.state.get("layers") and left_out:
        raise InputError(left_out[0], field="path")
    places = [place for place, _ in shown]
    active = places.index(state.view.active) if state.view.active in places else None
    compared = state.comparison

    def check_b1(chosen: B1State) -> None:
        check(chosen.stack, "stack", "a B1 map")
        if (chosen.source == "layer" or chosen.layer is not None) and chosen.layer not in places:
            raise damaged("the layer of a B1 map is not in the session")

    return state.model_copy(
        update={
            "layers": [layer for _, layer in shown],
            "view": state.view.model_copy(update={"active": active}),
            "pins": [pin for pin in state.pins if whole(partial(check_pin, pin))],
            "comparison": compared if compared and whole(partial(check_comparison, compared)) else None,
            "mapped": [place for place in state.mapped if whole(partial(check, place, "maps", "the latest result"))],
            "hidden": [place for place in state.hidden if whole(partial(check, place, "maps", "what is hidden"))],
            "b1": [
                each if each.layer is None else each.model_copy(update={"layer": places.index(each.layer)})
                for each in state.b1
                if whole(partial(check_b1, each))
            ],
            "slots": [slot for slot in state.slots if whole(partial(check, slot[0], "maps", "a colour"))],
        }
    )


def _whole_state(content: dict[str, Any], left_out: list[str] | None) -> tuple[list[int], SessionState]:
    """Return the places of the layers that are as they were written, and the state without all that is not."""
    layers = content.get("layers")
    kept = list(range(len(layers))) if isinstance(layers, list) else []
    while True:
        try:
            return kept, SessionState.model_validate(content)
        except ValidationError as error:
            faults: dict[tuple[int | str, ...], str] = {}
            for fault in error.errors(include_url=False):
                where = fault["loc"]
                # of a list an item, else the whole part
                part = where[: 2 if isinstance(content.get(str(where[0])), list) else 1]
                faults.setdefault(part, _sentence(fault))
            if left_out is None or ("layers",) in faults:
                raise damaged(first_fault(error)) from None
        left_out += [str(damaged(sentence)) for sentence in faults.values()]
        kept = [place for number, place in enumerate(kept) if ("layers", number) not in faults]
        content = {
            key: [item for number, item in enumerate(value) if (key, number) not in faults]
            if isinstance(value, list)
            else value
            for key, value in content.items()
            if (key,) not in faults
        }
        content.setdefault("view", USUAL_VIEW)


def first_fault(error: ValidationError) -> str:
    """Return the first thing that is wrong, as the middle of a sentence."""
    return _sentence(error.errors(include_url=False)[0])


def _sentence(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where or 'its state'} is damaged ({fault['msg']})"
