"""Fingerprints as coefficients of a few time courses, and whole fingerprints out of coefficients."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.plain_text import counted
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.fingerprints.subspaces import Subspace
from napari_blochnet.jobs.operations.devices import check_memory
from napari_blochnet.jobs.records import make_record
from napari_blochnet.jobs.settings import settings_from
from napari_blochnet.jobs.settings_coefficients import CompressSettings, ExpandSettings

__all__ = ["compress", "expand"]

# Fingerprints of which a stack's own basis is made.
_OWN = 20_000


def compress(
    stack: FingerprintStack,
    settings: CompressSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> FingerprintStack:
    """Keep a few coefficients of each fingerprint in place of its samples.

    Parameters
    ----------
    stack : FingerprintStack
        Complex or real, with its schedule.
    settings : CompressSettings, optional
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    **fields
        Fields of `CompressSettings`.

    Returns
    -------
    FingerprintStack
        c = Uᴴ·s (component, z, y, x), with the orthonormal basis U; in slices that have voxels inside the mask also of
        what those outside hold, which tells the noise. White noise stays white, of the same standard deviation. The
        record says how much of the fingerprints' energy is left out (``"left_out"``), noise included.

    Raises
    ------
    InputError
        Magnitudes, of which sums are none; coefficients already; more components than time points.
    Cancelled

    References
    ----------
    McGivney et al., IEEE Trans Med Imaging 33:2311 (2014).
    """
    given = settings_from(CompressSettings, settings, **fields)
    if stack.is_compressed:
        raise InputError(f"The stack {stack.name} holds coefficients already", "whole fingerprints", field="stack")
    if stack.kind == "magnitude":
        raise InputError(
            f"The stack {stack.name} holds magnitudes, and coefficients of them are none of the signal",
            "complex or real fingerprints",
            field="stack",
        )
    if given.components > stack.pulses:
        raise InputError(
            f"components is {given.components}, but the fingerprints have {counted(stack.pulses, 'time point')}",
            "no more than these",
            field="components",
        )
    started, watch = time.perf_counter(), Watch(progress, cancelled)
    subspace = Subspace.of(_BASES[given.components_of](stack, given.components, watch))
    number = np.complex64 if stack.kind == "complex" or subspace.is_complex else np.float32
    kept = np.zeros((*stack.shape[1:], subspace.rank), number)
    whole = inside = 0.0
    slices = np.flatnonzero(stack.mask.any(axis=(1, 2)))
    for done, z in enumerate(slices):
        watch.check("compressing")
        watch.report(done, len(slices), "compressing")
        here = np.zeros_like(stack.mask)
        here[z] = stack.mask[z]
        samples = stack.fingerprints(here)
        coefficients = subspace.project(samples)
        kept[z][stack.mask[z]] = coefficients
        _compress_background(stack, int(z), subspace, kept[z])
        whole += float(np.square(np.abs(samples), dtype=np.float64).sum())
        inside += float(np.square(np.abs(coefficients)).sum())
    watch.report(1, 1, "compressing")
    left_out = max(0.0, 1.0 - inside / whole) if whole > 0 else 0.0
    record = make_record("compress", given, {"stack": stack.record or {"operation": "given", "stack": stack.name}},
                         seconds=time.perf_counter() - started, left_out=left_out)  # fmt: skip
    return replace(stack, data=np.moveaxis(kept, -1, 0), basis=subspace.q, record=record, known=True)


def expand(
    stack: FingerprintStack,
    settings: ExpandSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    **fields: Any,
) -> FingerprintStack:
    """Return the whole fingerprints that coefficients stand for: s = U·c.

    Parameters
    ----------
    stack : FingerprintStack
        Of coefficients, with its schedule.
    settings : ExpandSettings, optional
        There are none.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.

    Returns
    -------
    FingerprintStack
        Its noise is no longer white, and so its standard deviation is not stated.

    Raises
    ------
    InputError
        Whole fingerprints already; no schedule; more than the memory holds.
    Cancelled
    """
    given = settings_from(ExpandSettings, settings, **fields)
    if stack.basis is None:
        raise InputError(f"The stack {stack.name} holds whole fingerprints already", "coefficients", field="stack")
    if stack.schedule is None:
        raise InputError(f"The stack {stack.name} has no schedule", "the schedule that made it", field="schedule")
    started, watch = time.perf_counter(), Watch(progress, cancelled)
    number = np.complex64 if stack.kind == "complex" else np.float32
    size = int(np.prod(stack.shape[1:])) * stack.pulses * np.dtype(number).itemsize
    check_memory(size, "The stack of whole fingerprints", "stack")
    whole: AnyArray = np.zeros((*stack.shape[1:], stack.pulses), number)
    slices = np.flatnonzero(stack.mask.any(axis=(1, 2)))
    for done, z in enumerate(slices):
        watch.check("expanding")
        watch.report(done, len(slices), "expanding")
        here = np.zeros_like(stack.mask)
        here[z] = stack.mask[z]
        whole[z][stack.mask[z]] = stack.expanded(here)
    watch.report(1, 1, "expanding")
    record = make_record("expand", given, {"stack": stack.record or {"operation": "given", "stack": stack.name}},
                         seconds=time.perf_counter() - started, components=stack.shape[0])  # fmt: skip
    note = f"The fingerprints are sums of {stack.shape[0]} time courses; their noise is not white."
    sigma = 0.0 if stack.noise_sigma == 0 else None
    return replace(stack, data=np.moveaxis(whole, -1, 0), basis=None, snr=None, noise_sigma=sigma, record=record,
                   notes=(*stack.notes, note), known=True)  # fmt: skip


def _basis_of(stack: FingerprintStack, components: int, watch: Watch) -> AnyArray:
    """Return singular vectors of the signals of all tissues under a stack's schedule."""
    from napari_blochnet.estimators.matching.atoms import atom_form
    from napari_blochnet.estimators.matching.component_bases import signal_basis

    return signal_basis(stack.schedule, atom_form(stack.schedule, stack.kind), components, watch=watch)


