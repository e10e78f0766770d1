"""Draw docs/pictures/misfits.png: the adjoint source of each misfit on one pair of seismograms.

Run ``python docs/make_misfit_pictures.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
from matplotlib.figure import Figure

from seisflow.domain import FloatArray, Gather, Station, Window
from seisflow.misfits import MisfitConfig, create, measure_gather
from seisflow.report.style import COLOURS, styled

PICTURE = Path(__file__).parent / "pictures" / "misfits.png"
INTERVAL, BAND = 0.5, (8.0, 40.0)
TIMES = INTERVAL * np.arange(401)


def pulse(centre: float, width: float, period: float, phase: float = 0.0) -> FloatArray:
    """A wave packet; s."""
    t = TIMES - centre
    return np.asarray(np.exp(-((t / width) ** 2)) * np.cos(2 * np.pi * t / period + phase))


def pair() -> tuple[Gather, Gather]:
    """A weak body wave before a dispersed surface wave at two stations; the observed late by 0.8 to 2 s and louder."""
    stations = Station("XX", "A", 0.0, 0.0), Station("XX", "B", 0.0, 0.3)
    synthetic = [
        0.3 * pulse(60 + x, 10, 13) + pulse(110 + x, 18, 18, 0.4) + 0.6 * pulse(130 + x, 14, 12)
        for x in (0, 6)
    ]
    observed = [
        0.3 * pulse(61.2 + x, 10, 13)
        + 1.3 * pulse(112 + x + y, 18, 18, 0.4)
        + 0.8 * pulse(130.8 + x + y, 14, 12)
        for x, y in ((0, 0), (6, -1.2))
    ]
    return tuple(  # type: ignore[return-value]
        Gather(stations, ("Z",), np.array(traces)[:, None], 0.0, INTERVAL, "displacement")
        for traces in (observed, synthetic)
    )


def main() -> None:
    """Draw and say where."""
    observed, synthetic = pair()
    windows = [Window("XX.A", "Z", 30.0, 170.0, shift=1.5), Window("XX.B", "Z", 36.0, 176.0, shift=0.5)]
    kinds = [config() for config in get_args(MisfitConfig)]
    with styled():
        figure = Figure(figsize=(10, 1.25 * (1 + (len(kinds) + 1) // 2)), layout="constrained")
        axes = figure.subplots(1 + (len(kinds) + 1) // 2, 2, sharex=True)
        for axis, station in zip(axes[0], (0, 1), strict=True):
            axis.plot(TIMES, observed.data[station, 0], color=COLOURS["observed"], label="observed")
            axis.plot(TIMES, synthetic.data[station, 0], color=COLOURS["synthetic"], label="synthetic")
            axis.set_title(f"seismograms of station {'AB'[station]}", loc="left", fontsize=9)
            axis.legend(loc="upper left", fontsize=7, frameon=False)
        for axis in axes.flat[2:]:
            axis.set_visible(False)
        for axis, config in zip(axes.flat[2:], kinds, strict=False):
            found = measure_gather(create(config, BAND), observed, synthetic, windows)
            source = found.adjoint.data[0, 0]
            axis.set_visible(True)
            axis.axhline(0, color="0.8", linewidth=0.6)
            axis.plot(TIMES, source / np.abs(source).max(), color=COLOURS["synthetic"])
            axis.set_title(config.kind, loc="left", fontsize=9)
        for axis in axes.flat:
            window = windows[axis is axes[0, 1]]
            axis.axvspan(window.start, window.end, color="0.95", zorder=-1)
            axis.set_yticks([])
            axis.set_xlim(20, 180)
        for axis in (axes[-1, 0], axes[-1 - len(kinds) % 2, 1]):
            axis.tick_params(labelbottom=True)
            axis.set_xlabel("s")
        figure.savefig(PICTURE, dpi=110)
    print(PICTURE)


if __name__ == "__main__":
    main()
