"""Templates: waveforms of the best detections, grouped where they repeat, stacked within a group."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seisflow.domain import Continuous, Detection, FloatArray, Template
from seisflow.errors import InputError

__all__ = ["PhaseWindow", "TemplateConfig", "cut_template", "select", "stack_group", "unit"]


@dataclass(frozen=True)
class PhaseWindow:
    """Which stretch of which components belongs to a phase.

    Parameters
    ----------
    components : tuple of str
        That show the phase; of ``E``, ``N`` and ``Z``.
    before : float
        Beginning before the predicted arrival in s.
    length : float
        s.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    components: tuple[str, ...]
    before: float
    length: float

    def __post_init__(self) -> None:
        if self.length <= 0 or self.before < 0 or not self.components:
            raise InputError(
                f"window of {self.length:g} s from {self.before:g} s before the arrival on "
                f"{', '.join(self.components) or 'nothing'}: length must be positive, `before` not negative, and "
                "components be named"
            )


def _windows() -> dict[str, PhaseWindow]:
    return {"P": PhaseWindow(("Z",), 1.0, 8.0), "S": PhaseWindow(("E", "N"), 4.0, 8.0)}


@dataclass(frozen=True)
class TemplateConfig:
    """How templates are made.

    Parameters
    ----------
    source : {"beam", "catalog", "synthetics"}
        What becomes a template: what backprojection found; the events of a catalog, whose recordings must be in the
        archive; or synthetics of ``seisflow simulate``.
    path : str, optional
        The catalog (QuakeML, CSV or one of seisflow; its picks, where it has some, say where windows are cut), or the
        folder of synthetics (``simulations/`` of the model of the travel times, if left out); relative to the project.
    days : tuple of str, optional
        Days (``2009-01-21``) whose detections make templates, with ``beam``; all that are searched, if left out. With
        this, templates stay as they are when further days are searched.
    windows : mapping of str to PhaseWindow
        By phase.
    min_score : float
        Least beam of an event over its threshold.
    max_error : float, optional
        Largest horizontal error of an event in m; all, if left out.
    alone : float, optional
        s. An event with a better one so near in time makes no template: its windows would show waves of the other,
        and what they find would be the other's repeats at a wrong time and place. The longest window, if left out.
    min_signal_to_noise : float
        Of a channel: root mean square in the window over that before P.
    min_channels : int
        Channels that a template needs.
    similarity : float
        An event whose network correlation with each member of a family exceeds this joins it, and a family becomes one
        template; 1 keeps all apart.
    max_lag : float
        Largest shift in s at which two events are compared.
    most : int
        Templates at most: the families whose first event is best by score. Others only join these.
    explained : float
        Share of the energy of a group that its singular vectors must explain.
    rank : int
        Singular vectors at most.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    source: Literal["beam", "catalog", "synthetics"] = "beam"
    path: str | None = None
    days: tuple[str, ...] | None = None
    windows: Mapping[str, PhaseWindow] = field(default_factory=_windows)
    min_score: float = 1.0
    max_error: float | None = None
    alone: float | None = None
    min_signal_to_noise: float = 3.0
    min_channels: int = 6
    similarity: float = 0.5
    max_lag: float = 0.2
    most: int = 1000
    explained: float = 0.4
    rank: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.similarity <= 1 or not 0 < self.explained <= 1:
            raise InputError(
                f"similarity = {self.similarity:g}, explained = {self.explained:g}: both must lie in 0 to 1"
            )
        if min(self.min_channels, self.most, self.rank) < 1 or self.max_lag < 0:
            raise InputError(
                f"min_channels = {self.min_channels}, most = {self.most}, rank = {self.rank}, max_lag = "
                f"{self.max_lag:g} s: the counts must be at least 1, the lag not negative"
            )

        self._check_source()

    def _check_source(self) -> None:
        if self.source == "catalog" and self.path is None:
            raise InputError("source = 'catalog' needs path, the catalog")
        if self.source == "beam" and self.path is not None:
            raise InputError(f"path = {self.path}: goes with source = 'catalog' or 'synthetics'")
        if self.days is not None and (self.source != "beam" or not self.days):
            raise InputError(
                f"days = {list(self.days)}: goes with source = 'beam', and names one day at least"
            )
        for day in self.days or ():
            try:
                date.fromisoformat(day)
            except ValueError:
                raise InputError(f"days: {day} is no day; write it in quotes as '2009-01-21'") from None

    def phase_of(self, component: str) -> str | None:
        """The phase whose window a component shows."""
        return next((phase for phase, window in self.windows.items() if component in window.components), None)

    @property
    def padding(self) -> float:
        """What a template needs around its arrivals in s."""
        longest = max(window.before + window.length for window in self.windows.values())
        return 2 * longest + self.max_lag


def select(detections: Sequence[Detection], config: TemplateConfig) -> tuple[list[Detection], dict[str, str]]:
    """The detections that templates are made of, best first, and why the others are not.

    Parameters
    ----------
    detections : sequence of Detection
    config : TemplateConfig

    Returns
    -------
    list of Detection
    dict of str to str
        Reasons by id.
    """
    chosen, refused = [], {}
    longest = max(window.length for window in config.windows.values())
    alone = longest if config.alone is None else config.alone
    better: list[float] = []  # times of those before, ascending
    ranked = sorted(detections, key=lambda each: (-_score(each), each.time))
    for each in ranked:
        place = bisect(better, each.time)
        gap = min((abs(each.time - time) for time in better[max(0, place - 1) : place + 1]), default=np.inf)
        better.insert(place, each.time)
        if gap < alone:
            refused[each.id] = f"a better event is {gap:.2f} s away; alone is {alone:g} s"
        elif _score(each) < config.min_score:
            refused[each.id] = (
                f"beam is {_score(each):.2f} times its threshold; min_score is {config.min_score:g}"
            )
        elif config.max_error is not None and not each.horizontal_error <= config.max_error:
            refused[each.id] = (
                f"horizontal error {each.horizontal_error:.0f} m; max_error is {config.max_error:g} m"
            )
        else:
            chosen.append(each)
    return chosen, refused


def _score(detection: Detection) -> float:
    """Beam over threshold; infinite for an event that came from a catalog."""
    score = detection.value / detection.threshold
    return float(score) if np.isfinite(score) else float("inf")


def cut_template(
    data: Continuous,
    detection: Detection,
    times: FloatArray,
    phases: Sequence[str],
    config: TemplateConfig,
    noise: bool = True,
) -> Template | str:
    """Cut a template out of recordings.

    Parameters
    ----------
    data : Continuous
        Filtered as the data that will be searched.
    detection : Detection
    times : ndarray (ns, np)
        Travel times in s to the stations of ``data``.
    phases : sequence of str
        Of ``times``.
    config : TemplateConfig
    noise : bool
        Whether there is some to compare with; synthetics have none, and all their channels are taken.

    Returns
    -------
    Template or str
        Or why there is none.
    """
    shape = (len(data.stations), len(data.components))
    longest = max(round(window.length / data.interval) for window in config.windows.values())
    waveforms = np.zeros((*shape, longest), dtype=np.float32)
    lengths, moveouts = np.zeros(shape, dtype=np.int64), np.zeros(shape)
    ratios = np.zeros(shape)
    names = tuple(config.phase_of(component) or "" for component in data.components)
    first = times.min(axis=1)  # of a station, for its noise
    place = (detection.time - data.start) / data.interval
    part = place - np.floor(place + 0.5)  # not quite half a sample, which would round to either side
    origin = data.start + (np.floor(place + 0.5) + np.clip(part, -0.499, 0.499)) * data.interval
    for station, channel in np.ndindex(shape):
        phase = names[channel]
        if phase not in phases:
            continue
        window = config.windows[phase]
        number = round(window.length / data.interval)
        arrival = detection.time + times[station, list(phases).index(phase)]
        begin = round((arrival - window.before - data.start) / data.interval)
        noise_end = round((detection.time + first[station] - data.start) / data.interval)
        noise_end = min(noise_end, begin)
        noise_begin = noise_end - number
        least = noise_begin if noise else begin
        if (
            least < 0
            or begin + number > data.samples
            or not data.live[station, channel, least : begin + number].all()
        ):
            continue
        signal = data.data[station, channel, begin : begin + number].astype(np.float64)
        level = data.data[station, channel, noise_begin:noise_end].astype(np.float64).std() if noise else 0.0
        if (noise and level == 0) or signal.std() == 0:
            continue
        ratios[station, channel] = signal.std() / level if noise else np.inf
        waveforms[station, channel, :number] = signal - signal.mean()
        lengths[station, channel] = number
        moveouts[station, channel] = data.start + begin * data.interval - origin
    good = (lengths > 0) & (ratios >= config.min_signal_to_noise)
    if good.sum() < config.min_channels:
        return (
            f"{int(good.sum())} channels with a signal-to-noise ratio of {config.min_signal_to_noise:g}; "
            f"min_channels is {config.min_channels}"
        )
    best = float(np.median(ratios[good]))
    return Template(
        id=detection.id,
        time=detection.time,
        x=detection.x,
        y=detection.y,
        z=detection.z,
        stations=data.stations,
        components=data.components,
        waveforms=waveforms,
        lengths=lengths,
        moveouts=moveouts,
        weights=good.astype(np.float64),
        phases=np.where(lengths > 0, np.array(names)[None, :], ""),
        interval=data.interval,
        magnitude=detection.magnitude.value if detection.magnitude else None,
        quality={"channels": float(good.sum()), "members": 1.0}
        | ({"signal_to_noise": best} if noise else {}),
    )


def unit(waveforms: FloatArray) -> FloatArray:
    """Waveforms with zero mean and unit energy; zeros stay zeros."""
    norm = np.sqrt((waveforms.astype(np.float64) ** 2).sum(axis=-1, keepdims=True))
    result: FloatArray = np.divide(waveforms, norm, out=np.zeros(waveforms.shape), where=norm > 0)
    return result


def stack_group(
    templates: Sequence[Template], lags: npt.NDArray[np.int64], config: TemplateConfig
) -> Template:
    """One template from a group: singular vectors and a Wiener filter along the events (Moreau et al. 2017).

    Parameters
    ----------
    templates : sequence of Template
        The first one gives place, time and moveouts.
    lags : ndarray of int (n,)
        Samples by which each lies behind the first.
    config : TemplateConfig

    Returns
    -------
    Template
        The first one with waveforms of the group; its ``quality`` counts the members.
    """
    first = templates[0]
    if len(templates) == 1:
        return first
    waveforms, weights = np.zeros_like(first.waveforms), np.zeros_like(first.weights)
    moveouts, phases, sizes = first.moveouts.copy(), first.phases.copy(), _sizes(templates)
    lengths = np.max([template.lengths for template in templates], axis=0)
    for station, channel in np.ndindex(first.weights.shape):
        has = [number for number, each in enumerate(templates) if each.weights[station, channel] > 0]
        length = int(lengths[station, channel])
        if not has or length == 0:
            continue
        rows = np.array(
            [_shifted(templates[n].waveforms[station, channel], int(lags[n]))[:length] for n in has]
        ).astype(np.float64)
        shape = _wiener_stack(unit(rows), config)
        if not np.ptp(shape) > 0:
            continue
        # as large as the first one was, or would have been
        gain = float(np.sqrt((rows[0] ** 2).sum() / (shape**2).sum())) / sizes[has[0]]
        waveforms[station, channel, :length] = gain * shape
        weights[station, channel] = 1.0
        phases[station, channel] = templates[has[0]].phases[station, channel]
        if has[0] != 0:
            # its waveform was moved by the lag already, which is what its origin time is wrong by
            moveouts[station, channel] = templates[has[0]].moveouts[station, channel] + _later(
                first, templates[has[0]]
            )
    quality = dict(first.quality) | {"members": float(len(templates)), "channels": float(weights.sum())}
    return replace(
        first,
        waveforms=waveforms,
        weights=weights,
        lengths=lengths,
        moveouts=moveouts,
        phases=phases,
        quality=quality,
    )


def _later(first: Template, other: Template) -> float:
    """How much later in s the windows of one template are than those of another: the median of common channels."""
    common = (first.weights > 0) & (other.weights > 0)
    if not common.any():
        return 0.0
    return float(np.quantile((first.moveouts - other.moveouts)[common], 0.5, method="lower"))


def _sizes(templates: Sequence[Template]) -> FloatArray:
    """Amplitude of each template over that of the first: the median over common channels."""
    levels = np.array(
        [np.sqrt((template.waveforms.astype(np.float64) ** 2).sum(axis=-1)) for template in templates]
    )
    used = np.array([template.weights > 0 for template in templates])
    result = np.ones(len(templates))
    for number in range(1, len(templates)):
        common = used[0] & used[number]
        if common.any():
            result[number] = float(np.median(levels[number][common] / levels[0][common]))
    return result


def _shifted(trace: FloatArray, lag: int) -> FloatArray:
    """A trace moved earlier by a lag; zeros enter."""
    result = np.zeros_like(trace)
    if lag >= 0:
        result[: trace.size - lag] = trace[lag:]
    else:
        result[-lag:] = trace[:lag]
    return result


def _wiener_stack(rows: FloatArray, config: TemplateConfig) -> FloatArray:
    """Mean of the low-rank, filtered waveforms of a group on one channel, largest amplitude 1."""
    if len(rows) > 1:
        left, values, right = np.linalg.svd(rows, full_matrices=False)
        share = np.cumsum(values**2) / (values**2).sum()
        rank = min(int(np.searchsorted(share, config.explained)) + 1, config.rank, len(values))
        low = sum(values[k] * np.outer(left[:, k], right[k]) for k in range(rank))
        if len(rows) > 2:
            with np.errstate(divide="ignore", invalid="ignore"):
                from scipy.signal import wiener  # imported late: it takes most of a second

                filtered = wiener(low, (min(len(rows) // 2 * 2 - 1, 5), 1))
            low = np.where(np.isfinite(filtered), filtered, low)
        mean = np.asarray(low).mean(axis=0)
    else:
        mean = rows[0]
    largest = np.abs(mean).max()
    result: FloatArray = mean / largest if largest > 0 else mean
    return result
