"""How the closures of the free surface were found; run it to make their tables anew (some minutes).

On a staggered axis with nodes 0, 1, 2, ... and half nodes between them, Q1 (nodes to half nodes) and Q2 (half nodes to
nodes) follow the interior stencil of order 4 or 8 beyond the first rows; there, with diagonal weights H, Q1 / H_half,
Q2 / H_node and, for stress, minus their transposes are exact for quadratic functions (stress vanishing at node 0). That
leaves 26 free parameters for the six rows of order 4. They are fitted so that P and S waves that come from below at
normal incidence see the right phase of reflection and the right motion and stress at each of the first levels, from few
points per wavelength on, and that Rayleigh waves have the right speed for vp/vs from 1.6 to 3. A closure that is fitted
to Rayleigh waves alone may hold trapped waves near the surface: resonances at which shallow sources and receivers fail.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import brentq, least_squares

NODES = 40


@dataclass(frozen=True)
class Scheme:
    """An order of the interior, and what is asked of its closure."""

    order: int
    stencil: tuple[float, ...]
    rows: int
    degree: int
    levels: int
    usual: float  # points per wavelength that it is made for
    periods: tuple[float, ...]
    rayleigh: tuple[float, ...]
    emphasis: float  # on Rayleigh waves
    evaluations: int

    @property
    def reach(self):
        """Points that the stencil reaches."""
        return len(self.stencil)

    @property
    def taps(self):
        """Levels that the closed rows read."""
        return self.rows + self.reach

    def symbol(self, k):
        """Of the interior derivative."""
        return 2 * sum(c * np.sin((m + 0.5) * k) for m, c in enumerate(self.stencil))


SCHEMES = (
    Scheme(
        4, (9 / 8, -1 / 24), 6, 2, 6, 8, (5.5, 6, 7, 8, 9, 10, 11, 12, 14, 17, 22), (5, 6, 7, 8, 10, 14), 50, 60
    ),
    Scheme(
        8, (1225 / 1024, -245 / 3072, 49 / 5120, -5 / 7168), 8, 2, 8, 5.5,
        (5, 5.5, 6, 6.5, 7, 7.5, 8, 9, 10, 12, 14, 17, 22), (5, 5.5, 6, 7, 8, 10, 14), 100, 250,
    ),
)  # fmt: skip


def interior(scheme, n):
    """The interior stencil from n + 1 nodes to n half nodes; values beyond the ends are zero."""
    q = np.zeros((n, n + 1))
    for j in range(n):
        for m, value in enumerate(scheme.stencil):
            for place, signed in ((j - m, -value), (j + 1 + m, value)):
                if 0 <= place <= n:
                    q[j, place] += signed
    return q


class Family:
    """All closures that are exact to a degree: a particular one and the directions that keep exactness."""

    def __init__(self, scheme):
        self.scheme = scheme
        self.q1, self.r = interior(scheme, NODES), scheme.rows
        self.q2 = -self.q1.T.copy()
        r = self.r
        self.size = r * r + (r - 1) * r + 2 * r
        start = np.concatenate([self.q1[:r, :r].ravel(), self.q2[1:r, :r].ravel(), [0.5], np.ones(2 * r - 1)])
        a, b = self._conditions()
        self.start = start + np.linalg.lstsq(a, b - a @ start, rcond=1e-10)[0]
        _, s, vt = np.linalg.svd(a)
        self.free = vt[int((s > 1e-9 * s[0]).sum()) :].T

    def _places(self):
        r = self.r
        q1 = np.arange(r * r).reshape(r, r)
        q2 = r * r + np.arange(-r, (r - 1) * r).reshape(r, r)  # row 0 is not used
        return q1, q2, self.size - 2 * r + np.arange(r), self.size - r + np.arange(r)

    def _conditions(self):
        """Exactness of the four derivatives, as linear equations for the unknown entries."""
        r, rows, right = self.r, [], []
        p1, p2, node, half = self._places()
        zi, zh = np.arange(NODES + 1.0), np.arange(NODES) + 0.5
        q1, q2 = self.q1, self.q2
        # matrix of places, known matrix, weights, from, to, first row, lowest power (stress vanishes at node 0), sign
        cases = (
            (p1, q1, half, zi, zh, 0, 0, 1),
            (p2, q2, node, zh, zi, 1, 0, 1),
            (p1.T, q1.T, node, zh, zi, 0, 1, -1),
            (p2.T, q2.T, half, zi, zh, 0, 1, -1),
        )
        for places, known, weight, source, target, first, low, sign in cases:
            for power in range(low, self.scheme.degree + 1):
                f = (source / r) ** power
                for row in range(first, r):
                    a = np.zeros(self.size)
                    skip = int(places is cases[3][0])  # row 0 of Q2 is not used
                    a[places[row, skip:]] += sign * f[skip:r]
                    slope = power * (target[row] / r) ** (power - 1) / r if power else 0.0
                    a[weight[row]] -= slope
                    rows.append(a)
                    right.append(-sign * known[row, r:] @ f[r:])
        return np.array(rows), np.array(right)

    def closure(self, y):
        """Q1, Q2, node and half weights for a choice of the free parameters."""
        x, r = self.start + self.free @ y, self.r
        p1, p2, node, half = self._places()
        q1, q2, hi, hh = self.q1.copy(), self.q2.copy(), np.ones(NODES + 1), np.ones(NODES)
        q1[:r, :r] = x[p1]
        q2[0] = 0
        q2[1:r, :r] = x[p2[1:]]
        hi[:r], hh[:r], hi[-1] = x[node], x[half], 0.5
        return q1, q2, hi, hh


def standing(scheme, operator, k, z):
    """The wave cos(k z) + b sin(k z) far below, continued to the surface by ``operator``; its values, b, frequency."""
    m, omega, far = len(z), scheme.symbol(k), 2 * scheme.reach - 1
    a, right = np.zeros((m + 1, m + 1)), np.zeros(m + 1)
    a[: m - far, :m] = operator[: m - far, :m] + omega**2 * np.eye(m)[: m - far]
    for row, place in enumerate(range(m - far - 1, m), m - far):
        a[row, place], a[row, m], right[row] = 1, -np.sin(k * z[place]), np.cos(k * z[place])
    x = np.linalg.solve(a, right)
    return x[:m], x[m], omega


def wave_errors(scheme, q1, q2, hi, hh, points):
    """Errors of S and of P waves of so many points a wavelength: reflection phase, velocity and stress by level."""
    m, k, levels = 20 + scheme.rows + 2 * (scheme.reach - 2), 2 * np.pi / points, scheme.levels
    zi, zh = np.arange(m + 0.0), np.arange(m) + 0.5
    d1, d2 = q1 / hh[:, None], q2 / hi[:, None]
    back1, back2 = -q1.T / hi[:, None], -q2.T / hh[:, None]
    v, b, w = standing(scheme, (back1 @ d1)[:m, :m], k, zi)
    s = d1[:levels, :m] @ v / w + np.sin(k * zh[:levels])
    u, c, w = standing(scheme, (back2 @ d2)[:m, :m], k, zh)
    t = d2[1:levels, :m] @ u / w + np.sin(k * zi[1:levels])
    return b, v[:levels] - np.cos(k * zi[:levels]), s, c, u[:levels] - np.cos(k * zh[:levels]), t


def rayleigh_error(q1, q2, hi, hh, points, vp):
    """Relative error of the speed of Rayleigh waves (vs = 1), ``points`` a wavelength of S, exact along x."""
    n, lam = 34, vp**2 - 2
    q1, q2, hi, hh = q1[:n, : n + 1], q2[: n + 1, :n], hi[: n + 1], hh[:n]
    speed = brentq(lambda c: (2 - c**2) ** 2 - 4 * np.sqrt((1 - (c / vp) ** 2) * (1 - c**2)), 0.4, 0.9999)
    k = 2 * np.pi / (points * speed)
    exx = np.hstack([-k * np.eye(n + 1), np.zeros((n + 1, n))])
    ezz = np.hstack([np.zeros((n + 1, n + 1)), q2 / hi[:, None]])
    exz = np.hstack([q1 / hh[:, None], k * np.eye(n)])
    stiff, coupled = np.full(n + 1, vp**2), np.full(n + 1, lam)
    plane = stiff.copy()
    plane[0] = 2 * lam / (lam + 2) + 2
    stiff[0] = coupled[0] = 0
    both = exx.T @ ((hi * coupled)[:, None] * ezz)
    energy = exx.T @ ((hi * plane)[:, None] * exx) + ezz.T @ ((hi * stiff)[:, None] * ezz) + both + both.T
    energy += exz.T @ (hh[:, None] * exz)
    root = 1 / np.sqrt(np.concatenate([hi, hh]))
    lowest = np.linalg.eigvalsh(root[:, None] * energy * root)[0]
    return np.sqrt(max(lowest, 0)) / k / speed - 1


def residuals(y, family):
    """What is fitted, in percent, with weights."""
    scheme = family.scheme
    q1, q2, hi, hh = family.closure(y)
    least = min(hi.min(), hh.min())
    hi, hh = np.maximum(hi, 0.1), np.maximum(hh, 0.1)
    parts = []
    for points in scheme.periods:
        weight = 35 * min((points / scheme.usual) ** 1.5, 1.8)
        b, v, s, c, u, t = wave_errors(scheme, q1, q2, hi, hh, points)
        parts.append(weight * np.concatenate([[2 * b], v, 0.7 * s, [2 * c], u, 0.7 * t]))
    for vp in (1.6, 1.732, 2.2, 3.0):
        parts.append(
            [
                scheme.emphasis * points * rayleigh_error(q1, q2, hi, hh, points, vp)
                for points in scheme.rayleigh
            ]
        )
    norm = max(
        np.linalg.norm(q1 / np.sqrt(hh[:, None] * hi), 2), np.linalg.norm(q2 / np.sqrt(hi[:, None] * hh), 2)
    ) / scheme.symbol(np.pi)
    parts.append([300 * max(0, norm - 1.03), 300 * max(0, 0.2 - least)])
    fitted = np.concatenate(parts)
    return np.concatenate([np.clip(fitted, -200, 200), 1e-3 * y])


def header(scheme, closure):
    """The tables as C."""
    q1, q2, hi, hh = closure
    known = {value: f"ELASTIC3D_C{m}" for m, value in enumerate(scheme.stencil, 1)} | {0.0: "0"}

    def row(values):
        return "{" + ", ".join(known.get(float(v), repr(float(v))) for v in values) + "}"

    lines = [f"#define ELASTIC3D_ROWS {scheme.rows} /* levels that the closure changes */"]
    lines += [f"#define ELASTIC3D_TAPS {scheme.taps} /* levels that it reads */"]
    lines += [f"#define ELASTIC3D_{n} \\\n    {row(h[: scheme.rows])}" for n, h in (("HI", hi), ("HH", hh))]
    for name, q in (("Q1", q1), ("Q2", q2)):
        body = ", \\\n    ".join(row(q[i, : scheme.taps]) for i in range(scheme.rows))
        lines.append(f"#define ELASTIC3D_{name} {{ \\\n    {body}}}")
    return "\n".join(lines) + "\n"


def fit(scheme):
    """The closure of a scheme, its weights, and a line on the fit."""
    family = Family(scheme)
    start = np.zeros(family.free.shape[1])
    found = least_squares(residuals, start, args=(family,), loss="soft_l1", max_nfev=scheme.evaluations)
    told = f"order {scheme.order}: {start.size} free parameters, cost {found.cost:.4g}\n"
    return family.closure(found.x), told


def main():
    """Fit, and replace the tables in the header and in the file of the twin."""
    path = Path(__file__).parents[2] / "kernels" / "include" / "elastic3d_closure.h"
    parts, tables = [], {}
    for scheme in SCHEMES:
        closure, told = fit(scheme)
        parts.append(f"#if ELASTIC3D_ORDER == {scheme.order}\n{header(scheme, closure)}#endif\n")
        rows, taps = scheme.rows, scheme.taps
        arrays = {
            n: (a[:rows, :taps] if a.ndim == 2 else a[:rows]).tolist()
            for n, a in zip(("to_half", "to_node", "node", "half"), closure, strict=True)
        }
        tables[str(scheme.order)] = {"rows": rows, **arrays}
        sys.stdout.write(told)
    text = path.read_text()
    start, end = text.index("/* clang-format off */\n"), text.index("/* clang-format on */")
    path.write_text(text[:start] + "/* clang-format off */\n" + "".join(parts) + text[end:])
    Path(__file__).with_suffix(".json").write_text(json.dumps(tables, indent=1) + "\n")


if __name__ == "__main__":
    main()
