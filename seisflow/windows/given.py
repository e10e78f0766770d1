"""Windows whose bounds are given: from another stage, or by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from seisflow.domain import Event, Gather, Rejection, Window, WindowEdit
from seisflow.windows.arrivals import PhaseTimes
from seisflow.windows.config import WindowConfig
from seisflow.windows.select import measure_spans

__all__ = ["BY_HAND", "Pair", "carried_over", "edited"]

BY_HAND = "by hand"
"""Stage of the rejections that people asked for."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Seismograms that are compared, and how: as the arguments of ``select_all``."""

    observed: Gather
    synthetic: Gather
    event: Event
    config: WindowConfig
    band: tuple[float, float]
    times: PhaseTimes | None = None

    def measured(self, windows: Sequence[Window], *, judge: bool) -> tuple[list[Window], list[Rejection]]:
        """Lag, amplitude, correlation and waves of windows of which only the bounds are known.

        Parameters
        ----------
        windows : sequence of Window
        judge : bool
            Whether the limits on noise and fit hold for them.
        """
        settings = self.event, self.config, self.band, self.times
        return measure_spans(self.observed, self.synthetic, settings, windows, judge=judge)


def carried_over(windows: Sequence[Window], pair: Pair) -> tuple[list[Window], list[Rejection]]:
    """Take windows over from another stage: the same bounds, measured anew, held to the limits on noise and fit.

    Parameters
    ----------
    windows : sequence of Window
    pair : Pair

    Returns
    -------
    list of Window
        Those set by hand are not held to limits.
    list of Rejection
    """
    free = [window for window in windows if window.by_hand]
    found, lost = pair.measured([window for window in windows if not window.by_hand], judge=True)
    kept, gone = pair.measured(free, judge=False)
    order = {station.id: number for number, station in enumerate(pair.observed.stations)}
    return sorted([*found, *kept], key=lambda each: _place(each, order, pair.observed)), [*lost, *gone]


def edited(
    windows: Sequence[Window], edits: Sequence[WindowEdit], pair: Pair
) -> tuple[list[Window], list[Rejection]]:
    """Apply what people asked for, in the order given.

    A window is dropped with a span if they share half of either at least. A window that is set takes the place of all
    that overlap it; no limit holds for it.

    Parameters
    ----------
    windows : sequence of Window
    edits : sequence of WindowEdit
        Those of the event, the iteration and the band.
    pair : Pair

    Returns
    -------
    list of Window
        By station, component, time.
    list of Rejection
        What was dropped, stage ``BY_HAND``.
    """
    left, lost = list(windows), []
    order = {station.id: number for number, station in enumerate(pair.observed.stations)}
    for edit in edits:
        if edit.station not in order:
            continue  # without a recording of this event
        if edit.drop:
            gone = [window for window in left if _is_meant(edit, window)]
            lost += [_dropped(window, f"dropped: {edit.reason}") for window in gone]
            left = [window for window in left if window not in gone]
        else:
            left, gone_too = _set(left, edit, pair)
            lost += gone_too
    return sorted(left, key=lambda each: _place(each, order, pair.observed)), lost


def _place(window: Window, order: dict[str, int], gather: Gather) -> tuple[int, int, float]:
    return order[window.station], gather.components.index(window.component), window.start


def _dropped(window: Window, reason: str) -> Rejection:
    return Rejection(window.station, window.component, BY_HAND, reason, window.start, window.end)


def _is_meant(edit: WindowEdit, window: Window) -> bool:
    if edit.station != window.station or edit.component not in (None, window.component):
        return False
    if edit.span is None:
        return True
    shared = min(edit.span[1], window.end) - max(edit.span[0], window.start)
    shorter = min(edit.span[1] - edit.span[0], window.end - window.start)
    return shared > 0 and shared >= 0.5 * shorter


def _set(windows: list[Window], edit: WindowEdit, pair: Pair) -> tuple[list[Window], list[Rejection]]:
    """One window where the edit wants it."""
    if edit.span is None or edit.component not in pair.observed.components:
        return windows, []
    start, step = pair.observed.start, pair.observed.interval
    first, last = (round((time - start) / step) for time in edit.span)
    span = start + step * first, start + step * last
    note = f"set: {edit.reason}"
    mine = [each for each in windows if (each.station, each.component) == (edit.station, edit.component)]
    same = [each for each in mine if np.allclose((each.start, each.end), span, atol=0.5 * step, rtol=0)]
    if same and same[0].by_hand == note:
        return windows, []  # it is there since an earlier iteration, frozen
    over = [each for each in mine if min(each.end, span[1]) > max(each.start, span[0])]
    wanted = Window(edit.station, edit.component or "", *span)
    found, lost = pair.measured([wanted], judge=False)
    if not found:
        return windows, [replace(each, stage=BY_HAND, reason=f"{note}; but {each.reason}") for each in lost]
    gone = [_dropped(each, f"another window is {note}") for each in over if each not in same]
    left = [each for each in windows if each not in over and each not in same]
    return [*left, replace(found[0], by_hand=note)], gone
