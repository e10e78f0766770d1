"""Faults of recordings are told once, however many parts of a day and channels have them."""

from seisflow.steps.detect.faults import told_apart, told_once

DEAD = "XX.A10: {}.HHZ stands still for {} s in runs of 10 s and more; they count as gaps"
SHORT = "XX.B: .HH{} has {} stretches shorter than 10 s, in all {} s, which were dropped"


def test_what_differs_in_numbers_or_channels_is_one_thing():
    parts = [
        [DEAD.format("", 1203.95), DEAD.format("", 1204.35), *(SHORT.format(c, 1, 3.46) for c in "ENZ")],
        [DEAD.format("", 1190.8), "XX.C3: nothing was recorded in this span"],
        [DEAD.format("", 7), *(SHORT.format(c, 2, 3.46) for c in "ENZ")],
    ]
    assert told_once(parts) == [
        DEAD.format("", "7 to 1204.35"),
        SHORT.format("E", "1 to 2", 3.46) + " (in 2 of 3 parts of the day) (also .HHN, .HHZ)",
        "XX.C3: nothing was recorded in this span (in 1 of 3 parts of the day)",
    ]


def test_what_names_other_stations_files_or_faults_stays_apart():
    lines = [
        "XX.A1: nothing was recorded in this span",
        "XX.A2: nothing was recorded in this span",
        "archive/2026.060.mseed cannot be read",
        "archive/2026.061.mseed cannot be read",
        "XX.A1: 00.HHZ recorded nothing in this span",
        "XX.A1: 10.HHZ has gaps",
    ]
    assert told_once([lines]) == lines
    assert told_once([[], []]) == []


def test_what_another_step_says_again_is_left_out():
    first = told_once([[SHORT.format(c, 1, 3.46) for c in "EN"], [SHORT.format(c, 2, 9) for c in "EN"]])
    again = [SHORT.format("N", 3, 12.5), SHORT.format("Z", 3, 12.5), "XX.D: no metadata describe it"]
    assert told_apart(first, again) == [*first, *again[1:]]
    half = told_once([[DEAD.format("", 3)], []])
    assert told_apart(half, [DEAD.format("", 3600)]) == half
