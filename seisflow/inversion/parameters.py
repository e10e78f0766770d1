"""From models to the variables of the inversion and back.

The variables are logarithms of the parameters, x = ln(p / p_ref): differences of x are relative changes, fields
of different units have one size, and no step can make a speed negative. Or they are the plain values over a
reference, x = p / p_ref. Arrays of variables have the shape (parameters, nx, ny, nz), the parameters in the order
of the parametrisation. The optimiser takes them as vectors with ``ravel``; ``reshape`` with ``shape`` brings them
back.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seisflow.domain import FloatArray, Grid, Kernel, Model
from seisflow.errors import InputError
from seisflow.inversion.parametrisation import Parameter, Parametrisation, Variables

__all__ = ["change", "gradient", "largest_change", "scaled_by", "shape", "updated"]


def shape(grid: Grid, variables: Variables) -> tuple[int, int, int, int]:
    """Shape of the variables: (parameters, nx, ny, nz)."""
    return (len(Parametrisation.of(variables).parameters), *grid.shape)


def scaled_by(model: Model, parametrisation: Parametrisation) -> Parametrisation:
    """The parametrisation with the means of a model as the reference of plain variables.

    Parameters
    ----------
    model : Model
        The same in all iterations of a stage: the starting model.
    parametrisation : Parametrisation
    """
    means = {name: float(np.mean(values)) for name, values in parametrisation.values(model).items()}
    return replace(parametrisation, reference=means)


def change(reference: Model, model: Model, variables: Variables) -> FloatArray:
    """Compute the variables of a model against those of a reference: ln(p / p_ref), or (p - p_ref) / scale.

    Parameters
    ----------
    reference, model : Model
        On one grid.
    variables : Parametrisation, or sequence of names

    Returns
    -------
    ndarray (parameters, nx, ny, nz)
        No unit; 0.01 is about one percent faster.

    Raises
    ------
    InputError
        If the grids differ.
    """
    _check_grids(reference.grid, model.grid)
    chosen = Parametrisation.of(variables)
    old, new = chosen.values(reference), chosen.values(model)
    if chosen.logarithmic:
        return np.stack([np.log(new[name] / old[name]) for name in chosen.parameters])
    return np.stack([(new[name] - old[name]) / _scale(chosen, name) for name in chosen.parameters])


def gradient(model: Model, kernel: Kernel, variables: Variables) -> FloatArray:
    """Derive the misfit with respect to the variables.

    For logarithms dJ/dx = sum over fields of (exponent) m dJ/dm; see ``Parametrisation``.

    Parameters
    ----------
    model : Model
        At which the kernel was computed.
    kernel : Kernel
    variables : Parametrisation, or sequence of names

    Returns
    -------
    ndarray (parameters, nx, ny, nz)
        In units of the misfit.

    Raises
    ------
    InputError
        If the grids differ.
    """
    _check_grids(model.grid, kernel.grid)
    chosen = Parametrisation.of(variables)
    values = chosen.values(model)
    rows = []
    for name in chosen.parameters:
        row = _logarithmic_derivative(model, kernel, chosen, name)
        rows.append(row if chosen.logarithmic else row * (_scale(chosen, name) / values[name]))
    return np.stack(rows)


def _logarithmic_derivative(
    model: Model, kernel: Kernel, chosen: Parametrisation, name: Parameter
) -> FloatArray:
    """dJ/d ln(parameter): the sum of exponent m dJ/dm over the fields that it moves."""
    fields, derivatives = model.fields(), kernel.fields()
    parts = [
        powers[name] * (np.asarray(fields[moved], np.float64) * derivatives[moved])
        for moved, powers in chosen.exponents.items()
        if name in powers
    ]
    total: FloatArray = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def updated(model: Model, direction: FloatArray, step: float, variables: Variables) -> Model:
    """Move a model by a step along a direction of the variables; for logarithms p exp(step d).

    Parameters
    ----------
    model : Model
    direction : ndarray (parameters, nx, ny, nz), or the same as a vector
    step : float
    variables : Parametrisation, or sequence of names

    Returns
    -------
    Model
        Not checked; see ``within_bounds`` and ``check_bounds``. Plain values can become negative.
    """
    chosen = Parametrisation.of(variables)
    moves = dict(zip(chosen.parameters, direction.reshape(shape(model.grid, chosen)), strict=True))
    values, fields, new = chosen.values(model), model.fields(), {}
    for name, powers in chosen.exponents.items():
        if not powers:
            continue
        factor: FloatArray | float = 1.0
        for parameter, power in powers.items():
            if chosen.logarithmic:
                factor = factor * np.exp(power * (step * moves[parameter]))
            else:
                scale = _scale(chosen, parameter)
                factor = factor * _power(1.0 + step * moves[parameter] * scale / values[parameter], power)
        new[name] = np.asarray(fields[name], np.float64) * factor
    return model.with_fields(**new)


def _power(ratio: FloatArray, exponent: float) -> FloatArray:
    """Ratio ** exponent, NaN where a plain value went negative: ``check_bounds`` refuses that."""
    if exponent == 1:
        return ratio
    with np.errstate(invalid="ignore", divide="ignore"):
        result: FloatArray = np.power(ratio, exponent)
    return result


def largest_change(direction: FloatArray) -> float:
    """Return the largest change of a variable per unit step: max |d| (logarithmic 0.04: a factor 1.041)."""
    return float(np.max(np.abs(direction)))


def _scale(chosen: Parametrisation, name: Parameter) -> float:
    scale = chosen.reference.get(name, 0.0)
    if not (np.isfinite(scale) and scale > 0):
        raise InputError(
            f"plain values of {name} need a positive reference to be divided by, found {scale:g}; "
            "take the means of the starting model"
        )
    return scale


def _check_grids(first: Grid, second: Grid) -> None:
    if first != second:
        raise InputError(f"both must be on one grid, found {first} and {second}")
