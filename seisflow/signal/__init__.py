"""Gather to gather: response, quantity, resampling, detrend, taper, band-pass, rotation."""

from __future__ import annotations

from seisflow.signal.config import SignalConfig, TimeAxis
from seisflow.signal.observed import prepare_observed
from seisflow.signal.pipeline import Pipeline

__all__ = ["Pipeline", "SignalConfig", "TimeAxis", "prepare_observed"]
