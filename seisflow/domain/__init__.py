"""The nouns of seisflow: frozen dataclasses over NumPy. Units are in every docstring."""

from __future__ import annotations

from seisflow.domain.amplitudes import Amplitudes
from seisflow.domain.beam import Beam
from seisflow.domain.candidates import STAGES, BandCandidates, CandidateTable
from seisflow.domain.catalog import Arrival, Catalog, Detection, Magnitude
from seisflow.domain.continuous import Continuous
from seisflow.domain.event import Event, Force, MomentTensor, SourceDerivatives, SourceTimeFunction
from seisflow.domain.features import Features, OnsetDelay
from seisflow.domain.gather import Gather, TimeSpan
from seisflow.domain.geography import Projection
from seisflow.domain.grid import FloatArray, Grid
from seisflow.domain.model import Kernel, Model
from seisflow.domain.station import Station
from seisflow.domain.template import Template
from seisflow.domain.trace_fit import TraceFit
from seisflow.domain.travel_times import TravelTimeTable
from seisflow.domain.window import Measurement, Measurements, Rejection, WeightFactors, Window, WindowEdit

__all__ = [
    "STAGES",
    "Amplitudes",
    "Arrival",
    "BandCandidates",
    "Beam",
    "CandidateTable",
    "Catalog",
    "Continuous",
    "Detection",
    "Event",
    "Features",
    "FloatArray",
    "Force",
    "Gather",
    "Grid",
    "Kernel",
    "Magnitude",
    "Measurement",
    "Measurements",
    "Model",
    "OnsetDelay",
    "MomentTensor",
    "Projection",
    "Rejection",
    "SourceDerivatives",
    "SourceTimeFunction",
    "Station",
    "Template",
    "TimeSpan",
    "TraceFit",
    "TravelTimeTable",
    "WeightFactors",
    "Window",
    "WindowEdit",
]
