"""The peer's side of benchmarks/elastic3d.py: Devito on the same problem; runs in an environment of its own.

usage: peer_devito.py POINTS STEPS REPEATS ORDER, with DEVITO_ARCH=gcc DEVITO_LANGUAGE=C. Prints one line of JSON.

3D isotropic elastic, velocity-stress on a staggered grid, order 4 or 8, float32, variable lambda, mu and 1/rho, one
explosive source, one receiver, no absorbing layer.
"""

import json
import sys
import time

import numpy as np
from devito import (
    Eq,
    Function,
    Grid,
    Operator,
    SparseTimeFunction,
    TensorTimeFunction,
    VectorTimeFunction,
    diag,
    div,
    grad,
    solve,
)

POINTS, STEPS, REPEATS, ORDER = (int(word) for word in sys.argv[1:5])
SPACING, STEP, VP, VS, RHO = 10.0, 0.0014, 3000.0, 1732.0, 2200.0


def operator(grid, v, s):
    """One time step, with source and receiver."""
    lam, mu, b = (Function(name=name, grid=grid, space_order=ORDER) for name in ("lam", "mu", "b"))
    mu.data[:] = RHO * VS**2
    lam.data[:] = RHO * (VP**2 - 2 * VS**2)
    b.data[:] = 1 / RHO
    source = SparseTimeFunction(name="src", grid=grid, npoint=1, nt=STEPS + 1)
    w = (np.pi * 15.0 * (np.arange(STEPS + 1) * STEP - 0.1)) ** 2
    source.data[:, 0] = (1 - 2 * w) * np.exp(-w)
    source.coordinates.data[:] = (POINTS // 2) * SPACING
    receiver = SparseTimeFunction(name="rec", grid=grid, npoint=1, nt=STEPS + 1)
    receiver.coordinates.data[:] = (POINTS // 2) * SPACING
    receiver.coordinates.data[:, 0] += 20 * SPACING
    strain = grad(v.forward) + grad(v.forward).transpose(inner=False)
    velocity = Eq(v.forward, solve(v.dt - b * div(s), v.forward))
    stress = Eq(s.forward, solve(s.dt - lam * diag(div(v.forward)) - mu * strain, s.forward))
    inject = source.inject(s.forward.diagonal(), expr=source * STEP * 1e6)
    equations = [velocity, stress] + inject + receiver.interpolate(expr=v[0])  # noqa: RUF005
    return Operator(equations, subs=grid.spacing_map, name="Elastic"), receiver


def main():
    """Time it: the best of the repeats, in million points a second."""
    grid = Grid(shape=(POINTS,) * 3, extent=((POINTS - 1) * SPACING,) * 3, dtype=np.float32)
    v = VectorTimeFunction(name="v", grid=grid, space_order=ORDER, time_order=1)
    s = TensorTimeFunction(name="t", grid=grid, space_order=ORDER, time_order=1)
    step, receiver = operator(grid, v, s)
    step.apply(time_m=0, time_M=2, dt=STEP)
    best = (np.inf, np.inf)
    for _ in range(REPEATS):
        for field in [*v, *(s[i, j] for i in range(3) for j in range(i, 3))]:
            field.data[:] = 0
        wall, cpu = time.perf_counter(), time.process_time()
        summary = step.apply(time_m=0, time_M=STEPS - 1, dt=STEP)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        kernel = sum(section.time for section in summary.values())
        # the share of the processor scales the time of the kernel to processor time
        best = (min(best[0], kernel), min(best[1], kernel * cpu / wall))
    speeds = (POINTS**3 * STEPS / seconds / 1e6 for seconds in best)
    peak = float(np.abs(receiver.data).max())
    print(json.dumps(dict(zip(("wall", "cpu"), speeds, strict=True)) | {"peak": peak}))


if __name__ == "__main__":
    main()
