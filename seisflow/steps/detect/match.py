"""One day of recordings against all templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.config import digest
from seisflow.detection.correlation import (
    ChannelCorrelations,
    LiveShare,
    cc_channels,
    correlate,
    time_reversed,
)
from seisflow.detection.device_matches import OnDevice, device_matches, median_stride
from seisflow.detection.magnitude import relative_magnitude
from seisflow.detection.matches import (
    Match,
    MatchConfig,
    merge_matches,
    same_place,
    top_between_samples,
)
from seisflow.detection.shifted import shift_recordings
from seisflow.detection.threshold import (
    NullPeaks,
    ThresholdConfig,
    false_alarms,
    spaced,
    threshold,
    tops_among,
)
from seisflow.detection_config import MatchingConfig
from seisflow.domain import Arrival, Catalog, Continuous, Detection, FloatArray, Magnitude, Template
from seisflow.errors import PhysicsError
from seisflow.io.archive import Day
from seisflow.io.catalog_files import save_catalog
from seisflow.io.template_files import read_templates
from seisflow.native.device import Device
from seisflow.records import Task
from seisflow.steps.detect.day import named
from seisflow.steps.detect.days import day_name
from seisflow.steps.detect.device_recordings import device_recordings
from seisflow.steps.detect.faults import told_once
from seisflow.steps.detect.survey import Survey
from seisflow.steps.detect.templates import templates_path
from seisflow.steps.device import device_of

__all__ = ["NULL_FLOOR", "MatchedFilter", "match_day", "match_task", "matched_path"]

NULL_FLOOR = 0.7
"""Peaks of reversed templates and shifted stations count from this part of the threshold on."""

_LEAST_AWAY = 0.25
"""Share of the time away from matches below which all of it is used: what is left would tell too little."""
_AT_ONCE = 64
"""Matches whose channels are correlated together."""


def matched_path(survey: Survey, day: Day) -> Path:
    """What the templates found on a day."""
    return survey.project.day_folder(day_name(day)) / "matched.h5"


def match_task(survey: Survey, config: MatchingConfig, day: Day) -> Task:
    """What decides the matches of a day."""
    survey = survey.of(day)
    settings = {
        "start": day.start,
        "end": survey.end_of(day),
        "stations": [each.id for each in survey.stations],
        "matching": digest(config),
        "magnitude": digest(survey.config.relative_magnitude),
        "travel": survey.travel,
    }
    start, end = _span(survey, config, day)
    files = survey.files(start - config.recordings.margin, end + config.recordings.margin)
    inputs = {**survey.inputs(), **files, "templates": templates_path(survey)}
    return Task(f"detection/{day_name(day)}/matches", inputs, settings, survey.code)


def _span(survey: Survey, config: MatchingConfig, day: Day) -> tuple[float, float]:
    apart = max(config.matches.separation, config.matches.same_time)
    around = config.templates.padding + survey.longest + 2 * apart
    return day.start - around, survey.end_of(day) + around


@dataclass(frozen=True, eq=False)
class MatchedFilter:
    """Templates and how they are run.

    Parameters
    ----------
    templates : sequence of Template
    alike : ndarray (nt, nt)
        Their network correlation.
    config : MatchingConfig
    threads : int
    device : Device, optional
        A GPU to run them on.
    """

    templates: Sequence[Template]
    alike: FloatArray
    config: MatchingConfig
    threads: int
    device: Device | None = None

    def peaks(
        self, data: Continuous, part: float = 1.0, backwards: bool = False, there: OnDevice | None = None
    ) -> _Found:
        """Peaks of the correlations of all templates above a part of their thresholds; and templates that do not fit.

        Templates may be run backwards in time. ``there``: the same recordings on the GPU.
        """
        templates = [time_reversed(each) for each in self.templates] if backwards else self.templates
        least, found, live = self.config.filter.min_live, list[Match](), 0.0
        search = correlate(data, templates, self.config.filter, self.threads)
        refused = {self.templates[one].id: why for one, why in search.refused.items()}
        if self.device is not None:
            there = there or OnDevice(self.device)
            for some, seconds in device_matches(search, self.config.matches, there.filter(search), part):
                found, live = found + some, max(live, seconds)
            return _Found(found, live, refused)
        for batch in search:
            for number, cc, share in zip(batch.numbers, batch.cc, batch.live, strict=True):
                live = max(live, _searched(share, cc.size, least) * data.interval)
                found += _peaks(data, (number, cc, share), least, self.config.matches, part)
        return _Found(found, live, refused)

    def merged(self, peaks: Sequence[Match]) -> list[Match]:
        """One match for each earthquake."""
        places = np.array([[each.x, each.y, each.z] for each in self.templates]).reshape(-1, 3)
        return merge_matches(peaks, places, self.alike, self.config.matches)

    def backwards(
        self, data: Continuous, true: Sequence[Match], there: OnDevice | None = None
    ) -> tuple[list[Match], float]:
        """What fits backwards in time away from true matches, and the share of the time that is away from them.

        A pulse run backwards still looks like the pulse, so that a template fits its own earthquakes backwards. What it
        finds there would be one earthquake with the true match, no further detection.
        """
        config = self.config.matches
        longest = max(float(each.lengths.max()) * each.interval for each in self.templates)
        within = max(config.same_time, longest)
        found = self.merged(self.peaks(data, NULL_FLOOR, backwards=True, there=there).peaks)
        times = np.array([each.time for each in true])
        covered = float(np.minimum(np.diff(np.sort(times), append=np.inf), 2 * within).sum())
        share = 1 - covered / (data.samples * data.interval)
        if not times.size or share < _LEAST_AWAY:
            return found, 1.0
        places = np.array([[each.x, each.y, each.z] for each in self.templates]).reshape(-1, 3)
        numbers = np.array([each.template for each in true], dtype=np.int64)

        def away(match: Match) -> bool:
            near = numbers[np.abs(times - match.time) <= within]
            return not same_place(near, match.template, places, self.alike, config).any()

        return [each for each in found if away(each)], share

    def shifted(
        self, data: Continuous, true: Sequence[Match], least: float, seed: int, there: OnDevice | None = None
    ) -> tuple[list[float], float]:
        """What fits on stations that are shifted against each other: value over threshold of each, and in how many s.

        The recordings are changed by it. ``true`` is what was found before; see ``Shifted.without_known``.
        """
        config, min_live = self.config.matches, self.config.filter.min_live
        shifted = shift_recordings(data, seed, least)
        if shifted is None:
            return [], 0.0
        if there is not None and there.data is not None:
            first = round((shifted.data.start - data.start) / data.interval)
            with there.device.lock:
                moved = there.data.shifted(first, shifted.data.samples, shifted.shifts)
            there = OnDevice(there.device, moved)
        found = self.peaks(shifted.data, NULL_FLOOR, there=there)
        left = shifted.without_known(found.peaks, true, self.templates, self.alike, config, min_live)
        heights = [each.value / each.threshold for each in self.merged(left)]
        return [each for each in heights if each >= NULL_FLOOR], found.live * shifted.share(
            true, config, min_live
        )


@dataclass(eq=False)
class _Found:
    """Peaks of all templates, how many s were searched, and why templates were not used."""

    peaks: list[Match]
    live: float
    refused: dict[str, str]


@dataclass(eq=False)
class _Null:
    """What templates find where no earthquake can be: value over threshold of each, and in how many s."""

    heights: list[float] = field(default_factory=list)
    live: float = 0.0

    def expected(self, live: float) -> float | None:
        """How many false matches are expected in a time; None where nothing was searched."""
        count = sum(height >= 1 for height in self.heights)
        return round(count * live / self.live, 2) if self.live > 0 else None


def match_day(
    survey: Survey, config: MatchingConfig, day: Day, threads: int, progress: Callable[[float], None]
) -> dict[str, Any]:
    """Find where templates fit.

    Returns
    -------
    dict
        ``matches``; ``null``, those of reversed templates, and ``shifted``, those of shifted stations, that are
        expected in the same time (None where not searched); ``problems``; ``refused`` templates.
    """
    survey = survey.of(day)
    project, task = survey.project, match_task(survey, config, day)
    done = project.done(task)
    if done is not None:
        return done
    begun = project.begin(task)
    templates, alike = read_templates(templates_path(survey))
    start, end = _span(survey, config, day)
    matched = MatchedFilter(templates, alike, config, threads, device_of(project))
    detections: list[Detection] = []
    problems: list[list[str]] = []
    refused: dict[str, str] = {}
    reverse, shifted = _Null(), _Null()
    live = 0.0
    step = max(config.chunk, 4 * (end - survey.end_of(day)))
    length = survey.end_of(day) - day.start
    edges = np.linspace(day.start, survey.end_of(day), int(np.ceil(length / step)) + 1).tolist()
    chunks = list(pairwise(edges)) if templates else []
    for number, (first, last) in enumerate(chunks):
        around = day.start - start
        # from whole samples since 1970 on: neighbours see a match at one time, and one of them owns it
        begin = np.floor((first - around) / config.recordings.interval) * config.recordings.interval
        data, there, faults = _recordings(survey, config, (float(begin), last + around), matched.device)
        problems.append(faults)
        if not data.live.any():
            continue
        found = matched.peaks(data, there=there)
        refused |= found.refused
        true = matched.merged(found.peaks)
        searched = found.live * (last - first) / (data.samples * data.interval)
        live += searched
        owned = [each for each in true if first <= each.time < last]
        detections += _described(survey, config, data, templates, owned)
        if config.matches.reversed_templates:
            null, away = matched.backwards(data, true, there)
            reverse.heights += [each.value / each.threshold for each in null if first <= each.time < last]
            reverse.live += searched * away
        if config.matches.shifted_stations:
            least = config.templates.padding + survey.longest
            heights, seconds = matched.shifted(data, true, least, abs(int(begin)), there)
            shifted.heights += heights
            shifted.live += seconds
        progress((number + 1) / len(chunks))
    detections = _judged(detections, (reverse, shifted), config.matches.threshold)
    catalog = Catalog(survey.projection, named(detections), day.start, survey.end_of(day), live / 86400)
    save_catalog(matched_path(survey, day), catalog)
    results = {
        "matches": len(detections),
        "null": reverse.expected(live),
        "shifted": shifted.expected(live),
        "problems": told_once(problems),
        "refused": refused,
    }
    project.record(task, [matched_path(survey, day)], results, begun)
    return results


def _recordings(
    survey: Survey, config: MatchingConfig, span: tuple[float, float], device: Device | None
) -> tuple[Continuous, OnDevice | None, list[str]]:
    """Recordings of a time on the host, for arrivals and sizes, and on the GPU, for correlations."""
    if device is None:
        (data,), faults = survey.recordings(*span, [config.recordings])
        return data, None, faults
    (there,), faults = device_recordings(survey, *span, [config.recordings], device)
    with device.lock:
        return there.on_host(), OnDevice(device, there), faults


def _searched(share: LiveShare, count: int, least: float) -> float:
    """Samples at which enough of the weights of a template is live."""
    lengths = np.diff(np.minimum(np.append(share.starts, count), count))
    return float(lengths[share.shares >= least].sum())


def _peaks(
    data: Continuous,
    found: tuple[int, FloatArray, LiveShare],
    least: float,
    config: MatchConfig,
    part: float,
) -> list[Match]:
    """Peaks of one correlation above a part of its threshold.

    A mean over fewer channels scatters more: where only a share is live, more is asked for. The threshold is worked out
    only at samples above the lowest it has anywhere, which are few.
    """
    number, cc, share = found
    stride, levels = _levels(cc, share, least, data.interval, config.threshold)
    high = np.flatnonzero(cc > part * levels.min())
    shares = share.at(high)
    high, shares = high[shares >= least], shares[shares >= least]
    limits = part * np.interp(high / stride, np.arange(levels.size), levels).astype(np.float32)
    limits /= np.sqrt(shares)
    above = cc[high] > limits
    tops = tops_among(cc, high[above])
    places = spaced(tops, cc[tops], max(1, round(config.separation / data.interval)))
    limit_at = dict(zip(high.tolist(), limits, strict=True))
    return [
        Match(
            data.start + place * data.interval,
            number,
            float(cc[place]),
            float(limit_at[place] / part),
            top_between_samples(cc, place) * data.interval,
        )
        for place in places.tolist()
    ]


def _levels(
    cc: FloatArray, share: LiveShare, least: float, interval: float, config: ThresholdConfig
) -> tuple[int, FloatArray]:
    """The threshold of a correlation at every so manieth sample: the median of thousands does not need them all."""
    stride = median_stride(config.window, interval)
    if config.kind == "rate":  # what false alarms reach so often is known when all is searched
        config = replace(config, kind="mad")
    alive = share.at(np.arange(0, cc.size, stride)) >= least
    if not alive.any():
        return stride, np.full(1, np.inf, dtype=np.float32)
    return stride, threshold(cc[::stride], alive, interval * stride, config)


def _described(
    survey: Survey,
    config: MatchingConfig,
    data: Continuous,
    templates: Sequence[Template],
    matches: Sequence[Match],
) -> list[Detection]:
    """Matches as detections at the places of their templates, with arrivals and magnitudes."""
    lags = max(2, round(config.matches.max_shift / data.interval))
    detections = []
    for number in sorted({match.template for match in matches}):
        template = templates[number]
        own = [match for match in matches if match.template == number]
        for first in range(0, len(own), _AT_ONCE):
            some = own[first : first + _AT_ONCE]
            shifts = cc_channels(data, template, [match.time for match in some], lags)
            detections += [
                _detection(survey, config, data, template, (match, place, shifts))
                for place, match in enumerate(some)
            ]
    return detections


def _detection(
    survey: Survey,
    config: MatchingConfig,
    data: Continuous,
    template: Template,
    found: tuple[Match, int, ChannelCorrelations],
) -> Detection:
    """One match; its origin time is that of the template, which need not lie on a sample."""
    match, place, shifts = found
    time = match.time + match.shift + _off_sample(template)
    return Detection(
        id="",
        time=time,
        x=template.x,
        y=template.y,
        z=template.z,
        method="template",
        value=match.value,
        threshold=match.threshold,
        magnitude=_magnitude(survey, data, template, shifts, place, match.time),
        template=template.id,
        arrivals=_arrivals(survey, template, (shifts, place, match.shift), time, config.matches),
        remark=f"correlation {match.value:.2f} above its threshold {match.threshold:.2f}",
    )


def _off_sample(template: Template) -> float:
    """What the rounding of moveouts to samples takes off all windows together, in s."""
    moveouts = template.moveouts[template.weights > 0] / template.interval
    return float(np.median(np.rint(moveouts) - moveouts)) * template.interval


def _arrivals(
    survey: Survey,
    template: Template,
    found_shifts: tuple[ChannelCorrelations, int, float],
    time: float,
    config: MatchConfig,
) -> tuple[Arrival, ...]:
    """Arrivals of a match: those predicted for the template, moved by the lag of its best channel of that phase."""
    times = survey.travel_times(np.array([[template.x, template.y, template.z]]))[0][..., 0]
    rows = {each.id: number for number, each in enumerate(survey.stations)}
    found: dict[tuple[str, str], Arrival] = {}
    shifts, place, apart = found_shifts
    peak, shift = shifts.peak[place], shifts.shift[place] - apart  # lags were measured from the sample
    for station, channel in np.argwhere((template.weights > 0) & (peak >= config.min_arrival)):
        name, phase = template.stations[station].id, str(template.phases[station, channel])
        value, late = float(peak[station, channel]), float(shift[station, channel])
        if (
            name not in rows
            or not np.isfinite(late)
            or ((name, phase) in found and found[name, phase].weight >= value)
        ):
            continue
        predicted = time + float(times[rows[name], survey.phases.index(phase)])
        found[name, phase] = Arrival(name, phase, predicted + late, late, min(value, 1.0))
    return tuple(found[key] for key in sorted(found))


def _magnitude(
    survey: Survey, data: Continuous, template: Template, shifts: ChannelCorrelations, place: int, time: float
) -> Magnitude | None:
    """How much larger a match is than its template; the catalog adds the size of that."""
    windows = np.zeros(template.waveforms.shape)
    live = np.zeros(template.weights.shape, dtype=np.bool_)
    noise = np.full(template.weights.shape, np.nan)
    rows = {each.id: number for number, each in enumerate(data.stations)}
    columns = {component: number for number, component in enumerate(data.components)}
    first = round((time - data.start) / data.interval)
    for station, channel in np.argwhere(template.weights > 0):
        row, column = rows.get(template.stations[station].id), columns.get(template.components[channel])
        if row is None or column is None:
            continue
        late = shifts.shift[place, station, channel]
        move = template.moveouts[station, channel] + (late if np.isfinite(late) else 0.0)
        begin = first + round(move / data.interval)
        end = begin + int(template.lengths[station, channel])
        if begin < 0 or end > data.samples or not data.live[row, column, begin:end].all():
            continue
        windows[station, channel, : end - begin] = data.data[row, column, begin:end]
        live[station, channel] = True
        quiet = data.data[row, column, max(0, first - (end - begin)) : first]
        if first > 0 and data.live[row, column, max(0, first - (end - begin)) : first].all() and quiet.size:
            noise[station, channel] = float((quiet.astype(np.float64) ** 2).mean())
    reference = Magnitude(0.0, 0.0, "Mrel", int(live.any(axis=1).sum()))
    return relative_magnitude(
        windows, template.waveforms, live, noise, reference, survey.config.relative_magnitude
    )


def _judged(detections: list[Detection], nulls: Sequence[_Null], config: ThresholdConfig) -> list[Detection]:
    """Detections with the rate of false alarms: the larger of those that reversed templates and shifted stations tell.

    Those above a wanted rate are left out.
    """
    ratios = np.array([each.value / each.threshold for each in detections])
    known: list[FloatArray] = []
    for null in nulls:
        if len(null.heights) >= 2 and null.live > 0:
            try:
                known.append(false_alarms(ratios, NullPeaks(np.array(null.heights), null.live)))
            except PhysicsError:  # the highest are all equal: they have no tail
                continue
    if not known:
        return detections
    rates = np.max(known, axis=0)
    most = config.rate if config.kind == "rate" and config.rate is not None else np.inf
    return [
        replace(
            each,
            false_alarm_rate=float(rate),
            remark=f"{each.remark}; {rate:.2g} false alarms a day are expected with as much",
        )
        for each, rate in zip(detections, rates, strict=True)
        if rate <= most
    ]
