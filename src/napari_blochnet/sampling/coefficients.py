"""Coefficient images: the few of a subspace that explain all that was read, by conjugate gradients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.fft

from napari_blochnet.common.arrays import AnyArray
from napari_blochnet.common.progress import UNWATCHED, Watch
from napari_blochnet.physics.kernels.launch import available_threads
from napari_blochnet.sampling.fourier import FramePlans, transforms_by
from napari_blochnet.sampling.trajectories import Trajectory

__all__ = ["SubspaceProblem", "coefficient_images"]

# Of the alternating directions: how strongly both images are tied to each other, in units of the data term, whose
# largest eigenvalues are near 1; how often each is made; steps of conjugate gradients in each.
_TIE, _ROUNDS, _STEPS = 0.2, 12, 4
# Voxels along a block's side: structures of the brain are as thin.
_BLOCK = 4


class SubspaceProblem:
    """Least squares for coefficient images c of a slice: Σ w |y − A(S·basis·c)|² over samples y of frames and coils.

    Parameters
    ----------
    trajectory : Trajectory
        With the weights w.
    basis : array of shape (time, K)
        Orthonormal columns.
    coils : complex array of shape (coil, y, x)
        Sensitivities S.
    watch : Watch
    device : str
        Of the transforms off the grid; see `napari_blochnet.sampling.fourier.transforms_by`.

    Notes
    -----
    The normal operator AᴴwA is a convolution for each pair of coefficients, done on a grid of twice the size (Toeplitz
    embedding: Fessler et al., IEEE Trans Signal Process 53:3393, 2005): an iteration costs 2·K·coils such FFTs,
    however many samples there are. Subspace-constrained reconstruction: Tamir et al., Magn Reson Med 77:180 (2017);
    Assländer et al., Magn Reson Med 79:83 (2018).
    """

    def __init__(
        self, trajectory: Trajectory, basis: AnyArray, coils: AnyArray, watch: Watch = UNWATCHED, device: str = "cpu"
    ) -> None:
        self.trajectory, self.basis, self.coils, self.device = trajectory, basis, coils, device
        self.image = (int(coils.shape[1]), int(coils.shape[2]))
        # of transforms off the grid; one feeds a GPU
        self._readers = 1 if transforms_by(device) == "cufinufft" else available_threads()
        self._spectra = self._convolutions(watch)

    @property
    def rank(self) -> int:
        """Number of coefficients."""
        return int(self.basis.shape[1])

    def _convolutions(self, watch: Watch) -> AnyArray:
        """Return the spectra (K, K, 2y, 2x) of the convolutions between coefficients, Hermitian at every frequency."""
        played = len(self.trajectory)
        height, width = (2 * n for n in self.image)
        pairs = np.zeros((played, self.rank, self.rank), np.complex128)
        np.add.at(pairs, np.arange(len(self.basis)) % played, np.einsum("nk,nl->nkl", self.basis.conj(), self.basis))
        spectra = np.empty((self.rank, self.rank, height, width), np.complex64)
        # scaled by the larger grid it would be twice too small along each axis
        weights = 2.0 * self.trajectory.weights
        points = self.trajectory.points.reshape(-1, 2)

        def row(k: int) -> None:
            watch.check("coefficient images")
            plans = FramePlans((height, width), self.rank - k, self.device)
            plans.set_points(points)
            strengths = pairs[:, k, k:, None] * weights[:, None]
            made = plans.from_samples(np.moveaxis(strengths, 0, 1).reshape(self.rank - k, -1))
            made *= np.float32(1.0 / np.sqrt(self.image[0] * self.image[1]))
            spectra[k, k:] = scipy.fft.fft2(scipy.fft.ifftshift(made, axes=(1, 2)))
            spectra[k:, k] = spectra[k, k:].conj()

        with ThreadPoolExecutor(self._readers) as pool:
            list(pool.map(row, range(self.rank)))
        return spectra

    def seen(self, samples: AnyArray, watch: Watch = UNWATCHED) -> AnyArray:
        """Return what the adjoint makes of samples (time, coil, sample): the right-hand side, (K, y, x)."""
        played = len(self.trajectory)
        points = self.trajectory.points.reshape(-1, 2)
        weights = self.trajectory.weights.astype(np.float32)

        def of_coil(coil: int) -> AnyArray:
            watch.check("coefficient images")
            plans = FramePlans(self.image, self.rank, self.device)
            plans.set_points(points)
            gathered = np.zeros((self.rank, *weights.shape), np.complex64)
            for start in range(0, len(samples), played):
                some = samples[start : start + played, coil]
                part = self.basis[start : start + played].conj().astype(np.complex64)
                gathered[:, : len(some)] += part.T[:, :, None] * some
            images: AnyArray = self.coils[coil].conj() * plans.from_samples((gathered * weights).reshape(self.rank, -1))
            return images

        return self._over_coils(of_coil, min(self._readers, len(self.coils)))

    def normal(self, images: AnyArray) -> AnyArray:
        """Return the normal operator's answer to coefficient images (K, y, x)."""
        height, width = self.image

        def of_coil(coil: int) -> AnyArray:
            # rows and columns of zeros are transformed along one axis only
            spectrum = scipy.fft.fft(self.coils[coil] * images, 2 * width, axis=-1)
            spectrum = scipy.fft.fft(spectrum, 2 * height, axis=-2, overwrite_x=True)
            spectrum = np.einsum("klyx,lyx->kyx", self._spectra, spectrum)
            back = scipy.fft.ifft(spectrum, axis=-2, overwrite_x=True)[:, :height]
            answer: AnyArray = self.coils[coil].conj() * scipy.fft.ifft(back, axis=-1)[:, :, :width]
            return answer

        return self._over_coils(of_coil, min(available_threads(), len(self.coils)))

    def _over_coils(self, of_coil: Any, threads: int) -> AnyArray:
        total = np.zeros((self.rank, *self.image), np.complex64)
        with ThreadPoolExecutor(threads) as pool:
            # in order, whatever the number of threads: sums of single precision are the same bits
            for part in pool.map(of_coil, range(len(self.coils))):
                total += part
        return total


