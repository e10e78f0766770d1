"""Linear system of the double-difference relocation: its solution and the errors of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from seisflow.detection.differential_times import DifferentialTimes
from seisflow.domain import FloatArray
from seisflow.errors import PhysicsError

if TYPE_CHECKING:  # imported late, see ``seisflow.fourier``
    from scipy.sparse import bsr_matrix, csr_matrix

__all__ = ["ErrorConfig", "System", "covariances"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ErrorConfig:
    """How errors of relocated places are found.

    Parameters
    ----------
    dense_events : int
        Groups of up to so many events get the full covariance; larger ones a bootstrap.
    samples : int
        Of the bootstrap.
    seed : int
        Of the bootstrap.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    dense_events: int = 100
    samples: int = 40
    seed: int = 0


@dataclass(frozen=True, eq=False)
class System:
    """Double differences linearised about the present places.

    The unknowns of an event are its shift in x, y, z in m and in origin time, the latter times a velocity, so that all
    four are of one size.

    Parameters
    ----------
    matrix : csr_matrix (links, 4 n)
        Derivatives of the differences, s/m.
    information : ndarray (links,)
        Weights over squared errors, 1/s2.
    groups : ndarray of int (n,)
        Number of the group of linked events; -1 for an event without links.
    velocity : float
        m/s.
    """

    matrix: csr_matrix
    information: FloatArray
    groups: IntArray
    velocity: float

    @classmethod
    def build(
        cls, links: DifferentialTimes, slopes: FloatArray, information: FloatArray, groups: IntArray
    ) -> System:
        """Assemble the system.

        Parameters
        ----------
        links : DifferentialTimes
            In use.
        slopes : ndarray (ns, np, n, 3)
            Derivatives of the travel times in s/m.
        information : ndarray (links,)
        groups : ndarray of int (n,)
        """
        from scipy.sparse import csr_matrix

        count = len(links)
        first = slopes[links.station, links.phase, links.first]
        second = slopes[links.station, links.phase, links.second]
        velocity = float(np.sqrt(3 / np.mean(first**2 + second**2) / 2)) if count else 1.0
        values = np.empty((count, 2, 4))
        values[:, 0, :3], values[:, 1, :3] = first, -second
        values[:, 0, 3], values[:, 1, 3] = 1 / velocity, -1 / velocity
        columns = 4 * np.stack([links.first, links.second], axis=1)[..., None] + np.arange(4)
        rows = 8 * np.arange(count + 1)
        shape = (count, 4 * len(groups))
        matrix = csr_matrix((values.ravel(), columns.ravel(), rows), shape=shape)
        return cls(matrix, information, groups, velocity)

    def centred(self, shifts: FloatArray) -> FloatArray:
        """Take the mean of its group off each row (n, 4); 0 for events without links."""
        label, counts = self._members
        if counts.size == 1 and label.size == len(shifts):
            whole: FloatArray = shifts - shifts.mean(axis=0)
            return whole
        linked = self.groups >= 0
        result = np.zeros_like(shifts)
        means = np.stack([np.bincount(label, column) / counts for column in shifts[linked].T], axis=1)
        result[linked] = shifts[linked] - means[label]
        return result

    @cached_property
    def _members(self) -> tuple[IntArray, IntArray]:
        """Group of each linked event, and sizes of the groups."""
        label = self.groups[self.groups >= 0]
        return label, np.bincount(label)

    def given(
        self, shifts: FloatArray, fixed: npt.NDArray[np.bool_], residuals: FloatArray
    ) -> tuple[System, FloatArray]:
        """Give the system and the residuals that are left when some shifts are known.

        Parameters
        ----------
        shifts : ndarray (n, 4)
            m; zero but for the known ones.
        fixed : ndarray of bool (n, 3)
            Which are known.
        residuals : ndarray (links,)
            s.
        """
        from scipy.sparse import csr_matrix

        known = np.zeros(shifts.shape, dtype=np.bool_)
        known[:, :3] = fixed
        values = np.where(known.ravel()[self.matrix.indices], 0.0, self.matrix.data)
        matrix = csr_matrix((values, self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape)
        return replace(self, matrix=matrix), residuals - self.matrix @ shifts.ravel()

    @cached_property
    def weighted(self) -> csr_matrix:
        """Rows of the matrix times their information."""
        return self.matrix.multiply(self.information[:, None]).tocsr()

    @cached_property
    def normal(self) -> bsr_matrix:
        """Normal matrix (4 n, 4 n) in blocks of events; a pair costs one block, however many links it has."""
        return (self.matrix.T @ self.weighted).tobsr((4, 4))

    def blocks(self) -> FloatArray:
        """Diagonal blocks (n, 4, 4) of the normal matrix."""
        count = len(self.groups)
        rows = np.repeat(np.arange(count), np.diff(self.normal.indptr))
        diagonal = rows == self.normal.indices
        result = np.zeros((count, 4, 4))
        result[rows[diagonal]] = self.normal.data[diagonal]
        return result

    def solve(self, residuals: FloatArray, damping: float, tolerance: float = 1e-6) -> FloatArray:
        """Damped least squares for the shifts, with the centroid of each group fixed.

        Conjugate gradients on the normal equations (Hestenes & Stiefel 1952), preconditioned by the block of each
        event, which takes some tens of iterations. LSQR would do more work: the normal matrix has one block for a pair
        of events where the system has a row for each link. All sums are taken in one fixed order, which the BLAS
        under SciPy's LSQR does not promise for different numbers of threads.

        Parameters
        ----------
        residuals : ndarray (links,)
            s.
        damping : float
            Over the root mean square of the columns.
        tolerance : float
            Relative to the first gradient.

        Returns
        -------
        ndarray (n, 4)
            Shifts in m; the last one is time times ``velocity``.

        Raises
        ------
        PhysicsError
            If they are not finite.
        """
        blocks, shape = self.blocks(), (len(self.groups), 4)
        level = float(np.trace(blocks[self.groups >= 0], axis1=1, axis2=2).mean() / 4)
        ridge = damping**2 * level
        inverse = np.linalg.inv(blocks + (ridge + 1e-9 * level) * np.eye(4))
        gradient = self.centred((self.weighted.T @ residuals).reshape(shape))
        solution, scaled = np.zeros(shape), self.centred(_apply(inverse, gradient))
        direction, size = scaled, _dot(gradient, scaled)
        goal = tolerance**2 * size
        for _ in range(max(50, 4 * len(self.groups))):
            if size <= goal:
                break
            image = self.centred((self.normal @ direction.ravel()).reshape(shape)) + ridge * direction
            step = size / _dot(direction, image)
            solution += step * direction
            gradient = gradient - step * image
            scaled = self.centred(_apply(inverse, gradient))
            size, before = _dot(gradient, scaled), size
            direction = scaled + size / before * direction
        if not np.isfinite(solution).all():
            raise PhysicsError(
                "relocation gave shifts that are not finite; look for wrong differential times or raise the damping"
            )
        return solution


def _apply(blocks: FloatArray, vectors: FloatArray) -> FloatArray:
    result: FloatArray = (blocks * vectors[:, None, :]).sum(axis=2)
    return result


def _dot(a: FloatArray, b: FloatArray) -> float:
    return float((a * b).sum())


@dataclass(frozen=True, eq=False)
class _Noise:
    """Errors of one kind of links: of the onsets at both ends, and of the link itself."""

    rows: IntArray
    ends: csr_matrix
    onset: float
    link: float


def _noise(
    system: System, links: DifferentialTimes, residuals: FloatArray, kind: bool, stretch: float
) -> _Noise | None:
    """Split the scatter of one kind of links into errors that links share and errors of their own.

    All differences with one onset share its error, so that they do not count as independent: from n events one has
    n (n - 1) / 2 differences of n onsets. Both variances follow from the sums over links and over onsets (method of
    moments), enlarged by the unknowns that were fitted and by what the weights took off.
    """
    from scipy.sparse import coo_matrix

    rows = np.flatnonzero(links.correlated == kind)
    if not rows.size:
        return None
    part, residual = links.take(rows), residuals[rows]
    weight = system.information[rows]
    weight = weight / weight.max()
    site = part.station * (int(links.phase.max()) + 1) + part.phase
    sites = int(site.max()) + 1
    names, number = np.unique(
        np.concatenate([part.first * sites + site, part.second * sites + site]), return_inverse=True
    )
    one, two = number[: rows.size], number[rows.size :]
    own = np.arange(rows.size)
    signs = np.concatenate([np.ones(rows.size), -np.ones(rows.size)])
    ends = coo_matrix((signs, (np.concatenate([own, own]), number)), shape=(rows.size, names.size)).tocsr()
    product = weight * residual
    sums = np.bincount(one, product, names.size) - np.bincount(two, product, names.size)
    loads = np.bincount(one, weight, names.size) + np.bincount(two, weight, names.size)
    total, squares = float((product**2).sum()), float((weight**2).sum())
    excess = float((loads**2).sum()) - 2 * squares
    onset = max(0.0, (float((sums**2).sum()) - 2 * total) / excess) if excess > 1e-9 * squares else 0.0
    onset = min(onset, 0.5 * total / squares)
    link = max(0.0, total / squares - 2 * onset)
    groups = system.groups[part.first]
    freedom = names.size - np.unique(groups * sites + site).size
    fitted = 4 * (int((system.groups >= 0).sum()) - int(system.groups.max()) - 1)
    norms = system.information * np.asarray(system.matrix.power(2).sum(axis=1)).ravel()
    spent = fitted * float(norms[rows].sum()) / float(norms.sum())
    shared, own_factor = (
        stretch**2 * free / (free - spent) if free - spent >= 1 else np.nan for free in (freedom, rows.size)
    )
    return _Noise(rows, ends, shared * onset, own_factor * link)


def covariances(
    system: System,
    links: DifferentialTimes,
    residuals: FloatArray,
    stretch: tuple[float, float],
    config: ErrorConfig,
) -> FloatArray:
    """Covariances of the places relative to the centroid of their group.

    Small groups: the exact covariance of the undamped solution under the two kinds of errors of ``_noise``. Large
    ones: spread of solutions for errors drawn at random with those variances (parametric bootstrap, seeded).

    Parameters
    ----------
    system : System
        At the final places.
    links : DifferentialTimes
        In use.
    residuals : ndarray (links,)
        s.
    stretch : tuple of 2 float
        Of the errors of correlated links and of others: mean weight over the mean slope of the influence function,
        by which robust weights make residuals look too small (Huber & Ronchetti 2009, eq. 7.81).
    config : ErrorConfig

    Returns
    -------
    ndarray (n, 4, 4)
        Of x, y, z in m and origin time in s; NaN without links and where there are too few for an error.
    """
    count = len(system.groups)
    result = np.full((count, 4, 4), np.nan)
    kinds = zip((True, False), stretch, strict=True)
    found = [_noise(system, links, residuals, kind, factor) for kind, factor in kinds]
    noises = [each for each in found if each is not None]
    if not noises or not np.isfinite([each.onset + each.link for each in noises]).all():
        return result
    sizes = np.bincount(system.groups[system.groups >= 0])
    if sizes.min() <= config.dense_events:
        _dense(system, noises, np.flatnonzero(sizes <= config.dense_events), result)
    if sizes.max() > config.dense_events:
        large = (system.groups >= 0) & (sizes[system.groups] > config.dense_events)
        result[large] = _bootstrap(system, noises, config)[large]
    scale = np.array([1.0, 1.0, 1.0, 1 / system.velocity])
    result *= scale[:, None] * scale
    return result


def _dense(system: System, noises: list[_Noise], groups: IntArray, result: FloatArray) -> None:
    """Fill in the covariances of small groups."""
    from scipy.sparse import csr_matrix

    weighted, normal = system.weighted, system.normal.tocsr()
    meat = csr_matrix(normal.shape)
    for noise in noises:
        rows = weighted[noise.rows]
        shared = rows.T @ noise.ends
        meat = meat + noise.onset * (shared @ shared.T) + noise.link * (rows.T @ rows)
    meat = meat.tocsr()
    order = np.argsort(system.groups, kind="stable")
    bounds = (
        np.searchsorted(system.groups[order], groups),
        np.searchsorted(system.groups[order], groups, side="right"),
    )
    for start, end in zip(*bounds, strict=True):
        events = order[start:end]
        size = events.size
        columns = (4 * events[:, None] + np.arange(4)).ravel()
        matrix = normal[columns][:, columns].toarray()
        level = np.trace(matrix) / len(matrix)
        fixed = level / size * np.kron(np.ones((size, size)), np.eye(4))
        inverse = _inverse(matrix + fixed + 1e-12 * level * np.eye(len(matrix)))
        blocks = inverse.reshape(size, 4, -1)
        rows = (blocks - blocks.mean(axis=0)).reshape(inverse.shape)
        product = (meat[columns][:, columns] @ rows.T).T.reshape(size, 4, -1)
        result[events] = np.einsum("nik,njk->nij", product, rows.reshape(size, 4, -1))


def _inverse(matrix: FloatArray) -> FloatArray:
    """Inverse of a positive definite matrix by Gauss-Jordan; LAPACK's sums depend on the number of threads."""
    result = matrix.copy()
    for pivot in range(len(result)):
        scale = 1 / result[pivot, pivot]
        row = result[pivot] * scale
        column = result[:, pivot].copy()
        column[pivot] = 0.0
        result -= column[:, None] * row
        result[:, pivot] = -column * scale
        result[pivot] = row
        result[pivot, pivot] = scale
    return result


def _bootstrap(system: System, noises: list[_Noise], config: ErrorConfig) -> FloatArray:
    """Mean squares (n, 4, 4) of solutions for errors drawn at random."""
    generator = np.random.default_rng(config.seed)
    total = np.zeros((len(system.groups), 4, 4))
    for _ in range(config.samples):
        errors = np.zeros(len(system.information))
        for noise in noises:
            onsets = np.sqrt(noise.onset) * generator.standard_normal(noise.ends.shape[1])
            own = np.sqrt(noise.link) * generator.standard_normal(noise.rows.size)
            errors[noise.rows] = noise.ends @ onsets + own
        shift = system.solve(errors, 0.0, 1e-4)
        total += shift[:, :, None] * shift[:, None, :]
    return total / config.samples
