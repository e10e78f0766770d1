"""The treatment of synthetic seismograms: a list of linear stages, and its transpose for adjoint sources."""

from __future__ import annotations

import numpy as np

from seisflow.domain import Event, FloatArray, Gather, Station
from seisflow.errors import InputError, PhysicsError
from seisflow.signal.bandpass import BandPass
from seisflow.signal.config import SignalConfig, TimeAxis
from seisflow.signal.detrend import Detrend
from seisflow.signal.quantity import conversion
from seisflow.signal.resample import Resample
from seisflow.signal.rotate import Rotate, outward_azimuths
from seisflow.signal.stage import Stage
from seisflow.signal.taper import Taper

__all__ = ["Pipeline", "conditioning", "run", "run_back"]

GEOGRAPHIC = ("E", "N", "Z")
RADIAL = ("R", "T", "Z")


def conditioning(
    config: SignalConfig, axis: TimeAxis, event: Event, stations: tuple[Station, ...]
) -> list[Stage]:
    """List the stages that observed and synthetic share on the common axis."""
    config.check_length(axis)
    stages: list[Stage] = [
        Detrend(axis.samples),
        Taper(axis.samples, config.taper),
        BandPass(axis.samples, axis.interval, config.band, config.corners),
    ]
    if config.rotate:
        stages.append(Rotate(outward_azimuths(event, stations)))
    return stages


def run(stages: list[Stage], data: FloatArray) -> FloatArray:
    """Apply the stages one after the other."""
    for stage in stages:
        data = stage.apply(data)
    return data


def run_back(stages: list[Stage], data: FloatArray) -> FloatArray:
    """Apply the transposed stages, the last one first."""
    for stage in reversed(stages):
        data = stage.transpose(data)
    return data


class Pipeline:
    """From the raw seismograms of a solver to what is compared with the observed ones.

    To the wanted quantity, anti-alias and onto the common axis, detrend, taper, band-pass, rotate. Linear,
    with an exact transpose, so an adjoint source can be carried back to the samples of the solver.

    Parameters
    ----------
    config : SignalConfig
    raw : TimeAxis
        Of the solver's seismograms (``TimeAxis.of(gather)``); before its start the ground is at rest.
    axis : TimeAxis
        Of the result, with the interval of the configuration.
    event : Event
    stations : tuple of Station
    quantity : {"velocity", "displacement", "acceleration"}
        What the solver gives.

    Raises
    ------
    InputError
        If the raw seismograms end before the axis does, or the axis cannot carry the band.
    """

    def __init__(
        self,
        config: SignalConfig,
        raw: TimeAxis,
        axis: TimeAxis,
        event: Event,
        stations: tuple[Station, ...],
        quantity: str = "velocity",
    ) -> None:
        self.config, self.raw, self.axis, self.stations, self.quantity = config, raw, axis, stations, quantity
        stages, converted = conversion(quantity, config.quantity, raw)
        if converted.end < axis.end - axis.interval:
            raise InputError(
                f"synthetic seismograms end {converted.end:g} s after the origin, {axis.end:g} s are needed; "
                "simulate longer or shorten the time axis"
            )
        if 2 * raw.interval >= config.band[0]:
            raise InputError(
                f"synthetic interval {raw.interval:g} s cannot hold a period of {config.band[0]:g} s"
            )
        self.stages = [*stages, Resample(converted, axis), *conditioning(config, axis, event, stations)]
        self.components = RADIAL if config.rotate else GEOGRAPHIC

    def apply(self, gather: Gather) -> Gather:
        """Treat the solver's E, N, Z seismograms.

        Returns
        -------
        Gather
            On the common axis, float64.

        Raises
        ------
        InputError
            If the gather is not on the axis, the stations or the components that the pipeline was made for.
        PhysicsError
            If it holds NaN or infinite samples.
        """
        self._check(gather, self.raw, GEOGRAPHIC)
        if gather.quantity != self.quantity:
            raise InputError(f"expected {self.quantity} seismograms, found {gather.quantity}")
        bad = np.argwhere(~np.isfinite(gather.data))
        if len(bad):
            station, component, sample = (int(value) for value in bad[0])
            raise PhysicsError(
                f"synthetic {gather.stations[station].id}.{gather.components[component]} is not finite "
                f"{gather.times[sample]:g} s after the origin; the simulation was unstable"
            )
        data = run(self.stages, np.asarray(gather.data, dtype=np.float64))
        return Gather(
            self.stations, self.components, data, self.axis.start, self.axis.interval, self.config.quantity
        )

    def transpose(self, gather: Gather) -> Gather:
        """Apply the plain transpose: sum(apply(x).data * y.data) = sum(x.data * transpose(y).data).

        It turns dJ/d(treated sample) into dJ/d(raw sample). Adjoint sources, such derivatives over the
        interval, are carried back by ``adjoint``.
        """
        self._check(gather, self.axis, self.components)
        data = run_back(self.stages, np.asarray(gather.data, dtype=np.float64))
        return Gather(self.stations, GEOGRAPHIC, data, self.raw.start, self.raw.interval, self.quantity)

    def adjoint(self, source: Gather) -> Gather:
        """Carry an adjoint source back to the solver's samples.

        Parameters
        ----------
        source : Gather
            dJ/d(sample of ``apply``) / interval of the common axis, as ``misfits`` give it.

        Returns
        -------
        Gather
            dJ/d(sample of the solver) / interval of the solver, E, N, Z: what ``Solver.adjoint`` takes.
        """
        back = self.transpose(source)
        return back.with_data(back.data * (self.axis.interval / self.raw.interval))

    def _check(self, gather: Gather, axis: TimeAxis, components: tuple[str, ...]) -> None:
        if gather.stations != self.stations or gather.components != components:
            raise InputError(
                f"expected {' '.join(components)} of {len(self.stations)} stations in the order given, "
                f"found {' '.join(gather.components)} of {len(gather.stations)}"
            )
        if not TimeAxis.of(gather).matches(axis):
            raise InputError(f"expected seismograms on {axis}, found {TimeAxis.of(gather)}")
