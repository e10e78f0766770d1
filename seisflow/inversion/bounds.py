"""Limits of a new model: those that the user sets, onto which it is brought, and those of nature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray, Grid, Model
from seisflow.errors import InputError, PhysicsError
from seisflow.inversion.parametrisation import Parametrisation

__all__ = ["check_bounds", "free_nodes", "within_bounds"]

AT_BOUND = 1e-9
"""Relative distance within which a value is at its bound."""


def within_bounds(model: Model, parametrisation: Parametrisation) -> tuple[Model, int]:
    """Bring a trial model within the bounds, node by node, moving only what the parameters move.

    vs is held first, between its own bounds and those that the bounds of vp, rho and Poisson's ratio leave it;
    tied fields follow. Then vp is held between its bounds and those of Poisson's ratio at that vs, then rho. A
    node within the bounds stays as it is, bit for bit.

    Parameters
    ----------
    model : Model
    parametrisation : Parametrisation

    Returns
    -------
    Model
        The same object if there are no bounds, or if a value is not finite or not positive: ``check_bounds``
        refuses that.
    int
        Nodes that were held.

    Raises
    ------
    InputError
        If the bounds leave nothing at a node, because of a field that the parameters do not move.
    """
    fields: dict[str, FloatArray] = {
        name: np.asarray(values, np.float64) for name, values in model.fields().items()
    }
    broken = any(not np.isfinite(values).all() or values.min() <= 0 for values in fields.values())
    if not parametrisation.bounds or broken:
        return model, 0
    powers, ratio = parametrisation.exponents, parametrisation.ratio_limits()
    free = {name: name in parametrisation.parameters for name in Model.PARAMETERS}
    free["vp"] |= "vp_vs" in parametrisation.parameters
    old = dict(fields)
    if free["vs"]:
        low, high = _interval_of_vs(fields, parametrisation, free["vp"])
        fields["vs"] = _clip(fields["vs"], low, high, model.grid, "vs")
        factor = fields["vs"] / old["vs"]
        for name in ("vp", "rho"):
            if "vs" in powers[name]:
                fields[name] = fields[name] * factor ** powers[name]["vs"]
    if free["vp"]:
        limits = parametrisation.limits("vp")
        low = np.maximum(limits[0], ratio[0] * fields["vs"])
        high = np.minimum(limits[1], ratio[1] * fields["vs"])
        fields["vp"] = _clip(fields["vp"], low, high, model.grid, "vp")
    if free["rho"]:
        fields["rho"] = np.clip(fields["rho"], *parametrisation.limits("rho"))
    moved = {name: values for name, values in fields.items() if powers[name]}
    held = np.zeros(model.grid.shape, dtype=bool)
    for name, values in moved.items():
        held |= values != old[name]
    return model.with_fields(**moved), int(held.sum())


def free_nodes(
    model: Model, gradient: FloatArray, parametrisation: Parametrisation
) -> npt.NDArray[np.bool_] | None:
    """Find the nodes that steepest descent does not push against a bound that they are at (Bertsekas 1982).

    Parameters
    ----------
    model : Model
        Within the bounds.
    gradient : ndarray (parameters, nx, ny, nz)
        dJ/dx at the model.
    parametrisation : Parametrisation

    Returns
    -------
    ndarray of bool (parameters, nx, ny, nz), or None if there are no bounds
        For ``direction``.
    """
    if not parametrisation.bounds:
        return None
    powers = parametrisation.exponents
    fields = {name: np.asarray(values, np.float64) for name, values in model.fields().items()}
    rows = [(fields[name], powers[name], parametrisation.limits(name)) for name in ("vp", "vs", "rho")]
    difference = {
        name: powers["vp"].get(name, 0.0) - powers["vs"].get(name, 0.0) for name in parametrisation.parameters
    }
    rows.append((fields["vp"] / fields["vs"], difference, parametrisation.ratio_limits()))
    free = np.ones(gradient.shape, dtype=bool)
    for values, exponents, (low, high) in rows:
        for number, name in enumerate(parametrisation.parameters):
            fall = -exponents.get(name, 0.0) * gradient[number]  # how steepest descent moves the values
            free[number] &= ~((values >= high * (1 - AT_BOUND)) & (fall > 0))
            free[number] &= ~((values <= low * (1 + AT_BOUND)) & (fall < 0))
    return free


def _interval_of_vs(
    fields: dict[str, FloatArray], parametrisation: Parametrisation, vp_is_free: bool
) -> tuple[FloatArray, FloatArray]:
    """Least and largest vs at each node that lets every other bound be met."""
    vs, powers = fields["vs"], parametrisation.exponents
    low, high = (np.full(vs.shape, limit) for limit in parametrisation.limits("vs"))
    vp_limits, ratio = parametrisation.limits("vp"), parametrisation.ratio_limits()
    rows = [(fields["rho"], powers["rho"].get("vs", 0.0), parametrisation.limits("rho"))]
    if vp_is_free:
        low = np.maximum(low, vp_limits[0] / ratio[1])
        high = np.minimum(high, vp_limits[1] / ratio[0] if ratio[0] > 0 else np.inf)
    else:
        power = powers["vp"].get("vs", 0.0)
        rows += [(fields["vp"], power, vp_limits), (fields["vp"] / vs, power - 1, ratio)]
    for values, power, limits in rows:
        if power == 0 or limits == (0.0, np.inf):
            continue
        ends = [vs * np.power(limit / values, 1 / power) if 0 < limit < np.inf else None for limit in limits]
        if power < 0:
            ends.reverse()
        low = low if ends[0] is None else np.maximum(low, ends[0])
        high = high if ends[1] is None else np.minimum(high, ends[1])
    return low, high


def _clip(values: FloatArray, low: FloatArray, high: FloatArray, grid: Grid, name: str) -> FloatArray:
    empty = low > high * (1 + 1e-9)
    if empty.any():
        place = tuple(np.argwhere(empty)[0])
        raise InputError(
            f"bounds: {name} would have to lie between {low[place]:g} and {high[place]:g} at "
            f"{_where(grid, place)} and {int(empty.sum()) - 1} more nodes; widen the bounds, or invert vp and vs both"
        )
    result: FloatArray = np.minimum(np.maximum(values, low), np.maximum(low, high))
    return result


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
