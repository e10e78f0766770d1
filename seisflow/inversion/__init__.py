"""From summed kernels to a new model: sum, mask, smooth, precondition, L-BFGS direction, line search."""

from __future__ import annotations

from seisflow.inversion.config import InversionConfig
from seisflow.inversion.lbfgs import Direction, History, direction, load_history, save_history
from seisflow.inversion.linesearch import Accept, Decision, Fail, LineSearch, Next, Trial
from seisflow.inversion.mask import point_mask
from seisflow.inversion.parameters import change, check_bounds, gradient, largest_change, updated
from seisflow.inversion.precondition import InverseHessian, illumination_weight
from seisflow.inversion.smooth import gaussian_smooth, gaussian_smooth_root
from seisflow.inversion.sum import sum_kernels

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
    "Trial",
    "change",
    "check_bounds",
    "direction",
    "gradient",
    "illumination_weight",
    "largest_change",
    "load_history",
    "point_mask",
    "save_history",
    "gaussian_smooth",
    "gaussian_smooth_root",
    "sum_kernels",
    "updated",
]
