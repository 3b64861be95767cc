"""Reconstruction: T1, T2 and PD maps from fingerprints."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_blochnet.common.arrays import AnyArray, BoolArray, FloatArray, IntArray
from napari_blochnet.common.compiling import tells_of_compiling
from napari_blochnet.common.errors import Cancelled, DataWarning, InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.evaluation.explained import misfit
from napari_blochnet.evaluation.maps import OtherMap, ParameterMaps
from napari_blochnet.evaluation.precision import describe_acquisition, said_of_b1
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.jobs.estimating.coloured_noise import levelled, weighed_by_noise
from napari_blochnet.jobs.estimating.made_estimators import made_by_name, settings_naming, with_options
from napari_blochnet.jobs.operations.b1_maps import checked_b1, read_b1
from napari_blochnet.jobs.operations.batches import KeptSlabs, batches, nearest_first
from napari_blochnet.jobs.operations.devices import resolve_device
from napari_blochnet.jobs.operations.masking import above_threshold, mapped_voxels
from napari_blochnet.jobs.packing import pack_b1, pack_mask, whole_slices
from napari_blochnet.jobs.records import make_record, plain_path
from napari_blochnet.jobs.settings import ReconstructSettings, settings_from
from napari_blochnet.sampling.aliased import is_undersampled, warned_of_aliasing, why_no_errors

if TYPE_CHECKING:
    from napari_blochnet.estimators.base import Estimates, Estimator
    from napari_blochnet.estimators.memory import Allowance

__all__ = ["reconstruct", "record_of"]


@tells_of_compiling
def reconstruct(
    stack: FingerprintStack,
    estimator: str | Estimator | None = None,
    mask: BoolArray | str | os.PathLike[str] | None = None,
    settings: ReconstructSettings | None = None,
    *,
    b1: AnyArray | str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
    partial: Callable[[ParameterMaps], None] | None = None,
    looked_at: Callable[[], int | None] | None = None,
    kept: KeptSlabs | None = None,
    **fields: Any,
) -> ParameterMaps:
    """Map T1, T2 and PD from fingerprints.

    Parameters
    ----------
    stack : FingerprintStack
    estimator : str or Estimator, optional
        A name, or an estimator already made. None: as the settings say.
    mask : bool array of shape (Z, Y, X), "otsu", or path, optional
        Voxels to map, of those inside the stack's mask and the settings' own, as which "otsu" and paths are taken.
        None: all.
    settings : ReconstructSettings, optional
    b1 : array of shape (Z, Y, X), or path, optional
        Transmit field, 1 being nominal, held fixed: of dictionary, universal, and whatever is refined. A path: NIfTI,
        MINC or ``.npy``, laid on the stack's grid as their affines say, or the folder of a phantom that has one. None:
        as the settings say.
    device : str
        "auto", "cpu" or a GPU such as "cuda:0".
    progress, cancelled : optional
        See `napari_blochnet.common.progress`.
    partial : callable, optional
        Called after each batch, in the thread that works, with the maps so far; their mask is what is finished.
    looked_at : callable, optional
        Returns the slice that somebody looks at, in whose neighbourhood the next one is mapped; None: they are mapped
        as they lie.
    kept : KeptSlabs, optional
        Where slices that are mapped are kept, and taken from; see
        `napari_blochnet.jobs.volumes.volume_maps.reconstruct_to`.
    **fields
        Fields of `ReconstructSettings`.

    Returns
    -------
    ParameterMaps
        On the stack's grid; 0 outside what was mapped. Where most of the signal stays unexplained in most voxels, more
        than noise makes, a `DataWarning` says so, and so does the record (``"misfit"``).

    Raises
    ------
    InputError
        An unknown estimator, one made for another schedule, a mask of another shape or without a voxel; a B1 map of
        another shape, out of range, or for a network that is not refined, which takes B1 as nominal.
    Cancelled
        Its ``partial`` holds the maps of the finished batches.
    """
    from napari_blochnet.estimators.memory import Allowance

    if isinstance(estimator, str):
        fields["estimator"] = estimator
        estimator = None
    if isinstance(mask, (str, os.PathLike)):
        fields["mask"] = plain_path(mask)
        mask = None
    if isinstance(b1, (str, os.PathLike)):
        fields["b1"] = plain_path(b1)
        b1 = None
    given = settings_from(ReconstructSettings, settings, **fields)
    chosen = resolve_device(device)
    watch, started = Watch(progress, cancelled), time.perf_counter()
    inside = mapped_voxels(stack, mask, given, watch)
    stack, measured = weighed_by_noise(stack, given, lambda: above_threshold(stack, given, watch), watch)
    made_by: dict[str, Any] | None = None
    has_b1 = b1 is not None or given.b1 is not None
    if estimator is None:
        # made on the CPU: going to the device is where its memory may turn out too small
        made = with_options(made_by_name(given), given, with_b1=has_b1, subspace=stack.subspace)
        target = chosen if made.is_movable else "cpu"
    else:
        given, made_by = settings_naming(estimator, given)
        made = with_options(estimator, given, with_b1=has_b1, subspace=stack.subspace)
        target = str(made.device)
    field = _field(b1, given, made, stack, inside)
    if b1 is not None:
        # the record holds the array as it was used, relative to nominal
        given = given.model_copy(update={"b1_nominal": None})
    watch.check("mapping")
    work = f"mapping with {made.name}"
    allowance = Allowance(given.batch, target, work, "voxels")

    def prepare() -> bool:
        made.to(allowance.device).prepare(
            stack.schedule,
            stack.kind,
            subspace=stack.subspace,
            with_b1=field is not None,
            progress=progress,
            cancelled=cancelled,
        )
        return True

    while not allowance.attempt(prepare, 1):
        pass
    made.check_stack(stack, inside)
    understood = (*measured, *made.understood, *_beyond_b1(made, field, inside), *warned_of_aliasing(made, stack))
    maps = _empty_maps(stack, made, given, with_b1=field is not None)
    total, done = int(inside.sum()), 0
    if kept is not None:
        kept.begin(made, allowance.device, inside, field)

    def recorded() -> ParameterMaps:
        found, said = levelled(maps, stack, given)
        return found.replace(
            record=record_of(
                stack,
                given,
                found,
                in_part=mask is not None or done < total,
                estimator=made.description,
                device=allowance.device,
                seconds=time.perf_counter() - started + (0.0 if kept is None else kept.seconds),
                memory=allowance.notes,
                made_by=made_by,
                b1=None if b1 is None or field is None else pack_b1(field),
                understood=(*understood, *said),
            )
        )

    try:
        for slab in nearest_first(inside, looked_at):
            begun = time.perf_counter()
            if kept is not None and kept.take(slab, maps):
                done += int(maps.mask[slab].sum())
                continue
            for batch in batches(inside, given.batch, slab):
                watch.report(done, total, work)
                for part, estimates in _estimated(made, allowance, stack, batch, field, watch):
                    _enter(maps, part, estimates)
                    done += len(part)
                    if partial is not None:
                        partial(maps)
            if kept is not None:
                kept.put(slab, maps, time.perf_counter() - begun)
    except Cancelled as stopped:
        raise Cancelled(str(stopped), partial=recorded()) from None
    watch.report(total, total, work)
    whole = recorded()
    if "misfit" in whole.record:
        warnings.warn(whole.record["misfit"], DataWarning, stacklevel=3)
    return whole


def record_of(
    stack: FingerprintStack,
    settings: ReconstructSettings,
    maps: ParameterMaps,
    *,
    in_part: bool,
    estimator: str,
    device: str,
    seconds: float,
    memory: Sequence[str] = (),
    made_by: dict[str, Any] | None = None,
    b1: dict[str, Any] | None = None,
    understood: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the record of maps made from a stack.

    Parameters
    ----------
    stack : FingerprintStack
    settings : ReconstructSettings
    maps : ParameterMaps
        Whose mask is what was mapped.
    in_part : bool
        Whether they may cover less than the settings say: their slices, or their mask, are then in the record.
    estimator : str
        Its description.
    device : str
    seconds : float
    memory : sequence of str
        What was said where the memory did not suffice.
    made_by : dict, optional
        Record of the estimator, where the settings do not name it.
    b1 : dict, optional
        A B1 map that was given as an array, packed.
    understood : sequence of str
        What was understood of the file that the estimator comes from.
    """
    inputs = {"stack": stack.record or {"operation": "given", "stack": stack.name}}
    if made_by is not None:
        inputs["estimator"] = made_by
    if in_part:
        slices = whole_slices(maps.mask, above_threshold(stack, settings))
        settings = settings.model_copy(update={"slices": slices})
        if slices is None:
            inputs["mask"] = {"operation": "given", "mask": pack_mask(maps.mask)}
    if b1 is not None:
        inputs["b1"] = {"operation": "given", "b1": b1}
    return make_record(
        "reconstruct",
        settings,
        inputs,
        device=device,
        seconds=seconds,
        estimator=estimator,
        voxels=int(maps.mask.sum()),
        failed=int(maps.failed.sum()),
        acquisition=describe_acquisition(stack),
        **({"memory": list(memory)} if memory else {}),
        **({"understood": list(understood)} if understood else {}),
        **_notes(maps, stack, settings, has_b1=b1 is not None or settings.b1 is not None),
    )