def _informative_basis(stack: FingerprintStack, components: int, watch: Watch) -> AnyArray:
    """Return time courses that T1 and T2 are told by under a stack's schedule."""
    from napari_blochnet.estimators.matching.component_bases import informative_basis

    found = informative_basis(stack.schedule, components, watch=watch)
    return found if stack.kind == "complex" or not np.iscomplexobj(found) else found.real


def _compress_background(stack: FingerprintStack, z: int, subspace: Subspace, kept: AnyArray) -> None:
    """Write the coefficients (y, x, K) of what voxels of a slice outside the mask hold."""
    # the slice is read once, and projected row after row
    plane = np.asarray(stack.data[:, z])
    for y, inside in enumerate(stack.mask[z]):
        outside = np.flatnonzero(~inside)
        samples = plane[:, y, outside].T
        held = np.isfinite(samples).all(axis=1) & samples.any(axis=1)
        if held.any():
            kept[y, outside[held]] = subspace.project(samples[held])


def _own_basis(stack: FingerprintStack, components: int, watch: Watch) -> AnyArray:
    """Return singular vectors of some of a stack's fingerprints."""
    watch.check("compressing")
    inside = np.flatnonzero(stack.mask)
    few = np.zeros_like(stack.mask)
    few.reshape(-1)[inside[:: max(1, len(inside) // _OWN)]] = True
    rows = stack.fingerprints(few)
    gram = rows.T.astype(np.complex128 if np.iscomplexobj(rows) else np.float64) @ rows.conj()
    vectors: AnyArray = np.linalg.eigh(gram)[1]
    return vectors[:, ::-1][:, :components]


_BASES = {"tissues": _basis_of, "information": _informative_basis, "data": _own_basis}
