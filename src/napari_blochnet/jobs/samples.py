"""The small samples that come with the package: where they are, and how they were made."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_blochnet.common.errors import InputError

__all__ = ["SAMPLES", "sample_path", "write_samples"]

#: By name, the file or folder.
SAMPLES = {
    "head-slice": "head_slice",
    "fingerprints": "fingerprints.nii.gz",
    "fingerprints-truth": "fingerprints_truth",
    "schedule": "fisp.csv",
}

_SNR = 20.0
# Noise is this many integer steps, so that rounding adds 0.5 % to it and the file packs well.
_STEPS = 3.0


def sample_path(name: str) -> Path:
    """Return where a sample lies: inside the installed package, or at the top of a source checkout.

    Parameters
    ----------
    name : str
        One of `SAMPLES`: ``head-slice`` (a phantom folder, 2 mm), ``fingerprints`` (a noisy stack of a 4-mm slice
        under the FISP schedule, real, with the schedule beside it), ``fingerprints-truth`` (its phantom folder),
        ``schedule`` (the FISP schedule as CSV).

    Raises
    ------
    InputError
        No such sample, or an installation without samples.
    """
    if name not in SAMPLES:
        raise InputError(f"There is no sample {name!r}; expected one of {', '.join(SAMPLES)}.", field="name")
    package = Path(__file__).parent.parent
    for folder in (package / "sample_data", package.parent.parent / "sample_data"):
        if (folder / SAMPLES[name]).exists():
            return folder / SAMPLES[name]
    raise InputError(f"The sample {name!r} is missing from this installation; expected it in "
                     f"{package / 'sample_data'}.", field="name")  # fmt: skip


def write_samples(folder: str | os.PathLike[str]) -> list[Path]:
    """Make all samples anew (``python -c "from napari_blochnet.jobs.samples import …"``).

    Parameters
    ----------
    folder : path
        Made if it is not there.

    Returns
    -------
    list of Path
        What was written, about 2 MB.
    """
    from napari_blochnet.fingerprints.stack_files import write_fingerprints
    from napari_blochnet.jobs.operations.simulate import simulate
    from napari_blochnet.phantoms.synthetic import synthetic_phantom
    from napari_blochnet.phantoms.write import write_phantom
    from napari_blochnet.schedules.generators import fisp_schedule
    from napari_blochnet.schedules.schedule_files import write_schedule

    target = Path(folder)
    schedule = fisp_schedule()
    write_schedule(schedule, target / SAMPLES["schedule"])
    written = [target / SAMPLES["schedule"]]
    written += write_phantom(synthetic_phantom((1, 109, 91)), target / SAMPLES["head-slice"])
    truth = synthetic_phantom((1, 55, 46))
    written += write_phantom(truth, target / SAMPLES["fingerprints-truth"])
    stack = simulate(truth, schedule, snr=_SNR, seed=1, kind="real")
    step = float(stack.noise_sigma or 1.0) / _STEPS
    samples = np.rint(np.asarray(stack.data) / np.float32(step)).astype(np.int16)
    # in units of their own, and no longer in those of the phantom's PD
    record = {key: value for key, value in stack.record.items() if key != "pd_mark"}
    stored = replace(stack, data=samples, noise_sigma=_STEPS, name="synthetic head slice, FISP, SNR 20", record=record)
    written += write_fingerprints(stored, target / SAMPLES["fingerprints"])
    return written
