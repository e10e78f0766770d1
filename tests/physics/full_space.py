"""Closed forms of a homogeneous full space (Aki & Richards 2002, eq. 4.23 and 4.29), as ground velocity."""

from __future__ import annotations

import numpy as np


def pulse(t, a):
    """A gaussian of unit area and its derivative."""
    g = np.exp(-((t / a) ** 2)) / (a * np.sqrt(np.pi))
    return g, -2 * t / a**2 * g


def near(times, r, vp, vs, value):
    """Integral of tau value(t - tau) from r/vp to r/vs, by Gauss-Legendre."""
    x, w = np.polynomial.legendre.leggauss(200)
    low, high = r / vp, r / vs
    tau = 0.5 * (high - low) * x + 0.5 * (high + low)
    return 0.5 * (high - low) * np.sum(w * tau * value(times[:, None] - tau), axis=1)


def moment_velocity(offset, tensor, times, a, vp, vs, rho):
    """Velocity (3, nt) at an offset from a moment tensor whose rate is a gaussian; any Cartesian frame."""
    r = np.linalg.norm(offset)
    n = offset / r
    d = np.eye(3)
    nnn = np.einsum("i,j,k->ijk", n, n, n)
    nd, pd, qd = (np.einsum(s, n, d) for s in ("i,jk->ijk", "j,ik->ijk", "k,ij->ijk"))
    parts = (
        ((15 * nnn - 3 * nd - 3 * pd - 3 * qd) / r**4, near(times, r, vp, vs, lambda t: pulse(t, a)[0])),
        ((6 * nnn - nd - pd - qd) / (vp * r) ** 2, pulse(times - r / vp, a)[0]),
        (-(6 * nnn - nd - pd - 2 * qd) / (vs * r) ** 2, pulse(times - r / vs, a)[0]),
        (nnn / (vp**3 * r), pulse(times - r / vp, a)[1]),
        (-(nnn - qd) / (vs**3 * r), pulse(times - r / vs, a)[1]),
    )
    pattern = sum(np.einsum("npq,pq,t->nt", shape, tensor, series) for shape, series in parts)
    return pattern / (4 * np.pi * rho)


def force_velocity(offset, force, times, a, vp, vs, rho):
    """Velocity (3, nt) at an offset from a point force that is a gaussian in time."""
    r = np.linalg.norm(offset)
    n = offset / r
    nn, d = np.outer(n, n), np.eye(3)
    parts = (
        ((3 * nn - d) / r**3, near(times, r, vp, vs, lambda t: pulse(t, a)[1])),
        (nn / (vp**2 * r), pulse(times - r / vp, a)[1]),
        (-(nn - d) / (vs**2 * r), pulse(times - r / vs, a)[1]),
    )
    pattern = sum(np.einsum("np,p,t->nt", shape, force, series) for shape, series in parts)
    return pattern / (4 * np.pi * rho)
