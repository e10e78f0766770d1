"""The same kernel for other parameters of the rock: impedances, or moduli. All follow from those of vp, vs and rho."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from seisflow.domain.grid import FloatArray
from seisflow.domain.model import Kernel, Model
from seisflow.errors import InputError

__all__ = ["KernelParameters", "UNITS", "kernel_fields"]

KernelParameters = Literal["velocities", "impedances", "moduli"]
UNITS = {
    "vp": "s/m", "vs": "s/m", "rho": "m3/kg", "impedance_p": "m2 s/kg", "impedance_s": "m2 s/kg", "kappa": "1/Pa",
    "mu": "1/Pa",
}  # fmt: skip


def kernel_fields(
    kernel: Kernel, model: Model, parameters: KernelParameters = "velocities"
) -> dict[str, FloatArray]:
    """Derivatives with respect to each of three parameters, the two others held.

    Parameters
    ----------
    kernel : Kernel
    model : Model
        At which it was computed.
    parameters : {"velocities", "impedances", "moduli"}
        vp, vs, rho; or rho vp, rho vs, rho; or kappa, mu, rho. The density kernel of each is another one: times rho,
        that with velocities held is the impedance kernel of Zhu et al. (2009).

    Returns
    -------
    dict of ndarray
        dJ/d(node value).
    """
    if parameters not in get_args(KernelParameters):
        raise InputError(f"parameters = {parameters!r}: use {', '.join(get_args(KernelParameters))}")
    k_vp, k_vs, k_rho = (np.asarray(kernel.fields()[name], np.float64) for name in Model.PARAMETERS)
    vp, vs, rho = (np.asarray(model.fields()[name], np.float64) for name in Model.PARAMETERS)
    if parameters == "velocities":
        return {"vp": k_vp, "vs": k_vs, "rho": k_rho}
    if parameters == "impedances":
        density = k_rho - (vp * k_vp + vs * k_vs) / rho
        return {"impedance_p": k_vp / rho, "impedance_s": k_vs / rho, "rho": density}
    by_kappa = k_vp / (2 * rho * vp)
    by_mu = 4 / 3 * by_kappa + k_vs / (2 * rho * vs)
    return {"kappa": by_kappa, "mu": by_mu, "rho": k_rho - (vp * k_vp + vs * k_vs) / (2 * rho)}
