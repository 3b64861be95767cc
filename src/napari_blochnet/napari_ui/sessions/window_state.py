"""What a saved session says of the window: layers, how they are linked and shown, pins, the view.

All of it is JSON that `SessionState` validates; subjects and arrays are referred to by their place in the session's
folder. The models below are the file's format.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_blochnet.common.errors import InputError
from napari_blochnet.jobs.sessions import SESSION_FILE, SavedSession
from napari_blochnet.jobs.settings_comparing import AgreementSettings, CompareSettings
from napari_blochnet.napari_ui.canvas.looks import STYLES

__all__ = [
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
    "parse_state",
]

_Place = Annotated[int, Field(ge=0)]
_Point = Annotated[list[float], Field(max_length=8)]
_Row = Annotated[list[float], Field(min_length=4, max_length=4)]
_Text = Annotated[str, Field(max_length=1000)]
_Matrix = Annotated[list[Annotated[list[float], Field(max_length=9)]], Field(max_length=9)]
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


class ColormapState(_State):
    """A colour map that a person chose."""

    name: _Text
    colors: Annotated[list[_Row], Field(min_length=1, max_length=4096)]
    controls: Annotated[list[float], Field(max_length=4097)]
    interpolation: Literal["linear", "zero"]


class ShapeState(_State):
    """One drawn shape: its kind and its corners in the layer's own coordinates."""

    kind: Literal["ellipse", "rectangle", "polygon", "line", "path"]
    corners: Annotated[list[_Point], Field(min_length=2, max_length=100_000)]
    edge: _Row | None = None
    face: _Row | None = None
    width: Annotated[float, Field(ge=0)] | None = None


class PlaceState(_State):
    """Where a layer that is not ours lies, and in which units."""

    scale: _Point
    translate: _Point
    rotate: _Matrix
    shear: Annotated[list[float], Field(max_length=28)]
    affine: _Matrix
    units: Annotated[list[_Text], Field(max_length=8)]
    axis_labels: Annotated[list[_Text], Field(max_length=8)]


class LayerState(_State):
    """One layer. `entry` is None for regions that a person made without our buttons; `array` is a place.

    Of layers without `entry`, `place` says where they lie; sessions of version 0.1 have `scale` and `translate` alone.
    """

    type: Literal["image", "labels", "shapes"]
    name: _Text
    visible: bool
    opacity: Annotated[float, Field(ge=0, le=1)]
    blending: _Text
    entry: EntryState | None = None
    array: _Place | None = None
    contrast_limits: tuple[float, float] | None = None
    contrast_range: tuple[float, float] | None = None
    gamma: Annotated[float, Field(gt=0, le=10)] = 1.0
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
    center: Annotated[list[float], Field(min_length=3, max_length=3)]
    zoom: Annotated[float, Field(gt=0)]
    angles: Annotated[list[float], Field(min_length=3, max_length=3)]
    grid: bool
    grid_shape: tuple[int, int]
    grid_stride: int
    active: _Place | None = None
    tab: _Text = ""
    inspector: bool = False
    framed: bool | None = None


class PinState(_State):
    """A pinned voxel of a stack."""

    stack: _Place
    index: tuple[_Place, _Place, _Place]
    number: Annotated[int, Field(ge=1)]
    current: bool


class PlotState(_State):
    """What table and plots of the Compare tab show, where somebody chose it."""

    kind: _Text = ""
    region: _Text = ""
    measure: _Text = ""


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
    colours; earlier versions do not tell them, and colours follow the order of the maps.
    """

    layers: Annotated[list[LayerState], Field(max_length=10_000)]
    view: ViewState
    pins: Annotated[list[PinState], Field(max_length=100)] = []
    comparison: ComparisonState | None = None
    mapped: Annotated[list[_Place], Field(max_length=1000)] = []
    hidden: Annotated[list[_Place], Field(max_length=1000)] = []
    slots: Annotated[list[tuple[_Place, Annotated[int, Field(ge=0, lt=1000)]]], Field(max_length=1000)] = []
    truth_hidden: bool = False
    schedule: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _roles(self) -> SessionState:
        for number, layer in enumerate(self.layers):
            entry = layer.entry
            known = {"region", "tissue", *STYLES}
            if entry is not None and entry.role not in known:
                raise ValueError(f"layer {number} has the role {entry.role!r}; expected one of {', '.join(known)}")
        return self


def damaged(what: str) -> InputError:
    """Return what is said of a session that is not as it was written."""
    return InputError(f"{SESSION_FILE}: {what}; expected what this package wrote.", field="path")


def parse_state(saved: SavedSession) -> SessionState:
    """Return the state in a session that was read, with every reference checked.

    Raises
    ------
    InputError
        The first thing that is not as it was written.
    """
    try:
        state = SessionState.model_validate(saved.state)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise damaged(f"{where or 'its state'} is damaged ({first['msg']})") from None
    classes = {"phantom": "Phantom", "stack": "FingerprintStack", "maps": "ParameterMaps"}
    kinds = [type(subject).__name__ for subject in saved.subjects]

    def check(place: int | None, kind: str, what: str) -> None:
        if place is not None and (place >= len(kinds) or (kind != "region" and kinds[place] != classes[kind])):
            raise damaged(f"{what} refers to subject {place}, which is not a {kind} of this session")

    for number, layer in enumerate(state.layers):
        if layer.entry is not None:
            check(layer.entry.subject, layer.entry.kind, f"layer {number}")
            check(layer.entry.truth, "phantom", f"layer {number}")
            check(layer.entry.stack, "stack", f"layer {number}")
        if layer.array is not None and layer.array >= len(saved.arrays):
            raise damaged(f"layer {number} refers to array {layer.array} of {len(saved.arrays)}")
    for pin in state.pins:
        check(pin.stack, "stack", "a pin")
    if state.comparison is not None:
        check(state.comparison.truth, "phantom", "the comparison")
        check(state.comparison.reference, "maps", "the comparison")
        if state.comparison.truth is None and state.comparison.reference is None:
            raise damaged("the comparison has no reference")
        for place in state.comparison.maps:
            check(place, "maps", "the comparison")
    for place in state.mapped:
        check(place, "maps", "the latest result")
    for place in state.hidden:
        check(place, "maps", "what the inspector hides")
    for place, _ in state.slots:
        check(place, "maps", "a colour")
    return state