def _estimated(
    estimator: Estimator,
    allowance: Allowance,
    stack: FingerprintStack,
    batch: IntArray,
    field: FloatArray | None,
    watch: Watch,
) -> Iterator[tuple[IntArray, Estimates]]:
    """Yield a batch of voxels, by their place in the volume, with what is estimated of them; in parts where the memory
    does not suffice.
    """
    done = 0
    while done < len(batch):
        watch.check("mapping")
        part = batch[done : done + allowance.size]

        def predict(part: IntArray = part) -> Estimates:
            here = np.zeros(stack.mask.shape, dtype=bool)
            here.reshape(-1)[part] = True
            data, subspace = stack.fingerprints(here), stack.subspace
            if subspace is not None:
                data = subspace.coordinates(data)
            known = None if field is None else field.reshape(-1)[part]
            found = estimator.predict(data, stack.schedule, stack.kind, b1=known, subspace=subspace,
                                      cancelled=watch.cancelled)  # fmt: skip
            return found if known is None else replace(found, b1=known)

        before = allowance.device
        estimates = allowance.attempt(predict, len(part))
        if estimates is not None:
            yield part, estimates
            done += len(part)
        elif allowance.device != before:
            estimator.to(allowance.device)


def _field(
    b1: AnyArray | None, given: ReconstructSettings, estimator: Estimator, stack: FingerprintStack, inside: BoolArray
) -> FloatArray | None:
    """Return the B1 map, of an array or a file, relative to nominal; None where neither is given."""
    unit = flip_angle = None
    if b1 is None:
        if given.b1 is None:
            return None
        found = read_b1(given.b1, stack)
        b1, unit, flip_angle = found.values, found.unit, found.flip_angle
    if not estimator.takes_b1:
        raise InputError(f"A B1 map is given, but {estimator.name} takes B1 as nominal; expected refine with it, or no "
                         "B1 map.", field="b1")  # fmt: skip
    if estimator.fit_b1:
        raise InputError("A B1 map is given, and B1 is to be fitted; expected one of the two.", field="fit_b1")
    return checked_b1(b1, stack, inside, unit=unit, nominal=given.b1_nominal, flip_angle=flip_angle)


