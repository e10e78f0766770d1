"""The slow, obvious twin of the compiled elastic kernel: dense derivative matrices, NumPy, float64."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

CLOSURE = json.loads(Path(__file__).with_name("free_surface_closure.json").read_text())
POSITION = {
    "vx": "HNN", "vy": "NHN", "vz": "NNH",
    "sxx": "NNN", "syy": "NNN", "szz": "NNN", "sxy": "HHN", "sxz": "HNH", "syz": "NHH",
}  # fmt: skip
NAMES = tuple(POSITION)
STENCILS = {4: (9 / 8, -1 / 24), 8: (1225 / 1024, -245 / 3072, 49 / 5120, -5 / 7168)}


def matrices(n, surface, order=4):
    """Derivatives along one axis of n nodes (h = 1): velocity to half, to node, stress to node, to half; weights."""
    q1 = np.zeros((n, n))
    for i in range(n - 1):  # the last half node lies outside
        for m, value in enumerate(STENCILS[order]):
            for tap, signed in ((-m, -value), (1 + m, value)):
                if 0 <= i + tap < n:
                    q1[i, i + tap] = signed
    q2 = -q1.T.copy()
    node, half = np.ones(n), np.ones(n)
    if surface:
        closure = CLOSURE[str(order)]
        rows, taps = closure["rows"], closure["rows"] + order // 2
        q1[:rows, :taps], q2[:rows, :taps] = closure["to_half"], closure["to_node"]
        node[:rows], half[:rows] = closure["node"], closure["half"]
    return q1 / half[:, None], q2 / node[:, None], -q1.T / node[:, None], -q2.T / half[:, None], node, half


def apply(matrix, array, axis):
    return np.moveaxis(np.tensordot(matrix, array, axes=(1, axis)), 0, axis)


class Twin:
    """profiles[axis] is (4, n): a, b at nodes, a, b at half nodes; material in scaled units (dt/h included)."""

    def __init__(self, material, ratio, profiles, order=4, relaxation=None, strength=None):
        rho = material.rho
        self.shape = rho.shape
        self.m = [matrices(n, axis == 2, order) for axis, n in enumerate(self.shape)]
        self.profiles = profiles
        self.fields = {name: np.zeros(self.shape) for name in NAMES}
        self.psi = {}
        self.ratio = ratio
        self.stiffness = np.zeros((3, 3, *self.shape))  # of exx, eyy, ezz
        c13 = material.ratio * material.c33
        for row in range(3):
            for column in range(3):
                if 2 in (row, column):
                    self.stiffness[row, column] = material.c33 if row == column else c13
                else:
                    self.stiffness[row, column] = material.ratio * (2 * material.c66 + c13)
                    self.stiffness[row, column] += 2 * material.c66 * (row == column)
        top = self.stiffness[..., 0]  # szz is zero there
        top[...] = top - top[:, 2:] * top[2:, :] / top[2, 2]
        self.bulk = material.c33 - 4 / 3 * material.c66
        pad = lambda a: np.pad(a, ((0, 1),) * 3, constant_values=np.inf)  # noqa: E731
        r, c, across = pad(rho), pad(1 / material.c66), pad(material.across)
        across[:, :, -2] = np.inf
        inner = (slice(0, -1),) * 3

        def moved(a, *axes):
            return a[tuple(slice(1, None) if axis in axes else slice(0, -1) for axis in range(3))]

        self.buoyancy = [2 / (r[inner] + moved(r, axis)) for axis in range(3)]
        self.shear = {
            "sxy": 4 / (c[inner] + moved(c, 0) + moved(c, 1) + moved(c, 0, 1)),
            "sxz": 2 / (across[inner] + moved(across, 0)),
            "syz": 2 / (across[inner] + moved(across, 1)),
        }

        self.memory = None if relaxation is None else {name: np.zeros(self.shape) for name in NAMES[3:]}
        if relaxation is not None:
            self.attenuate(relaxation, *strength)

    def attenuate(self, relaxation, bulk, shear):
        """Rate (times the step) and share of the mechanism of each point, by its parity; strengths on edges."""
        repeat = tuple(-(-n // 2) for n in self.shape)
        cut = tuple(slice(0, n) for n in self.shape)
        self.rate, share = (np.tile(a, repeat)[cut] for a in (relaxation.rate, relaxation.share))
        padded = np.pad(shear, ((0, 1),) * 3)
        moved = [padded[tuple(slice(s, n + s) for s, n in zip(shift, self.shape, strict=True))]
                 for shift in np.ndindex(2, 2, 2)]  # fmt: skip
        self.bulk_share, self.shear_share = share * bulk, share * shear
        self.bulk_share[:, :, 0] = self.shear_share[:, :, 0]
        self.edge_share = {
            name: share * 0.25 * (moved[0] + moved[a] + moved[b] + moved[a + b])
            for name, a, b in (("sxy", 4, 2), ("sxz", 4, 1), ("syz", 2, 1))
        }

    def relax(self, name, change, relaxing):
        """Maxwell body of modulus y C by the trapezoidal rule beside a spring of (1 - y) C."""
        if self.memory is None:
            self.fields[name] = self.fields[name] + change
            return
        half, old = 0.5 * self.rate, self.memory[name]
        new = ((1 - half) * old + relaxing) / (1 + half)
        self.fields[name] = self.fields[name] + change - relaxing + (new - old)
        self.memory[name] = new

    def weights(self, name):
        w = [self.m[axis][5 if p == "H" else 4] for axis, p in enumerate(POSITION[name])]
        return w[0][:, None, None] * w[1][None, :, None] * w[2][None, None, :]

    def derivative(self, key, number, name, axis, half):
        d = apply(self.m[axis][number], self.fields[name], axis)
        a, b = self.profiles[axis][2:] if half else self.profiles[axis][:2]
        shape = [1, 1, 1]
        shape[axis] = -1
        self.psi[key] = b.reshape(shape) * self.psi.get(key, 0) + a.reshape(shape) * d
        return d + self.psi[key]

    def velocity(self):
        d = self.derivative
        force = (
            d("x0", 3, "sxx", 0, True) + d("y0", 2, "sxy", 1, False) + d("z0", 2, "sxz", 2, False),
            d("x1", 2, "sxy", 0, False) + d("y1", 3, "syy", 1, True) + d("z1", 2, "syz", 2, False),
            d("x2", 2, "sxz", 0, False) + d("y2", 2, "syz", 1, False) + d("z2", 3, "szz", 2, True),
        )
        for name, b, f in zip(("vx", "vy", "vz"), self.buoyancy, force, strict=True):
            self.fields[name] = self.fields[name] + self.ratio * b * f

    def stress(self):
        d, s, q = self.derivative, self.fields, self.ratio
        exx, eyy = d("x3", 1, "vx", 0, False), d("y3", 1, "vy", 1, False)
        ezz = d("z3", 1, "vz", 2, False)
        gxy = d("x4", 0, "vy", 0, True) + d("y4", 0, "vx", 1, True)
        gxz = d("x5", 0, "vz", 0, True) + d("z4", 0, "vx", 2, True)
        gyz = d("y5", 0, "vz", 1, True) + d("z5", 0, "vy", 2, True)
        trace = q * (exx + eyy + ezz)
        change = q * np.einsum("ab...,b...->a...", self.stiffness, np.stack([exx, eyy, ezz]))
        for name, x in zip(("sxx", "syy", "szz"), change, strict=True):
            relaxing = None
            if self.memory is not None:
                relaxing = self.shear_share * x + (self.bulk_share - self.shear_share) * self.bulk * trace
            self.relax(name, x, relaxing)
        s["szz"][:, :, 0] = 0
        for name, g in (("sxy", gxy), ("sxz", gxz), ("syz", gyz)):
            change = q * self.shear[name] * g
            self.relax(name, change, None if self.memory is None else self.edge_share[name] * change)

    def inject(self, entries, sample):
        for f, x, y, z, w, i in zip(
            entries.field, entries.x, entries.y, entries.z, entries.weight, entries.signal, strict=True
        ):
            self.fields[NAMES[f]][x, y, z] += w * sample[i]

    def run(self, steps, forces, force_samples, moments, moment_samples, receivers, count):
        out = np.zeros((steps, count))
        for n in range(steps):
            self.velocity()
            self.inject(forces, force_samples[n])
            self.stress()
            self.inject(moments, moment_samples[n])
            for f, x, y, z, w, i in zip(
                receivers.field,
                receivers.x,
                receivers.y,
                receivers.z,
                receivers.weight,
                receivers.signal,
                strict=True,
            ):
                out[n, i] += w * self.fields[NAMES[f]][x, y, z]
        return out

    def energy(self, previous):
        """Conserved energy: 1/2 <v(n-1/2), rho v(n+1/2)> + 1/2 <s(n), S s(n)>; ``previous`` holds v(n-1/2)."""
        total = 0.0
        for name, b in zip(("vx", "vy", "vz"), self.buoyancy, strict=True):
            total += 0.5 * np.sum(
                self.weights(name)
                * np.where(b > 0, previous[name] * self.fields[name] / np.where(b > 0, b, 1), 0)
            )
        s = self.fields
        normal = np.stack([s[name] for name in ("sxx", "syy", "szz")])
        strain = np.einsum(
            "xyzab,bxyz->axyz", np.linalg.pinv(np.moveaxis(self.stiffness, (0, 1), (3, 4))), normal
        )
        for name, stress, e in zip(("sxx", "syy", "szz"), normal, strain, strict=True):
            total += 0.5 * np.sum(self.weights(name) * stress * e)
        for name in ("sxy", "sxz", "syz"):
            m = self.shear[name]
            total += 0.5 * np.sum(
                self.weights(name) * np.where(m > 0, s[name] ** 2 / np.where(m > 0, m, 1), 0)
            )
        return total
