"""Largest amplitudes of an earthquake at the channels of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seisflow.domain.grid import FloatArray
from seisflow.errors import InputError

__all__ = ["Amplitudes"]


@dataclass(frozen=True, eq=False)
class Amplitudes:
    """Largest absolute values in a window, by station and component.

    Parameters
    ----------
    stations : tuple of str
        ``NET.STA``, length ns.
    components : tuple of str
        Length nc.
    values : ndarray (ns, nc)
        NaN where nothing was measured.
    noise : ndarray (ns, nc)
        The same measure in a window before the event; NaN where there was none.
    clipped : ndarray of bool (ns, nc)
        Whether the recording reached the limit of its digitizer.
    quantity : {"wood-anderson", "velocity", "counts"}
        Trace amplitude of a Wood-Anderson seismometer of magnification 2080 in m, ground velocity in m/s, or counts.
    remarks : tuple of str
        Channels that were not measured, and why.
    """

    stations: tuple[str, ...]
    components: tuple[str, ...]
    values: FloatArray
    noise: FloatArray
    clipped: npt.NDArray[np.bool_]
    quantity: Literal["wood-anderson", "velocity", "counts"]
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wanted = (len(self.stations), len(self.components))
        if not self.values.shape == self.noise.shape == self.clipped.shape == wanted:
            raise InputError(
                f"amplitudes of {wanted[0]} stations, {wanted[1]} components have values {self.values.shape}, noise "
                f"{self.noise.shape} and clipped {self.clipped.shape}"
            )