def _beyond_b1(estimator: Estimator, field: FloatArray | None, inside: BoolArray) -> list[str]:
    """Return, and warn, in how many voxels B1 is beyond what an estimator has signals of."""
    if field is None or estimator.b1_range is None:
        return []
    low, high = estimator.b1_range
    # maps are in single precision
    beyond = int(((field[inside] < low * (1 - 1e-6)) | (field[inside] > high * (1 + 1e-6))).sum())
    if not beyond:
        return []
    said = (
        f"B1 of {beyond:,} of {int(inside.sum()):,} voxels is outside the {low:g} to {high:g} that {estimator.name} "
        "has signals of; the nearest is taken there."
    )
    warnings.warn(said, DataWarning, stacklevel=4)
    return [said]


def _notes(
    maps: ParameterMaps, stack: FingerprintStack, settings: ReconstructSettings, *, has_b1: bool
) -> dict[str, Any]:
    """What a record says of fits and standard errors, and where maps do not fit."""
    # of frames that are aliased most is unexplained, and what made them is known
    unexplained = None if is_undersampled(stack.record) else misfit(maps, stack)
    notes: dict[str, Any] = {} if unexplained is None else {"misfit": unexplained}
    if maps.converged is not None:
        notes["not_converged"] = int((maps.mask & ~maps.failed & ~maps.converged).sum())
    # what B1 does is simulated; a dictionary of others has its own, and may have estimated B1
    fitted = settings.refine and settings.fit_b1
    said = said_of_b1(maps, stack, fitted=fitted) if (has_b1 or fitted) and settings.dictionary is None else None
    if said is not None:
        notes["note"] = said
    if settings.refine or settings.uncertainty or maps.t1_se is not None:
        notes["note"] = " ".join(filter(None, (_said_of_precision(maps, stack, settings), said)))
    return notes


