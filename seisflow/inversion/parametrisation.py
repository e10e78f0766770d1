"""Which variables the inversion moves, and how the fields of a model follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from seisflow.domain import FloatArray, Model
from seisflow.errors import InputError

__all__ = ["Bound", "Parameter", "Parametrisation", "Tied", "Variables", "vp_vs_of_poisson"]

Parameter = Literal["vp", "vs", "rho", "vp_vs"]
Tied = Literal["vp", "rho"]
Bound = Literal["vp", "vs", "rho", "poisson"]


@dataclass(frozen=True)
class Parametrisation:
    """The variables of an inversion.

    Every field is a product of powers of the parameters, so that d ln(field) = sum of exponent d ln(parameter);
    fields that no parameter moves stay as they are.

    Parameters
    ----------
    parameters : tuple of {"vp", "vs", "rho", "vp_vs"}
        ``vp_vs`` is the ratio vp/vs: it goes with ``vs`` and without ``vp``, and vp = vs * vp_vs.
    logarithmic : bool
        Variables are ln(parameter), else parameter / reference.
    tied : mapping {"vp", "rho"} -> float
        Fields that follow vs: d ln(field) = value * d ln(vs).
    weights : mapping parameter -> float
        Factor of H0 for a parameter, 1 where left out: how much it moves along steepest descent.
    bounds : mapping {"vp", "vs", "rho", "poisson"} -> (least, largest)
        m/s, kg/m3, no unit; see ``within_bounds``.
    reference : mapping parameter -> float
        What plain variables are divided by, in the unit of the parameter; see ``of_model``.
    """

    parameters: tuple[Parameter, ...] = ("vp", "vs")
    logarithmic: bool = True
    tied: Mapping[Tied, float] = field(default_factory=dict)
    weights: Mapping[Parameter, float] = field(default_factory=dict)
    bounds: Mapping[Bound, tuple[float, float]] = field(default_factory=dict)
    reference: Mapping[Parameter, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_parameters()
        self._check_tied()
        for name, weight in self.weights.items():
            if name not in self.parameters or not (np.isfinite(weight) and weight > 0):
                raise InputError(
                    f"weights: {name} = {weight}: weights are positive and for {_list(self.parameters)}"
                )
        self._check_bounds()

    def _check_parameters(self) -> None:
        names = self.parameters
        if not names or len(set(names)) < len(names) or not set(names) <= set(get_args(Parameter)):
            raise InputError(
                f"parameters = {names}: name one or more of {_list(get_args(Parameter))}, each once"
            )
        if "vp_vs" in names and ("vs" not in names or "vp" in names):
            raise InputError(f"parameters = {names}: vp_vs goes with vs and without vp, as vp = vs * vp_vs")

    def _check_tied(self) -> None:
        for name, factor in self.tied.items():
            moved = name in self.parameters or (name == "vp" and "vp_vs" in self.parameters)
            if name not in get_args(Tied) or moved or "vs" not in self.parameters or not np.isfinite(factor):
                raise InputError(
                    f"tied: {name} = {factor}: vp or rho can follow vs, by a finite factor, when vs is among the "
                    f"parameters and they are not; parameters are {_list(self.parameters)}"
                )

    def _check_bounds(self) -> None:
        for name, pair in self.bounds.items():
            low, high = pair if len(pair) == 2 else (np.nan, np.nan)
            least, largest = (-1.0, 0.5) if name == "poisson" else (0.0, np.inf)
            if name not in get_args(Bound) or not least <= low < high <= largest:
                raise InputError(
                    f"bounds: {name} = {pair}: give the least and the largest of {_list(get_args(Bound))}, poisson "
                    "between -1 and 0.5, the others not negative"
                )
            if not self._moves(name):
                raise InputError(f"bounds: {name} is not moved by the parameters {_list(self.parameters)}")
        vp, vs, ratio = self.limits("vp"), self.limits("vs"), self.ratio_limits()
        if max(vs[0], vp[0] / ratio[1]) > min(vs[1], vp[1] / ratio[0] if ratio[0] > 0 else np.inf):
            raise InputError(
                f"bounds of vp {vp} and vs {vs} leave no vp/vs between {ratio[0]:g} and {ratio[1]:g}"
            )

    def _moves(self, bound: str) -> bool:
        powers = self.exponents
        if bound != "poisson":
            return bool(powers[bound])
        return powers["vp"] != powers["vs"]

    @property
    def exponents(self) -> dict[str, dict[Parameter, float]]:
        """Exponent of each parameter in each field: field -> parameter -> exponent; what is left out is 0."""
        powers: dict[str, dict[Parameter, float]] = {name: {} for name in Model.PARAMETERS}
        for name in self.parameters:
            if name != "vp_vs":
                powers[name][name] = 1.0
        if "vp_vs" in self.parameters:
            powers["vp"] |= {"vs": 1.0, "vp_vs": 1.0}
        for tied, factor in self.tied.items():
            if factor != 0:
                powers[tied]["vs"] = float(factor)
        return powers

    @property
    def factors(self) -> tuple[float, ...]:
        """Weights in the order of the parameters."""
        return tuple(float(self.weights.get(name, 1.0)) for name in self.parameters)

    def limits(self, name: Literal["vp", "vs", "rho"]) -> tuple[float, float]:
        """Least and largest value of a field; (0, inf) where it has no bounds."""
        low, high = self.bounds.get(name, (0.0, np.inf))
        return float(low), float(high)

    def ratio_limits(self) -> tuple[float, float]:
        """Least and largest vp/vs that Poisson's ratio allows; (0, inf) where it has no bounds."""
        if "poisson" not in self.bounds:
            return 0.0, np.inf
        low, high = self.bounds["poisson"]
        return vp_vs_of_poisson(low), vp_vs_of_poisson(high)

    def values(self, model: Model) -> dict[Parameter, FloatArray]:
        """Parameters of a model by name, in their units, float64 (nx, ny, nz)."""
        fields = model.fields()
        return {
            name: np.asarray(fields["vp"], np.float64) / np.asarray(fields["vs"], np.float64)
            if name == "vp_vs"
            else np.asarray(fields[name], np.float64)
            for name in self.parameters
        }

    @staticmethod
    def of(variables: Variables) -> Parametrisation:
        """A parametrisation as it is, or logarithms of the parameters of these names."""
        if isinstance(variables, Parametrisation):
            return variables
        return Parametrisation(tuple(variables))


Variables = Parametrisation | Sequence[Parameter]
"""What functions take: a parametrisation, or the names of parameters whose logarithms are the variables."""


def vp_vs_of_poisson(poisson: float) -> float:
    """vp/vs of Poisson's ratio, -1 to 0.5: sqrt((2 - 2 nu) / (1 - 2 nu)); infinite at 0.5."""
    return float(np.sqrt((2 - 2 * poisson) / (1 - 2 * poisson))) if poisson < 0.5 else np.inf


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
