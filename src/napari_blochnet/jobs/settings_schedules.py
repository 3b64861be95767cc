"""Settings of schedules: computed ones, and those of files."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from napari_blochnet.jobs.settings import Settings, of_data, quantity

__all__ = ["FispSettings", "ScheduleFileSettings", "ScheduleSettings", "SplineSettings"]

_INVERSION_TIME: float | None = quantity(
    0.0, "Inversion time", "Delay between the inversion pulse and the first pulse; none: no inversion.", "ms", ge=0
)
_INVERSION_EFFICIENCY: float = quantity(
    1.0, "Inversion efficiency", "The inversion turns the equilibrium 1 into minus this.", ge=0, le=1
)
_PREPARATION_WORDS = (
    "What is played before pulses, counted from 1, each in words: 'inversion before pulse 1, TI 20 ms', "
    "'T2 preparation of 50 ms before pulse 12, efficiency 0.9, then 20 ms', 'saturation before pulse 40', "
    "'delay of 100 ms before pulse 60'."
)
_PREPARATIONS: tuple[str, ...] = quantity(
    (), "Preparations", f"{_PREPARATION_WORDS} The TRs in which they lie are longer by what they take."
)
_RECOVERY_TIME: float = quantity(
    0.0, "Recovery time", "From the last TR of a train to what begins the next: free relaxation.", "ms", ge=0
)
_TRAINS: int | Literal["steady"] = quantity(
    1, "Trains", "How many are played, of which the last is recorded; steady: until the train repeats itself."
)


def _check_trains(trains: Any) -> Any:
    if trains is None or trains == "steady":
        return trains
    try:
        count = int(trains) if isinstance(trains, (str, int)) and not isinstance(trains, bool) else 0
    except ValueError:
        count = 0
    if count < 1:
        raise ValueError("expected how many are played, at least 1, or 'steady'")
    return count


class FispSettings(Settings):
    """The published FISP schedule: 1000 pulses (Jiang 2015)."""

    kind: Literal["fisp"] = "fisp"
    echo_time: float = quantity(10.0, "Echo time", "Time from each pulse to its sample.", "ms", ge=0, le=11.6)
    inversion_time: float | None = _INVERSION_TIME
    inversion_efficiency: float = _INVERSION_EFFICIENCY
    trains: int | Literal["steady"] = _TRAINS
    recovery_time: float = _RECOVERY_TIME
    preparations: tuple[str, ...] = _PREPARATIONS

    _trains = field_validator("trains", mode="before")(_check_trains)


class SplineSettings(Settings):
    """A random smooth schedule: flip angles on a cubic spline through random control points."""

    kind: Literal["spline"] = "spline"
    length: int = quantity(1000, "Pulses", "Number of RF pulses.", ge=2, le=20_000)
    control_points: int = quantity(5, "Control points", "Equally spaced random points of the spline.", ge=2, le=200)
    noise_variance: float = quantity(
        0.0,
        "Noise variance",
        "Variance of Gaussian noise added to each flip angle (SplineNoise11: 10).",
        "deg²",
        ge=0,
        le=1000,
    )
    max_flip_angle: float = quantity(
        120.0, "Control points up to", "Their flip angles; between them the spline may pass it.", "°", gt=0, le=180
    )
    largest_flip_angle: float | None = quantity(
        None, "Largest flip angle", "Scales the train to it. Left out: as drawn.", "°", gt=0, le=180
    )
    seed: int = quantity(0, "Seed", "Of the control points and the noise.", ge=0)
    echo_time: float = quantity(10.0, "Echo time", "Time from each pulse to its sample.", "ms", ge=0, le=11.5)
    inversion_time: float | None = _INVERSION_TIME
    inversion_efficiency: float = _INVERSION_EFFICIENCY
    trains: int | Literal["steady"] = _TRAINS
    recovery_time: float = _RECOVERY_TIME
    preparations: tuple[str, ...] = _PREPARATIONS

    _trains = field_validator("trains", mode="before")(_check_trains)


class ScheduleFileSettings(Settings):
    """A schedule from a file, with what the file leaves open."""

    kind: Literal["file"] = "file"
    path: str = of_data(
        "",
        "File",
        "CSV or text with a column for each quantity, a pair of text files, MATLAB, HDF5, JSON of ours, or Pulseq.",
        files="Schedules (*.csv *.tsv *.txt *.mat *.h5 *.hdf5 *.json *.seq);;All files (*)",
    )
    flip_angle: float | None = of_data(
        None,
        "Base flip angle",
        "What the file's fractions multiply; leave out where it holds angles.",
        "°",
        gt=0,
        le=360,
    )
    repetition_time: float | None = of_data(
        None, "Base TR", "What the file's TR column is added to, or TR itself where the file has none.", "ms", gt=0
    )
    echo_time: float | None = of_data(
        None, "Base TE", "What the file's TE column is added to, or TE itself where the file has none.", "ms", ge=0
    )
    inversion_time: float | None = of_data(
        None, "Inversion time", "Where the file does not say; leave out for no inversion.", "ms", ge=0
    )
    inversion_efficiency: float | None = of_data(
        None, "Inversion efficiency", "Where the file does not say: the inversion turns 1 into minus this.", ge=0, le=1
    )
    rf_phase: float | None = of_data(None, "RF phase", "Of all pulses, where the file has none.", "°")
    angle_unit: Literal["deg", "rad", "fraction"] | None = of_data(
        None, "Angle unit", "Of the file's flip angles, where it does not say."
    )
    time_unit: Literal["ms", "s", "us"] | None = of_data(
        None, "Time unit", "Of the file's times, where it does not say."
    )
    receiver_phase: Literal["follows", "fixed"] | None = of_data(
        None,
        "Receiver phase",
        "Whether the scanner took the RF phase out of the data (follows) or not (fixed), where the file does not say.",
    )
    variable: str | None = of_data(
        None,
        "Variable",
        "In MATLAB and HDF5 files: the structure to read, such as seq.rf or x(2), or one array with a column for each "
        "quantity.",
    )
    columns: str | None = of_data(
        None,
        "Columns",
        "Of a table without names: what its columns are, in order, such as 'fa tr te' or 'fa_rad tr_s phase_deg'.",
    )
    trains: int | Literal["steady"] | None = of_data(
        None,
        "Trains",
        "How many are played, of which the last is recorded, where the file does not say; steady: until the train "
        "repeats itself.",
    )
    recovery_time: float | None = of_data(
        None, "Recovery time", "From a train's last TR to the next train, where the file does not say.", "ms", ge=0
    )
    preparations: tuple[str, ...] | None = of_data(
        None, "Preparations", f"{_PREPARATION_WORDS} Where the file states none."
    )
    preparation_model: Literal["simulated", "ideal"] | None = of_data(
        None,
        "Preparations of Pulseq",
        "Simulated: what they do to each T1, T2 and B1, by the Bloch equations for their waveforms; so where left out. "
        "Ideal: inversions and saturations at an instant, T2 preparations by their echo time.",
    )
    spin_lock: Literal["t2"] | None = of_data(
        None,
        "Spin locks",
        "Of Pulseq files: T1ρ is not modelled; t2 takes relaxation during spin locks as T2.",
        blank="refused",
    )
    slice_positions: int | None = of_data(
        None,
        "Slice positions",
        "Of Pulseq files: at how many, across the slice or one half of it, the flip angle is simulated; left out: 10; "
        "0: no slice profile.",
        ge=0,
        le=200,
    )

    _trains = field_validator("trains", mode="before")(_check_trains)


ScheduleSettings = FispSettings | SplineSettings | ScheduleFileSettings
