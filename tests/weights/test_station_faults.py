"""Stations whose recordings are wrong over several events."""

from __future__ import annotations

import numpy as np

from seisflow.domain import TraceFit
from seisflow.weights import station_faults, station_rows

PERIODS = {0: 5.0}


def traces(seed: int = 1, events: int = 6, stations: int = 10, **odd) -> dict[str, list[TraceFit]]:
    """Fits of good stations; those named in ``odd`` have a delay (s), a gain (ln) or a sign of their own."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[TraceFit]] = {}
    for event in range(events):
        origin = 0.6 * rng.standard_normal()  # of the origin time: common to all stations of the event
        rows = []
        for number in range(stations):
            name = f"S{number}"
            wrong = odd.get(name, {})
            site = 0.15 * rng.standard_normal()
            for component in "ENZ":
                lag = origin + site + 0.05 * rng.standard_normal() + wrong.get("delay", 0.0)
                dlna = 0.3 * rng.standard_normal() + wrong.get("gain", 0.0)
                fit, other = 0.9, 0.6
                if component in wrong.get("reversed", ""):
                    fit, other = other, fit
                rows.append(TraceFit(f"XX.{name}", component, 0, fit, lag, other, lag, dlna))
        found[f"e{event}"] = rows
    return found


def test_good_stations_have_no_faults():
    for seed in range(20):
        assert station_faults(traces(seed), PERIODS) == []


def test_a_reversed_channel_is_named_with_the_events():
    (fault,) = station_faults(traces(S3={"reversed": "Z"}), PERIODS)
    assert (fault.station, fault.kind) == ("XX.S3", "polarity")
    assert "Z reversed on 6 of 6 events" in fault.evidence and fault.correction == "XX.S3: {reversed: [Z]}"


def test_a_late_clock_is_told_from_origin_times_and_from_one_late_component():
    (fault,) = station_faults(traces(S4={"delay": 1.3}), PERIODS)
    assert (fault.station, fault.kind) == ("XX.S4", "clock") and "s late on 6 events" in fault.evidence
    assert abs(float(fault.correction.split("late: ")[1].rstrip("}")) - 1.3) < 0.25
    events = traces()
    for rows in events.values():  # a late T wave is Earth, not the clock
        rows[:] = [
            row
            if (row.station, row.component) != ("XX.S4", "E")
            else TraceFit("XX.S4", "E", 0, 0.9, row.shift + 1.5, 0.6, row.shift, row.dlna)
            for row in rows
        ]
    assert station_faults(events, PERIODS) == []


def test_a_wrong_gain_is_named_and_can_be_corrected():
    (fault,) = station_faults(traces(S5={"gain": np.log(10.0)}), PERIODS)
    assert (fault.station, fault.kind) == ("XX.S5", "gain")
    assert abs(float(fault.correction.split("gain: ")[1].rstrip("}")) / 10 - 1) < 0.3


def test_wrong_units_of_everything_are_named():
    odd = {f"S{number}": {"gain": np.log(1e9)} for number in range(10)}
    (fault,) = station_faults(traces(**odd), PERIODS, "velocity")
    assert (fault.station, fault.kind) == ("*", "units") and "data.observed (velocity)" in fault.correction


def test_two_events_are_no_evidence():
    assert station_faults(traces(events=2, S3={"reversed": "Z", "delay": 3.0}), PERIODS) == []


def test_rows_count_against_the_median_of_each_event():
    rows = station_rows(traces(S4={"delay": 1.3}))
    late = {row.station: row.delay for row in rows if row.component == "Z"}
    assert len(rows) == 30 and abs(late["XX.S4"] - 1.3) < 0.25
    assert max(abs(value) for name, value in late.items() if name != "XX.S4") < 0.3
