"""Keep what Numba compiled from one run of the tests to the next: python tests/compiled_kernels.py take|make|keep.

Compiling the kernels takes a minute of a run, and an environment that is made anew begins with none. They are kept in
the user's cache, in a folder named after everything they depend on: Numba looks at a function's own file only, and not
at the files of what it inlines.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

# compiled code and its index, beside the module
ENDINGS = (".nbc", ".nbi")
# sources whose kernels are kept
MOST = 5


def _package() -> Path:
    """The installed package's folder; it is not imported."""
    found = importlib.util.find_spec("napari_blochnet")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def _kept(package: Path) -> Path:
    """The folder of these sources, versions and this processor."""
    key = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        source = path.read_bytes()
        if b"numba" in source or path.parent.name == "kernels":
            key.update(str(path.relative_to(package)).encode() + b"\0" + source + b"\0")
    for name in ("numba", "llvmlite", "numpy"):
        key.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    key.update(f"{sys.version} {platform.platform()}".encode())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "napari-blochnet-tests" / f"kernels-{key.hexdigest()[:24]}"


def _copy(start: Path, end: Path) -> int:
    files = [path for path in start.rglob("*") if path.suffix in ENDINGS]
    for path in files:
        target = end / path.relative_to(start)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return len(files)


def take() -> int:
    """Lay the kernels of an earlier run where Numba looks for them; return the number of files."""
    package = _package()
    return _copy(_kept(package), package)


def make() -> int:
    """Use the kernels that most tests need, so that they are compiled; return the number of files there are then."""
    import numpy as np

    import napari_blochnet as nb

    t1 = np.linspace(300.0, 2500.0, 24).reshape(1, 4, 6)
    phantom = nb.Phantom(t1, t1 / 12, np.ones_like(t1))
    real = nb.spline_schedule(length=60)
    # RF spoiling: the complex path
    for schedule in (real, real.replace(rf_phase=np.arange(60.0) ** 2 * 58.5 % 360)):
        stack = nb.simulate(phantom, schedule, snr=30.0)
        nb.cramer_rao_bound(schedule, 800.0, 70.0, sigma=0.01)
        for estimator in ("dictionary", "universal"):
            nb.reconstruct(stack, estimator, step=0.3, refine=True)
    package = _package()
    return sum(path.suffix in ENDINGS for path in package.rglob("*"))


def keep() -> int:
    """Keep the kernels of this run, with those it took, all or none of them; return the number of files."""
    package = _package()
    kept = _kept(package)
    kept.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=kept.parent))
    count = _copy(package, new)
    shutil.rmtree(kept, ignore_errors=True)
    try:
        new.rename(kept)
    except OSError:  # another run came between
        shutil.rmtree(new)
    others = sorted(kept.parent.glob("kernels-*"), key=lambda folder: folder.stat().st_mtime)
    for old in others[:-MOST]:
        shutil.rmtree(old, ignore_errors=True)
    return count


if __name__ == "__main__":
    commands = {"take": take, "make": make, "keep": keep}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    print(f"{sys.argv[1]}: {commands[sys.argv[1]]()} files of compiled kernels")
