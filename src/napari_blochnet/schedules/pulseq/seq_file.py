"""A Pulseq file through pypulseq, once a look at its text has shown that reading it ends and fits into memory."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

from napari_blochnet.common.errors import FileError

__all__ = ["read_sequence"]

# A file of an hour's scan has some ten megabytes; its shapes some hundred thousand samples each.
_MOST_BYTES = 128 * 2**20
_MOST_BLOCKS = 1_000_000
_MOST_SAMPLES = 4_000_000
_MOST_SAMPLES_IN_ALL = 64_000_000
_MOST_LETTERS = 120
_VERSIONS = "Pulseq 1.2 to 1.5"


def read_sequence(path: Path) -> Any:
    """Read a ``.seq`` file of Pulseq 1.2 to 1.5.

    Parameters
    ----------
    path : Path

    Returns
    -------
    pypulseq.Sequence

    Raises
    ------
    InputError
        No such file, none of Pulseq, another version, damage, more than any scan takes.
    """
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise FileError(path, f"has {size / 2**20:.0f} MiB", f"at most {_MOST_BYTES // 2**20} MiB of a Pulseq file")
    text = path.read_bytes().decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\x00", "")
    sections = _sections(path, text)
    _check_version(path, sections)
    _check_sizes(path, sections)
    _check_shapes(path, sections.get("SHAPES", []))
    _check_extensions(path, sections)
    import pypulseq

    sequence = pypulseq.Sequence()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # pypulseq waits for the empty line that ends a section, for ever where the file ends within one
        copy = Path(folder) / "sequence.seq"
        copy.write_text(text + "\n\n", encoding="utf-8")
        try:
            sequence.read(str(copy), detect_rf_use=False, remove_duplicates=False)
        except Exception as error:  # whatever pypulseq stumbles over
            raise FileError(path, f"is damaged: {_reason(error)}", "a file as Pulseq writes it") from None
    _check_times(path, sequence)
    return sequence


def _sections(path: Path, text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            lines = sections.setdefault(stripped[1:-1], [])
        elif stripped and not stripped.startswith("#"):
            lines.append(stripped)
    if "VERSION" not in sections:
        raise FileError(path, "has no [VERSION]", f"a file of {_VERSIONS}")
    if not sections.get("BLOCKS"):
        raise FileError(path, "has no [BLOCKS]: nothing is played", "a sequence")
    return sections


def _check_version(path: Path, sections: dict[str, list[str]]) -> None:
    found = dict(line.split(None, 1) for line in sections["VERSION"] if len(line.split()) > 1)
    version = f"{found.get('major', '?')}.{found.get('minor', '?')}"
    if version not in ("1.2", "1.3", "1.4", "1.5"):
        raise FileError(path, f"is of Pulseq {_short(version)}", _VERSIONS)


def _check_sizes(path: Path, sections: dict[str, list[str]]) -> None:
    if len(sections["BLOCKS"]) > _MOST_BLOCKS:
        raise FileError(path, f"plays {len(sections['BLOCKS'])} blocks", f"at most {_MOST_BLOCKS}")
    for line in sections.get("ADC", ()):
        parts = line.split()
        if len(parts) > 1 and not _is_below(parts[1], _MOST_SAMPLES):
            raise FileError(path, f"has an ADC event of {_short(parts[1])} samples", f"at most {_MOST_SAMPLES}")


def _check_shapes(path: Path, lines: list[str]) -> None:
    """Refuse more samples than any scan takes, and an end within a shape, at which pypulseq reads on for ever."""
    # whatever the word before it: pypulseq does not look at that
    pairs = [line.split() for line in lines]
    counts = [float(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] != "shape_id" and _is_number(pair[1])]
    if max(counts, default=0.0) > _MOST_SAMPLES or sum(counts) > _MOST_SAMPLES_IN_ALL:
        found = f"has shapes of up to {max(counts):.6g} samples, {sum(counts):.6g} in all"
        raise FileError(path, found, f"at most {_MOST_SAMPLES} in one, {_MOST_SAMPLES_IN_ALL} in all")
    if lines and not _is_number(lines[-1]):
        raise FileError(path, f"is cut off: its [SHAPES] end at {_short(lines[-1])!r}", "the samples of each shape")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks the event or shape {_short(str(error.args[0] if error.args else '?'))}"
    if isinstance(error, UnboundLocalError):
        return "a section is missing, or stands before one that it needs"
    said = _short((str(error).splitlines() or [""])[0])
    return f"pypulseq says {said!r}" if said else "pypulseq cannot make sense of it"


def _short(text: str) -> str:
    """Return what others say, or a file holds, as fits into a sentence."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= _MOST_LETTERS else f"{shown[:_MOST_LETTERS]}…"


def _is_below(text: str, most: float) -> bool:
    try:
        return 0 <= float(text) <= most
    except ValueError:
        return False


def _check_extensions(path: Path, sections: dict[str, list[str]]) -> None:
    """Refuse a list of extensions that leads back to itself."""
    following = {}
    for line in sections.get("EXTENSIONS", ()):
        parts = line.split()
        if len(parts) == 4:
            following[parts[0]] = parts[3]
    for start in following:
        steps, at = 0, start
        while at in following:
            at, steps = following[at], steps + 1
            if steps > len(following):
                raise FileError(path, f"has extensions that lead back to themselves, from {start} on", "lists that end")
        if steps > 1000:
            raise FileError(path, f"has a list of {steps} extensions", "at most 1000")


def _check_times(path: Path, sequence: Any) -> None:
    rasters = {
        "BlockDurationRaster": sequence.block_duration_raster,
        "GradientRasterTime": sequence.grad_raster_time,
        "RadiofrequencyRasterTime": sequence.rf_raster_time,
        "AdcRasterTime": sequence.adc_raster_time,
    }
    for name, value in rasters.items():
        if not isinstance(value, (int, float)) or not 1e-9 <= value <= 1e-2:
            raise FileError(path, f"has a {name} of {value} s", "a raster time from 1 ns to 10 ms")
    longest = max(sequence.block_durations.values())
    if not min(sequence.block_durations.values()) >= 0.0 or not longest < 3600.0:
        raise FileError(path, f"has a block of {longest:g} s", "from 0 to 3600 s")
