"""Misfits: one file each, value and adjoint source together. ``docs/misfits.md`` tells how to add one."""

from __future__ import annotations

from seisflow.misfits.base import Band, Misfit
from seisflow.misfits.cc_amplitude import CCAmplitudeConfig
from seisflow.misfits.cc_traveltime import CCTraveltimeConfig
from seisflow.misfits.cc_traveltime_dd import CCTraveltimeDDConfig
from seisflow.misfits.envelope import EnvelopeConfig
from seisflow.misfits.exponentiated_phase import ExponentiatedPhaseConfig
from seisflow.misfits.instantaneous_phase import InstantaneousPhaseConfig
from seisflow.misfits.measure import measure_gather, measure_traces
from seisflow.misfits.multitaper import MultitaperAmplitudeConfig, MultitaperPhaseConfig
from seisflow.misfits.multitaper_dd import MultitaperDDConfig
from seisflow.misfits.optimal_transport import OptimalTransportConfig
from seisflow.misfits.time_frequency_phase import TimeFrequencyPhaseConfig
from seisflow.misfits.waveform import WaveformConfig
from seisflow.misfits.waveform_normalised import WaveformNormalisedConfig

__all__ = [
    "CCTraveltimeConfig",
    "Misfit",
    "MisfitConfig",
    "WaveformConfig",
    "create",
    "measure_gather",
    "measure_traces",
]

MisfitConfig = (
    WaveformConfig
    | WaveformNormalisedConfig
    | CCTraveltimeConfig
    | CCAmplitudeConfig
    | MultitaperPhaseConfig
    | MultitaperAmplitudeConfig
    | ExponentiatedPhaseConfig
    | InstantaneousPhaseConfig
    | TimeFrequencyPhaseConfig
    | EnvelopeConfig
    | OptimalTransportConfig
    | CCTraveltimeDDConfig
    | MultitaperDDConfig
)
"""Settings of any misfit; a new one is one line here."""


def create(config: MisfitConfig, band: Band | None = None) -> Misfit:
    """Make the misfit that the settings describe.

    Parameters
    ----------
    config : MisfitConfig
    band : tuple of 2 float, optional
        Shortest and longest period in s of what is compared, for misfits that look at frequencies; if left out, they
        look at all that are recorded.
    """
    return config.create(band)
