"""The correction for time steps, on an oscillator that steps as the solver does."""

from __future__ import annotations

import numpy as np
import pytest

from seisflow.solvers.dispersion import TimeDispersion

STEP, HIGHEST = 0.05, 1.503
TIMES = -3 + STEP * np.arange(2000)


def pulse(times):
    return np.exp(-((times / 0.5) ** 2))


def leapfrog(step, force, frequency):
    """Velocity of an oscillator under a force that acts half a step before it."""
    result, speed, place = np.zeros(force.size), 0.0, 0.0
    for n, push in enumerate(force):
        speed += step * (push - frequency**2 * place)
        result[n] = speed
        place += step * speed
    return result


@pytest.mark.parametrize("frequency", [1.5, 4.0])
def test_an_oscillator_swings_as_with_tiny_steps(frequency):
    fine = STEP / 16
    exact = leapfrog(fine, pulse(-3 + fine * np.arange(16 * TIMES.size) - fine / 2), frequency)[::16]
    plain = leapfrog(STEP, pulse(TIMES - STEP / 2), frequency)
    source = TimeDispersion(TIMES - STEP / 2, HIGHEST, forward=True).apply(pulse(TIMES - STEP / 2))
    corrected = TimeDispersion(TIMES, HIGHEST, forward=False, tail=100).apply(
        leapfrog(STEP, source, frequency)
    )
    inside = slice(0, 1850)
    scale = np.linalg.norm(exact[inside])
    before, after = (np.linalg.norm((x - exact)[inside]) / scale for x in (plain, corrected))
    assert after < before / 50
    assert after < 0.004


@pytest.mark.parametrize("forward", [True, False])
def test_sum_of_transforms_is_the_integral_and_has_its_transpose(forward):
    move = TimeDispersion(TIMES, HIGHEST, forward=forward, tail=40)
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 70, TIMES.size))
    assert np.sum(move.apply(x) * y) == pytest.approx(np.sum(x * move.transpose(y)), rel=1e-11)
    omega = 2 * np.pi * np.fft.rfftfreq(move.length, STEP)
    inside = omega <= 2 * np.pi * HIGHEST
    found = 2 / STEP * (np.sin(omega * STEP / 2) if forward else np.arcsin(np.minimum(omega * STEP / 2, 1)))
    spectrum = np.zeros(omega.size, dtype=complex)
    waves = np.exp(-1j * np.outer(found[inside], TIMES)) * np.exp(1j * omega[inside] * TIMES[0])[:, None]
    spectrum[inside] = waves @ (x[0] * move.taper)
    expected = np.fft.irfft(spectrum, move.length)[: TIMES.size]
    assert np.abs(move.apply(x)[0] - expected).max() < 1e-10 * np.abs(expected).max()


def test_moving_there_and_back_changes_nothing():
    wave = pulse((TIMES - 40) / 4) * np.cos(5 * (TIMES - 40))
    there = TimeDispersion(TIMES, HIGHEST, forward=True).apply(wave)
    back = TimeDispersion(TIMES, HIGHEST, forward=False).apply(there)
    assert np.abs(there - wave).max() > 0.1
    assert np.abs(back - wave).max() < 1e-4
