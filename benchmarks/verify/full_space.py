"""Full space: force and moment tensor against the closed form.

Aki & Richards (2002), equations 4.23 and 4.29, a general moment tensor and an oblique force, 8 points per
wavelength, the surface out of reach. Two stations at some wavelengths and one at two cells from the source.
"""

from __future__ import annotations

import numpy as np
from common import THREADS, Case, draw_traces, legend, misfits, new_figure
from full_space_truth import force_velocity, moment_velocity
from layered_truth import CORNER, EQUATOR, GENERAL

from seisflow.domain import Event, Force, Grid, Model, SourceTimeFunction, Station
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation

VP, VS, RHO = 6000.0, 3464.0, 2700.0
PERIOD = 0.8
WIDTH = np.sqrt(CORNER) * PERIOD / np.pi
HERE = np.array([111.0, -57.0, 14030.0])
THERE = [(3300.0, 2100.0, 12600.0), (-1900.0, 3600.0, 15500.0), (-200.0, -1400.0, 14800.0)]
FORCE = Force(2e12, -1e12, 3e12)


def simulate(source, order: int, points: float, time_step: float | None = None, *, planned: bool = False):
    """Found and expected velocity (stations, 3, nt), the time step, and on demand the plan."""
    grid = Grid((-5000.0, -5000.0, 0.0), (1000.0,) * 3, (11, 11, 20))
    model = Model(grid, EQUATOR, *(np.full(grid.shape, value) for value in (VP, VS, RHO)))
    stations = tuple(
        Station("XX", f"S{i}", *EQUATOR.to_geographic(x, y), burial=z) for i, (x, y, z) in enumerate(THERE)
    )
    event = Event(
        "e", 0.0, *EQUATOR.to_geographic(*HERE[:2]), HERE[2], source,
        SourceTimeFunction(half_duration=1.628 * WIDTH),
    )  # fmt: skip
    config = Elastic3DConfig(spacing=VS * PERIOD / points, order=order, time_step=time_step)
    forward = Elastic3D(config, THREADS).forward(Simulation(model, event, stations, 2.9, PERIOD / 1.25))
    gather = forward.gather
    keep = (gather.times <= 2.9) & (gather.times > -1.0)
    rows = []
    for place in THERE:
        closed = (np.array(place) - HERE, gather.times[keep], WIDTH, VP, VS, RHO)
        if isinstance(source, Force):
            vector = np.array([source.east, source.north, -source.up])
            expected = force_velocity(closed[0], vector, *closed[1:])
        else:
            expected = moment_velocity(closed[0], source.cartesian(), *closed[1:])
        expected[2] *= -1
        rows.append(expected)
    found = gather.times[keep], gather.data[:, :, keep], np.array(rows), gather.interval
    return (*found, forward.held.setup.plan) if planned else found


def run(quick: bool = False) -> Case:
    """Both sources at both orders."""
    case = Case("", ("source", "order", "station", "L2 %", "EM %", "PM %", "amplitude"))
    figure = new_figure(9, 4.2)
    axes = figure.subplots(1, 2)
    worst = 0.0
    for column, (name, source) in enumerate((("moment tensor", GENERAL), ("force", FORCE))):
        for order in (4, 8):
            times, found, expected, step = simulate(source, order, 8)
            for number, label in enumerate(("3.9 km", "4.4 km", "2 cells")):
                values = misfits(found[number], expected[number], step, (PERIOD, 4 * PERIOD))
                case.rows.append((name, order, label, *values))
                worst = max(worst, values[0]) if number < 2 else worst
            if order == 4:
                draw_traces(
                    axes[column], times, found[0], expected[0], "ENZ", title=f"{name}, order 4, 3.9 km"
                )
        if quick:
            break
    legend(figure)
    case.figure = figure
    case.headline = (
        f"At some wavelengths at most {worst:.2f} percent; two cells from the source the numerical delta "
        "shows."
    )
    return case