def coefficient_images(
    problem: SubspaceProblem, samples: AnyArray, low_rank: float, *, seed: int = 0, watch: Watch = UNWATCHED
) -> AnyArray:
    """Return coefficient images that explain samples and are of low rank in every small block.

    Parameters
    ----------
    problem : SubspaceProblem
    samples : complex array of shape (time, coil, sample)
    low_rank : float
        Weight of the nuclear norms of blocks of 4 × 4 voxels, relative to the root mean square of their largest
        singular values; 0: none.
    seed : int
        Of where the blocks lie, which changes from round to round so that none of their edges stays.
    watch : Watch
        Counts rounds.

    Returns
    -------
    complex64 array of shape (K, y, x)

    Notes
    -----
    Alternating directions (ADMM); the step that explains samples is solved by conjugate gradients from the last
    round's answer, the other by soft thresholds of singular values (Zhang, Pauly, Levesque: Magn Reson Med 73:655,
    2015).
    """
    message = "coefficient images"
    watch.report(0, _ROUNDS, message)
    target = problem.seen(samples, watch)
    if not target.any():
        return target
    if low_rank == 0:
        return _solved(problem, target, np.zeros_like(target), 0.0, _ROUNDS * _STEPS, watch)
    images = _solved(problem, target, target, _TIE / 10, _STEPS, watch)
    random = np.random.default_rng(seed)
    threshold = low_rank * _largest(images) / _TIE
    smooth, duals = images, np.zeros_like(images)
    for done in range(_ROUNDS):
        watch.report(done, _ROUNDS, message)
        smooth = _thresholded(images + duals, threshold, random.integers(0, _BLOCK, 2))
        duals = duals + images - smooth
        images = _solved(problem, target + np.float32(_TIE) * (smooth - duals), images, _TIE, _STEPS, watch)
    watch.report(_ROUNDS, _ROUNDS, message)
    return images


def _solved(
    problem: SubspaceProblem, target: AnyArray, start: AnyArray, tie: float, steps: int, watch: Watch
) -> AnyArray:
    """Return an answer of (normal + tie) c = target by some steps of conjugate gradients."""
    images, weight = start.copy(), np.float32(tie)
    rest = target - problem.normal(images) - weight * images
    along, size = rest, _energy(rest)
    for _ in range(steps):
        watch.check("coefficient images")
        if size == 0.0:
            break
        answer = problem.normal(along) + weight * along
        step = np.float32(size / float(np.vdot(along, answer).real))
        images += step * along
        rest = rest - step * answer
        before, size = size, _energy(rest)
        along = rest + np.float32(size / before) * along
    return images


def _energy(images: AnyArray) -> float:
    return float(np.vdot(images, images).real)


def _blocks(images: AnyArray, shift: AnyArray) -> AnyArray:
    """Return the blocks (block, voxel, K) of images (K, y, x) that are moved by a shift; what lies beyond them is 0."""
    rank, height, width = images.shape
    rows, columns = (-(-(n + int(by)) // _BLOCK) for n, by in zip((height, width), shift, strict=True))
    padded = np.zeros((rank, rows * _BLOCK, columns * _BLOCK), images.dtype)
    padded[:, shift[0] : shift[0] + height, shift[1] : shift[1] + width] = images
    cut = padded.reshape(rank, rows, _BLOCK, columns, _BLOCK)
    return cut.transpose(1, 3, 2, 4, 0).reshape(rows * columns, _BLOCK**2, rank)


def _thresholded(images: AnyArray, threshold: float, shift: AnyArray) -> AnyArray:
    """Return images whose blocks have their singular values lowered by a threshold."""
    rank, height, width = images.shape
    blocks = _blocks(images, shift)
    values, vectors = np.linalg.eigh(np.einsum("bpk,bpl->bkl", blocks.conj(), blocks).astype(np.complex128))
    sizes = np.sqrt(np.maximum(values, 0.0))
    kept = np.maximum(1.0 - threshold / np.maximum(sizes, 1e-30), 0.0)
    blocks = blocks @ np.einsum("bkj,bj,blj->bkl", vectors, kept, vectors.conj()).astype(np.complex64)
    rows, columns = (-(-(n + int(by)) // _BLOCK) for n, by in zip((height, width), shift, strict=True))
    padded = blocks.reshape(rows, columns, _BLOCK, _BLOCK, rank).transpose(4, 0, 2, 1, 3)
    whole: AnyArray = padded.reshape(rank, rows * _BLOCK, columns * _BLOCK)
    return whole[:, shift[0] : shift[0] + height, shift[1] : shift[1] + width]


def _largest(images: AnyArray) -> float:
    """Return the root mean square of the largest singular values of blocks that hold signal."""
    blocks = _blocks(images, np.zeros(2, int))
    first = np.linalg.eigvalsh(np.einsum("bpk,bpl->bkl", blocks.conj(), blocks).astype(np.complex128))[:, -1]
    return float(np.sqrt(first[first > 0.01 * first.max()].mean()))