def _said_of_precision(maps: ParameterMaps, stack: FingerprintStack, settings: ReconstructSettings) -> str:
    from napari_blochnet.estimators.fitting import standard_errors as said

    known = settings.noise_covariance is not None
    if maps.t1_se is not None:
        return said.COLOURED_NOTE if known else said.PRECISION_NOTE
    why = why_no_errors(stack, settings.noise_sigma, settings.noise_covariance)
    return why or (said.OTHER_NOISE_NOTE if known else said.NO_PRECISION_NOTE)


def _empty_maps(
    stack: FingerprintStack, estimator: Estimator, settings: ReconstructSettings, *, with_b1: bool = False
) -> ParameterMaps:
    shape = stack.shape[1:]
    refined = settings.refine
    # the fit of a refinement has T1 and T2 alone
    found = {"b1"} & {*estimator.estimated} if not refined else set()
    others = {} if refined else {name: OtherMap(np.zeros(shape, np.float32), unit) for name, unit in estimator.others}
    errors = (refined or settings.uncertainty) and estimator.has_errors(stack.schedule, stack.kind, stack.subspace)
    t1, t2 = (np.zeros(shape, np.float32) if key in estimator.estimated else None for key in ("t1", "t2"))
    pd, residual = (np.zeros(shape, np.float32) for _ in range(2))
    errors = errors and why_no_errors(stack, settings.noise_sigma, settings.noise_covariance) is None
    phase = np.zeros(shape, np.float32) if stack.kind == "complex" else None
    return ParameterMaps(
        t1, t2, pd, residual, np.zeros(shape, bool), np.zeros(shape, bool), phase,
        t1_se=np.zeros(shape, np.float32) if errors else None,
        t2_se=np.zeros(shape, np.float32) if errors else None,
        converged=np.zeros(shape, bool) if refined else None,
        b1=np.zeros(shape, np.float32) if with_b1 or found or (refined and settings.fit_b1) else None,
        others=others,
        estimator=estimator.name, voxel_size=stack.voxel_size, affine=stack.affine,
    )  # fmt: skip


def _enter(maps: ParameterMaps, voxels: np.ndarray, estimates: Estimates) -> None:
    assert maps.pd is not None
    assert maps.residual is not None
    maps.pd.reshape(-1)[voxels] = np.abs(estimates.pd)
    maps.residual.reshape(-1)[voxels] = estimates.residual
    maps.failed.reshape(-1)[voxels] = estimates.failed
    if maps.phase is not None:
        maps.phase.reshape(-1)[voxels] = np.degrees(np.angle(estimates.pd))
    for name, other in maps.others.items():
        other.values.reshape(-1)[voxels] = estimates.others[name]
    for name in ("t1", "t2", "t1_se", "t2_se", "converged", "b1"):
        values, found = getattr(maps, name), getattr(estimates, name)
        if values is not None and found is not None:
            values.reshape(-1)[voxels] = found
    maps.mask.reshape(-1)[voxels] = True
