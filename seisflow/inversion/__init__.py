"""From summed kernels to a new model: sum, mask, smooth, precondition, search direction, line search."""

from __future__ import annotations

from seisflow.inversion.bounds import check_bounds, free_nodes, within_bounds
from seisflow.inversion.config import InversionConfig
from seisflow.inversion.directions import Direction, direction
from seisflow.inversion.history import History, load_history, save_history
from seisflow.inversion.linesearch import Accept, Decision, Fail, LineSearch, Next, Trial
from seisflow.inversion.mask import point_mask
from seisflow.inversion.parameters import change, gradient, largest_change, updated
from seisflow.inversion.parametrisation import Parametrisation
from seisflow.inversion.precondition import InverseHessian, illumination_weight
from seisflow.inversion.smooth import gaussian_smooth, gaussian_smooth_root, smoothing_lengths
from seisflow.inversion.sum import sum_kernels
from seisflow.inversion.tikhonov import Penalty, tikhonov

__all__ = [
    "Accept",
    "Decision",
    "Direction",
    "Fail",
    "History",
    "InverseHessian",
    "InversionConfig",
    "LineSearch",
    "Next",
    "Parametrisation",
    "Penalty",
    "Trial",
    "change",
    "check_bounds",
    "direction",
    "free_nodes",
    "gaussian_smooth",
    "gaussian_smooth_root",
    "gradient",
    "illumination_weight",
    "largest_change",
    "load_history",
    "point_mask",
    "save_history",
    "smoothing_lengths",
    "sum_kernels",
    "tikhonov",
    "updated",
    "within_bounds",
]
