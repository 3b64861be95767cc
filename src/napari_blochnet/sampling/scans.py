"""What is said of an undersampled scan: how k-space is read, and by how many coils."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_blochnet.common.plain_text import counted
from napari_blochnet.io.plain_files import existing_file
from napari_blochnet.sampling.trajectories import Rotation

__all__ = ["Scan"]


@dataclass(frozen=True)
class Scan:
    """How k-space is read; see `napari_blochnet.sampling.trajectory_files.trajectory_of`.

    Parameters
    ----------
    trajectory : {"spiral", "radial", "rosette", "file"}
    trajectory_file : str, optional
    interleaves : int
    rotation : {"golden", "uniform"}
    coils : int
    """

    trajectory: str = "spiral"
    trajectory_file: str | None = None
    interleaves: int = 48
    rotation: Rotation = "golden"
    coils: int = 8

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Scan:
        """Return the scan that settings tell of; those from before there was a choice do not say so."""
        plain = cls()
        return cls(**{name: settings.get(name, getattr(plain, name)) for name in cls.__dataclass_fields__})

    def describe(self) -> str:
        """Return one line for people, such as "radial, 48 interleaves, golden angle, 8 coils"."""
        coils = counted(self.coils, "coil")
        if self.trajectory == "file":
            return f"{(self.trajectory_file or '').replace(chr(92), '/').rpartition('/')[2]}, {coils}"
        turned = "golden angle" if self.rotation == "golden" else "uniform rotation"
        return f"{self.trajectory}, {counted(self.interleaves, 'interleave')}, {turned}, {coils}"

    def aliases_otherwise(self, other: Scan) -> bool:
        """Whether frames of another scan alias in another way: along another trajectory, or turned otherwise."""
        turned = self.trajectory != "file" and self.rotation != other.rotation
        return (self.trajectory, self.trajectory_file) != (other.trajectory, other.trajectory_file) or turned

    @property
    def file_digest(self) -> str | None:
        """What the file of the trajectory holds, as a digest; None where there is no file."""
        if self.trajectory_file is None:
            return None
        return hashlib.sha256(existing_file(self.trajectory_file).read_bytes()).hexdigest()
