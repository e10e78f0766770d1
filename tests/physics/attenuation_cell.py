"""Effective moduli of a periodic cell of 2 x 2 x 2 points of the staggered grid, each with its own complex moduli."""

from __future__ import annotations

import numpy as np

STENCILS = {4: (9 / 8, -1 / 24), 8: (1225 / 1024, -245 / 3072, 49 / 5120, -5 / 7168)}
KAPPA, MU = 20.0, 12.0


def derivative(axis, order, half):
    """Derivative of functions of period 2, at half nodes of those at nodes or the other way round, (8, 8)."""
    one = np.zeros((2, 2))
    for i in range(2):
        for m, value in enumerate(STENCILS[order]):
            one[i, (i + half + m) % 2] += value
            one[i, (i + half - 1 - m) % 2] -= value
    parts = [np.eye(2)] * 3
    parts[axis] = one
    return np.kron(np.kron(parts[0], parts[1]), parts[2])


def strains(order):
    """Strains (xx, yy, zz, xy, xz, yz at 8 points) of displacements (x, y, z at 8 points), (48, 24)."""
    rows = []
    for first, second in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        row = [np.zeros((8, 8))] * 3
        if first == second:
            row[first] = derivative(first, order, 0)
        else:
            row[first], row[second] = derivative(second, order, 1), derivative(first, order, 1)
        rows.append(np.hstack(row))
    return np.vstack(rows)


def cell_moduli(attenuation, omega, loss, order):
    """P modulus, and shear moduli of strain xy, xz and xx - yy, over the unrelaxed ones."""
    mechanisms = attenuation.relaxation(1.0)
    relaxed = mechanisms.share / (1 + 1j * omega / mechanisms.rate)
    points = 1 - float(attenuation.strength(np.array(loss))) * relaxed.ravel()
    kappa, mu = KAPPA * points, MU * points
    stiffness = np.zeros((48, 48), complex)
    for a in range(3):
        for b in range(3):
            block = kappa - 2 / 3 * mu + (2 * mu if a == b else 0)
            stiffness[8 * a : 8 * a + 8, 8 * b : 8 * b + 8] = np.diag(block)
        stiffness[24 + 8 * a : 32 + 8 * a, 24 + 8 * a : 32 + 8 * a] = np.diag(mu)
    operator, result = strains(order), []
    cases = (
        ((1, 0, 0, 0, 0, 0), KAPPA + 4 / 3 * MU), ((0, 0, 0, 1, 0, 0), MU), ((0, 0, 0, 0, 1, 0), MU),
        ((1, -1, 0, 0, 0, 0), 4 * MU),
    )  # fmt: skip
    for strain, unrelaxed in cases:
        mean = np.repeat(np.array(strain, float), 8)
        matrix, right = operator.T @ stiffness @ operator, -operator.T @ stiffness @ mean
        moved = np.linalg.lstsq(matrix, right, rcond=1e-12)[0]
        result.append(mean @ stiffness @ (mean + operator @ moved) / 8 / unrelaxed)
    return result
