"""Features on a GPU, from recordings that are there already.

How they are computed is said in ``kernels/cuda/features.cu``; the same on the processor is
``seisflow.detection.features``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from seisflow.domain import FloatArray
from seisflow.native.device import Device, options, struct_type

__all__ = ["FeatureShape", "cuda_feature"]

_THREADS = 256
_WORK = struct_type(
    [
        *((name, "i") for name in ["samples", "count", "factor", "stations", "components", "quick", "slow"]),
        *((name, "i") for name in ["window", "hop", "windows", "most", "offset", "stride"]),
        *((name, "p") for name in ["data", "live", "quadrature", "ahead", "energy", "there", "kurtosis"]),
        *((name, "p") for name in ["enough", "raw", "good", "median", "deviation", "alive", "nodes"]),
        *((name, "p") for name in ["centre", "middle", "scale", "values", "result"]),
        ("floor", "d"),
        ("ceiling", "d"),
        *((name, "n") for name in ["ratio", "normalise"]),
    ]
)


@dataclass(frozen=True)
class FeatureShape:
    """How recordings become a feature; see ``seisflow.detection.features.FeatureConfig``.

    Parameters
    ----------
    kind : {"sta_lta", "energy", "envelope", "kurtosis"}
    factor : int
        Samples of recordings in one of the feature.
    ahead : ndarray (short,)
        Weights of the window ahead, which sum up to 1.
    long : int
        Samples of the window behind.
    floor, ceiling : float
    window, hop : int
        Of the running median in samples of the feature.
    min_live : float
        Windows with a smaller live share have no median.
    """

    kind: Literal["sta_lta", "energy", "envelope", "kurtosis"]
    factor: int
    ahead: FloatArray
    long: int
    floor: float
    ceiling: float
    window: int
    hop: int
    min_live: float


def cuda_feature(
    device: Device, data: Any, live: Any, shape: FeatureShape, values: Any, result: Any, row: int
) -> None:
    """One feature of all stations.

    Parameters
    ----------
    device : Device
    data : array of the device, float32 (ns, nc, n)
    live : array of the device, uint8 (ns, nc, n)
    shape : FeatureShape
    values : array of the device, float32 (ns, rows, n // factor)
        Its given row is set for all stations.
    result : array of the device, uint8 (ns, rows, n // factor)
        Likewise: where the feature is live.
    row : int

    Raises
    ------
    DeviceMemoryError
        If the memory does not suffice.
    """
    with device.short():
        _Run(device, data, live, shape).into(values, result, row)


class _Run:
    """One feature of all stations."""

    def __init__(self, device: Device, data: Any, live: Any, shape: FeatureShape) -> None:
        self.device, self.shape = device, shape
        self.stations, self.components, self.samples = (int(n) for n in data.shape)
        self.count = self.samples // shape.factor
        self.work = np.zeros(1, dtype=_WORK)
        self.keep: dict[str, Any] = {}
        self._set(
            samples=self.samples, count=self.count, factor=shape.factor, stations=self.stations,
            components=self.components, quick=len(shape.ahead), slow=shape.long, floor=shape.floor,
            ceiling=shape.ceiling, ratio=int(shape.kind == "sta_lta"), normalise=int(shape.kind != "sta_lta"),
        )  # fmt: skip
        rows = (self.stations, self.count)
        self._hold(
            data=data, live=live, ahead=device.upload(np.asarray(shape.ahead, dtype=np.float64)),
            raw=device.empty(rows, np.float64), good=device.empty(rows, np.uint8),
        )  # fmt: skip

    def _set(self, **numbers: float) -> None:
        for name, value in numbers.items():
            self.work[name] = value

    def _hold(self, **arrays: Any) -> None:
        self.keep |= arrays
        self._set(**{name: self.device.address(array) for name, array in arrays.items()})

    def _launch(self, name: str, across: int) -> None:
        blocks = -(-self.count // _THREADS)
        self.device.launch(("features", name, options()), (blocks, across), (_THREADS,), self.work)

    def into(self, values: Any, result: Any, row: int) -> None:
        """Compute, and write to a row."""
        if self.shape.kind == "kurtosis":
            self._kurtosis()
        else:
            self._energy()
        if self.shape.kind != "sta_lta":
            self._levels()
        self._hold(values=values, result=result)
        rows = int(values.shape[1])
        self._set(offset=row * self.count, stride=rows * self.count)
        self._launch("feature_finish", self.stations)

    def _energy(self) -> None:
        rows = (self.stations, self.count)
        self._hold(energy=self.device.empty(rows, np.float64), there=self.device.empty(rows, np.uint8))
        if self.shape.kind == "envelope":
            self._hold(quadrature=self._hilbert())
        self._launch("feature_energy", self.stations)
        self._launch("feature_ratio", self.stations)

    def _hilbert(self) -> Any:
        """Hilbert transforms of all recordings, by Fourier transforms in double precision."""
        from scipy.fft import next_fast_len

        xp, shape = self.device.xp, (self.stations, self.components, self.samples)
        length = next_fast_len(2 * self.samples, real=True)
        found = self.device.empty(shape, np.float64)
        for station, component in np.ndindex(
            *shape[:2]
        ):  # one at a time: transforms take four times the trace
            spectrum = -1j * xp.fft.rfft(self.keep["data"][station, component].astype(np.float64), length)
            spectrum[0] = 0
            found[station, component] = xp.fft.irfft(spectrum, length)[: self.samples]
        return found

    def _kurtosis(self) -> None:
        rows = (self.stations, self.components, self.count)
        self._hold(kurtosis=self.device.empty(rows, np.float64), enough=self.device.empty(rows, np.uint8))
        self._launch("feature_kurtosis", self.stations * self.components)
        self._launch("feature_rise", self.stations)

    def _levels(self) -> None:
        """Running medians; where they are known goes back to the device."""
        device, shape = self.device, self.shape
        window = min(shape.window, self.count)
        starts = list(range(0, self.count - window + 1, shape.hop))
        if starts[-1] + window < self.count:
            starts.append(self.count - window)
        rows = (self.stations, len(starts))
        self._hold(
            median=device.empty(rows, np.float64), deviation=device.empty(rows, np.float64),
            alive=device.empty(rows, np.int32),
        )  # fmt: skip
        self._set(window=window, hop=shape.hop, windows=len(starts))
        kernel = ("features", "feature_levels", options())
        device.launch(kernel, (len(starts), self.stations), (_THREADS,), self.work, 4 * 257)
        alive, median, deviation = (device.download(self.keep[n]) for n in ("alive", "median", "deviation"))
        use = (alive >= max(1, shape.min_live * window)) & (deviation > 0)
        centres = np.array(starts) + 0.5 * (window - 1)
        nodes = np.zeros((3, *rows))
        for station, which in enumerate(use):
            count = int(which.sum())
            nodes[0, station, :count] = centres[which]
            nodes[1, station, :count] = median[station, which]
            nodes[2, station, :count] = deviation[station, which]
        self._hold(
            nodes=device.upload(use.sum(axis=1).astype(np.int32)), centre=device.upload(nodes[0]),
            middle=device.upload(nodes[1]), scale=device.upload(nodes[2]),
        )  # fmt: skip
        self._set(most=len(starts))
