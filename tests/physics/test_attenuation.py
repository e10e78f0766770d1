"""Attenuation against the closed form of a full space with complex speeds, and Q as waves show it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from attenuation_cell import cell_moduli
from layered_truth import EQUATOR

from seisflow.domain import Event, Force, Grid, Model, SourceTimeFunction, Station
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation
from seisflow.solvers.attenuation import Attenuation

VP, VS, RHO, PERIOD, REFERENCE = 6000.0, 3464.0, 2700.0, 0.8, 1.0
WIDTH = 0.55 * PERIOD
SOURCE, FORCE = np.array([-1000.0, 0.0, 17000.0]), np.array([-0.6, 0.0, 0.8])
ACROSS, ALONG = (0.8, 0.0, 0.6), (-0.6, 0.0, 0.8)
PLACES = tuple(
    SOURCE + r * np.array(n)
    for r, n in ((4000.0, ACROSS), (9000.0, ACROSS), (9000.0, ALONG), (6000.0, (0.8, 0.6, 0)))
)


def station(number):
    x, y, z = PLACES[number]
    return Station("XX", f"S{number}", *EQUATOR.to_geographic(x, y), burial=z)


def simulated(order, qkappa, qmu):
    grid = Grid((-10000.0, -6250.0, 0.0), (1250.0,) * 3, (17, 11, 24))
    full = np.ones(grid.shape)
    quality = {} if qmu is None else {"qkappa": qkappa * full, "qmu": qmu * full}
    model = Model(grid, EQUATOR, VP * full, VS * full, RHO * full, **quality, reference_frequency=REFERENCE)
    force = Force(*(1e12 * FORCE[:2]), -1e12 * FORCE[2])
    function = SourceTimeFunction(half_duration=1.628 * WIDTH)
    event = Event("e", 0.0, *EQUATOR.to_geographic(*SOURCE[:2]), SOURCE[2], force, function)
    stations = tuple(station(number) for number in range(len(PLACES)))
    sim = Simulation(model, event, stations, 3.9, PERIOD)
    gather = Elastic3D(Elastic3DConfig(order=order)).forward(sim).gather
    return gather.with_data(gather.data[:, :, gather.times <= sim.duration])


def speed(omega, speed, q):
    """Complex, for a constant Q (Aki & Richards 2002, eq. 5.94)."""
    return speed * (1 + np.log(omega / (2 * np.pi * REFERENCE)) / (np.pi * q) + 0.5j / q)


def qp_of(qkappa, qmu):
    share = 4 / 3 * (VS / VP) ** 2
    return 1 / ((1 - share) / qkappa + share / qmu)


def spectrum(offset, omega, qp, qs):
    """Velocity (3, n) at some frequencies for a force that is a gaussian in time (Aki & Richards, eq. 4.23)."""
    r = np.linalg.norm(offset)
    n = offset / r
    a, b = speed(omega, VP, qp), speed(omega, VS, qs)
    nn = n * (n @ FORCE)
    primitive = lambda t: np.exp(-1j * omega * t) * (1j * t / omega + 1 / omega**2)  # noqa: E731
    parts = (
        ((3 * nn - FORCE) / r**3, primitive(r / b) - primitive(r / a)),
        (nn / r, np.exp(-1j * omega * r / a) / a**2),
        (-(nn - FORCE) / r, np.exp(-1j * omega * r / b) / b**2),
    )
    total = sum(np.outer(shape, series) for shape, series in parts)
    return 1e12 * total * 1j * omega * np.exp(-((omega * WIDTH / 2) ** 2)) / (4 * np.pi * RHO)


@lru_cache(maxsize=1)
def frequencies():
    return 2 * np.pi * (np.arange(1500) + 0.5) / 400.0


def series(offset, times, qp, qs):
    """Velocity E, N, Z at some times."""
    omega = frequencies()
    waves = np.exp(1j * omega[:, None] * times[None, :])
    found = 2 * np.real(spectrum(offset, omega, qp, qs) @ waves) * (omega[1] - omega[0]) / (2 * np.pi)
    found[2] *= -1
    return found


@pytest.mark.parametrize(
    ("order", "qkappa", "qmu", "limit"), [(4, 200.0, 50.0, 0.012), (8, 60.0, 20.0, 0.04)]
)
def test_full_space_agrees_with_the_closed_form(order, qkappa, qmu, limit):
    """Amplitude, dispersion and all: Q and speeds are given at 1 Hz, waves are of 0.8 s and longer."""
    gather = simulated(order, qkappa, qmu)

    def error(number, factor):
        losses = (qp_of(qkappa, qmu) * factor, qmu * factor)
        exact = series(PLACES[number] - SOURCE, gather.times, *losses)
        return np.linalg.norm(gather.data[number] - exact) / np.linalg.norm(exact)

    for number in range(len(PLACES)):
        off = error(number, 1.0)
        assert off < limit, (number, off)
        assert off < 0.35 * error(number, np.inf), number
    for factor in (0.8, 1.25):
        assert error(1, 1.0) < 0.6 * error(1, factor), factor


@pytest.mark.parametrize("order", [4, 8])
@pytest.mark.parametrize(("q", "limit"), [(20.0, 0.08), (50.0, 0.04), (200.0, 0.03)])
def test_cells_of_eight_points_have_the_q_asked_for(q, limit, order):
    """Static strain of a periodic cell of the staggered grid: P waves, and S waves along and across the axes."""
    attenuation = Attenuation(1.0, 1.0)
    for frequency in np.geomspace(*attenuation.band, 7):
        for modulus in cell_moduli(attenuation, 2 * np.pi * frequency, 1 / q, order):
            assert abs(q * modulus.imag / modulus.real - 1) < limit, frequency


@pytest.mark.parametrize(
    ("q", "limit"), [(10.0, 0.09), (20.0, 0.03), (50.0, 0.01), (200.0, 0.03), (1000.0, 0.03)]
)
def test_mechanisms_have_the_q_asked_for(q, limit):
    attenuation = Attenuation(0.5, 1.0)
    frequency = np.geomspace(*attenuation.band, 200)
    modulus = attenuation.modulus(frequency, 1 / q)
    assert np.abs(q * modulus.imag / modulus.real - 1).max() < limit
    # the phase speed at the middle of the band is that of a constant Q
    there = np.real(1 / np.sqrt(attenuation.modulus(np.array([0.25]), 1 / q)[0])) ** -1
    speed_there = there * np.sqrt(attenuation.stiffness(np.array(1 / q)))
    assert speed_there == pytest.approx(1 + np.log(0.25) / (np.pi * q), rel=1e-4)
    elastic = replace(attenuation, relaxing=False).stiffness(np.array(1 / q))
    assert np.sqrt(elastic) == pytest.approx(1 + np.log(0.25) / (np.pi * q))
