"""The variables of the inversion: logarithms of the chosen model fields.

x = ln(m / m_ref), so that differences of x are relative changes, fields of different units have one size, and
no step can make a speed negative. Arrays of variables have the shape (fields, nx, ny, nz), the fields in the
order of the names. The optimiser takes them as vectors with ``ravel``; ``reshape`` with ``shape`` brings them
back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seisflow.domain import FloatArray, Grid, Kernel, Model
from seisflow.errors import InputError, PhysicsError

__all__ = ["change", "check_bounds", "gradient", "largest_change", "shape", "updated"]


def shape(grid: Grid, names: Sequence[str]) -> tuple[int, int, int, int]:
    """Shape of the variables of these fields: (fields, nx, ny, nz)."""
    return (len(names), *grid.shape)


def change(reference: Model, model: Model, names: Sequence[str]) -> FloatArray:
    """Compute the variables of a model against a reference: ln(m / m_ref).

    Parameters
    ----------
    reference, model : Model
        On one grid.
    names : sequence of str
        Fields: some of ``vp``, ``vs``, ``rho``.

    Returns
    -------
    ndarray (fields, nx, ny, nz)
        No unit; 0.01 is about one percent faster.

    Raises
    ------
    InputError
        If the grids differ.
    """
    _check_grids(reference.grid, model.grid)
    old, new = reference.fields(), model.fields()
    return np.stack([np.log(np.asarray(new[n], np.float64) / np.asarray(old[n], np.float64)) for n in names])


def gradient(model: Model, kernel: Kernel, names: Sequence[str]) -> FloatArray:
    """Derive the misfit with respect to the variables: dJ/dx = m dJ/dm.

    Parameters
    ----------
    model : Model
        At which the kernel was computed.
    kernel : Kernel
    names : sequence of str

    Returns
    -------
    ndarray (fields, nx, ny, nz)
        In units of the misfit. It does not depend on m_ref.

    Raises
    ------
    InputError
        If the grids differ.
    """
    _check_grids(model.grid, kernel.grid)
    fields, derivatives = model.fields(), kernel.fields()
    return np.stack([np.asarray(fields[n], np.float64) * derivatives[n] for n in names])


def updated(model: Model, direction: FloatArray, step: float, names: Sequence[str]) -> Model:
    """Move a model by a step along a direction of the variables: m exp(step d).

    Parameters
    ----------
    model : Model
    direction : ndarray (fields, nx, ny, nz), or the same as a vector
    step : float
    names : sequence of str

    Returns
    -------
    Model
        Not checked; see ``check_bounds``.
    """
    moves = direction.reshape(shape(model.grid, names))
    fields = model.fields()
    return model.with_fields(
        **{
            name: np.asarray(fields[name], np.float64) * np.exp(step * move)
            for name, move in zip(names, moves, strict=True)
        }
    )


def largest_change(direction: FloatArray) -> float:
    """Return the largest change of a field per unit step: max |d|, logarithmic (0.04: a factor 1.041)."""
    return float(np.max(np.abs(direction)))


def check_bounds(model: Model, min_vp_vs: float = 1.2) -> None:
    """Refuse a new model that no rock has.

    Parameters
    ----------
    model : Model
    min_vp_vs : float
        Smallest vp/vs allowed.

    Raises
    ------
    PhysicsError
        With the place and the value of the first fault: NaN, infinite, not positive, or vp/vs too small.
    """
    for name, values in model.fields().items():
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            place = tuple(np.argwhere(bad)[0])
            raise PhysicsError(
                f"new model: {name} = {values[place]:g} at {_where(model.grid, place)} and "
                f"{int(bad.sum()) - 1} more "
                "nodes; the gradient is not finite or the step much too long"
            )
    ratio = np.asarray(model.vp, np.float64) / model.vs
    bad = ratio < min_vp_vs
    if bad.any():
        place = tuple(np.unravel_index(int(np.argmin(ratio)), ratio.shape))
        raise PhysicsError(
            f"new model: vp/vs = {ratio[place]:.3f} at {_where(model.grid, place)}, below {min_vp_vs:g} at "
            f"{int(bad.sum())} nodes; use a smaller max_change, more smoothing, or invert vp and vs together"
        )


def _where(grid: Grid, place: Sequence[int]) -> str:
    x, y, z = (grid.axis(number)[index] for number, index in enumerate(place))
    return f"x = {x:g} m, y = {y:g} m, z = {z:g} m"


def _check_grids(first: Grid, second: Grid) -> None:
    if first != second:
        raise InputError(f"both must be on one grid, found {first} and {second}")
