"""Misfits: one file each, value and adjoint source together."""

from __future__ import annotations

from seisflow.misfits.base import Misfit
from seisflow.misfits.cc_traveltime import CCTraveltime, CCTraveltimeConfig
from seisflow.misfits.measure import measure_gather
from seisflow.misfits.waveform import Waveform, WaveformConfig

__all__ = ["CCTraveltimeConfig", "Misfit", "MisfitConfig", "WaveformConfig", "create", "measure_gather"]

MisfitConfig = WaveformConfig | CCTraveltimeConfig
"""Settings of any misfit; a new one is one line here and one in ``create``."""


def create(config: MisfitConfig) -> Misfit:
    """Make the misfit that the settings describe."""
    match config:
        case WaveformConfig():
            return Waveform(config)
        case CCTraveltimeConfig():
            return CCTraveltime(config)
