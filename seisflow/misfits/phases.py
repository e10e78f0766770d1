"""The difference of phase of two complex signals, weighted so that it fades where either is weak."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray
from seisflow.errors import PhysicsError
from seisflow.misfits.analytic import ComplexArray
from seisflow.misfits.base import Cut

__all__ = ["weighted_phase"]

QUADRATIC = 0.75
"""Phases count by their square up to this fraction of half a cycle; from there the slope falls to 0 at half a cycle."""
NEAR_HALF = 0.9
"""Phases beyond this fraction of half a cycle may be of another cycle ..."""
MOST_SKIPPED = 0.1
"""... and so much of the weight may have such phases."""


def weighted_phase(
    observed: ComplexArray, synthetic: ComplexArray, levels: tuple[float, float], cut: Cut
) -> tuple[float, ComplexArray, FloatArray]:
    """Sum of V g(phi), phi the phase of the synthetic minus that of the observed, V a weight from 0 to 1.

    g is phi^2 / 2, but close to half a cycle, where nobody knows which is ahead, it levels off: else it would have an
    edge there, and the two sides of it would pull in opposite directions.

    V = p / (p + level^2) of the observed, times the same of the synthetic, p = abs()^2: where one has no signal its
    phase is arbitrary. The synthetic's part is differentiated too, and J stays smooth where its amplitude passes zero.

    Parameters
    ----------
    observed, synthetic : ndarray of complex
        Of the same shape, each in units of its own size.
    levels : tuple of 2 float
        Of the observed and of the synthetic.
    cut : Cut
        For messages.

    Returns
    -------
    float
        The sum.
    ndarray of complex
        Its derivative by the synthetic, as ``ComplexArray`` says.
    ndarray
        Weights of the observed alone.

    Raises
    ------
    PhysicsError
        If over a tenth of the weight lies on phases close to half a cycle or beyond: which cycle it is, is not known.
    """
    power = np.abs(observed) ** 2, np.abs(synthetic) ** 2
    fixed = power[0] / (power[0] + levels[0] ** 2)
    held = power[1] + levels[1] ** 2
    weight = fixed * power[1] / held
    phase = np.angle(synthetic * np.conj(observed))
    skipped = float(np.sum(weight[np.abs(phase) > NEAR_HALF * np.pi]) / np.sum(weight))
    if skipped > MOST_SKIPPED:
        raise PhysicsError(
            f"observed and synthetic {cut.where} are about half a cycle apart in {100 * skipped:.0f} percent of the "
            "signal: the cycle is not known; take the window out, or begin with longer periods"
        )
    score, slope = _levelled_square(phase)
    # d(V)/d(p) g * 2 s along s, and V g' / p * i s across it; both finite where s is zero
    along = 2 * fixed * (levels[1] / held) ** 2 * score
    across = fixed * slope / held
    return float(np.sum(weight * score)), (along + 1j * across) * synthetic, fixed


def _levelled_square(phase: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give g and its slope: phi from 0 to c, phi cos^2 from c to pi; twice differentiable on the whole circle."""
    size, most = np.abs(phase), QUADRATIC * np.pi
    wave = np.pi / (np.pi - most)
    turn = wave * np.maximum(size - most, 0.0)
    slope = phase * 0.5 * (1 + np.cos(turn))
    beyond = 0.25 * (size**2 - most**2) + 0.5 * (size * np.sin(turn) / wave + (np.cos(turn) - 1) / wave**2)
    return np.where(size < most, 0.5 * size**2, 0.5 * most**2 + beyond), slope
