"""What a window counts beside others: geography, categories, noise; and windows that stand apart from all others."""

from __future__ import annotations

from seisflow.weights.config import Distance, QualityConfig, WeightConfig
from seisflow.weights.geographic import (
    condition_curve,
    density_weights,
    geographic_weights,
    pair_distances,
    reference_distance,
)
from seisflow.weights.outliers import outliers
from seisflow.weights.stations import StationFault, StationRow, station_faults, station_rows
from seisflow.weights.weigh import weigh

__all__ = [
    "Distance",
    "QualityConfig",
    "StationFault",
    "StationRow",
    "WeightConfig",
    "condition_curve",
    "density_weights",
    "geographic_weights",
    "outliers",
    "pair_distances",
    "reference_distance",
    "station_faults",
    "station_rows",
    "weigh",
]
