"""A slow, obvious twin of the eikonal solver: first-order Godunov differences, iterated to the end.

Its fixed point on a medium without interfaces is that of first-order fast marching (Sethian 1999). The factored,
second-order compiled solver must agree with it to first order in the spacing.
"""

from __future__ import annotations

import numpy as np


def _solve(known, spacing, slowness):
    """Largest t with sum over axes max((t - a) / h, 0)^2 = s^2."""
    pairs = sorted((a, h) for a, h in zip(known, spacing, strict=True) if np.isfinite(a))
    best = np.inf
    for count in range(1, len(pairs) + 1):
        a = np.array([pair[0] for pair in pairs[:count]])
        w = 1 / np.array([pair[1] for pair in pairs[:count]]) ** 2
        discriminant = (w @ a) ** 2 - w.sum() * (w @ a**2 - slowness**2)
        if discriminant < 0:
            break
        time = (w @ a + np.sqrt(discriminant)) / w.sum()
        if time < a[-1]:
            break
        best = time
    return best


def first_arrivals(slowness, spacing, seeds):
    """Times on nodes with slowness (nx, ny, nz); ``seeds`` maps indices of nodes to their times."""
    times = np.full(slowness.shape, np.inf)
    for place, time in seeds.items():
        times[place] = time
    changed = True
    while changed:
        changed = False
        for place in np.ndindex(times.shape):
            if place in seeds:
                continue
            known = []
            for axis, index in enumerate(place):
                sides = [
                    times[(*place[:axis], other, *place[axis + 1 :])]
                    for other in (index - 1, index + 1)
                    if 0 <= other < times.shape[axis]
                ]
                known.append(min(sides))
            time = _solve(known, spacing, slowness[place])
            if time < times[place] - 1e-12:
                times[place] = time
                changed = True
    return times
