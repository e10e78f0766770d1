"""Noise gives about as many detections as shifted stations and reversed templates foretell."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_network as tn

from seisflow.detection.threshold import ThresholdConfig
from seisflow.domain import Detection
from seisflow.io.beam_files import read_beam
from seisflow.io.catalog_files import load_catalog
from seisflow.io.template_files import read_templates
from seisflow.project import Project
from seisflow.steps.detect import match as match_step
from seisflow.steps.detect.day import beam_path, found_path, run_day
from seisflow.steps.detect.match import match_day, matched_path
from seisflow.steps.detect.survey import Survey
from seisflow.steps.detect.templates import templates_path


def quiet(fraction: float) -> None:
    """Nobody watches."""


def of_noise(folder: Path, number: int, *changes: tuple[str, str]) -> Survey:
    root = folder / f"noise{number}"
    tn.build(root, (), seed=100 + number)
    for old, new in changes:
        tiny.change_config(root, old, new)
    return Survey.open(Project.open(root), threads=2)


def check_counts(found: int, foretold: float) -> None:
    """Two counts of the same rate, within three standard deviations of their difference."""
    assert foretold > 15, "too few for a test"
    assert abs(found - foretold) < 3 * np.sqrt(found + foretold)


@pytest.mark.slow
def test_shifted_stations_foretell_what_the_beam_finds_in_noise(tmp_path):
    found, foretold = 0, 0.0
    for number in range(3):
        survey = of_noise(
            tmp_path,
            number,
            ("{mad: 14, window: 120}", "{kind: constant, constant: 0.5}"),
            ("separation: 3", "nulls: 3\n  separation: 3"),
        )
        for day in survey.days():
            run_day(survey, day, 2, quiet)
            detections = load_catalog(found_path(survey, day))
            stored = read_beam(beam_path(survey, day))
            found += len(detections)
            foretold += float((stored.null > 0.5).sum()) * detections.live_days * 86400 / stored.null_duration
            rates = np.array([each.false_alarm_rate for each in detections])
            values = np.array([each.value for each in detections])
            assert (np.diff(rates[np.argsort(values)]) <= 0).all() and (rates > 0).all()
    check_counts(found, foretold)


@pytest.mark.slow
def test_reversed_templates_and_shifted_stations_foretell_what_templates_find_in_noise(
    tmp_path, network_done_source
):
    found, foretold, shifted, expected = 0, 0.0, 0.0, 0.0
    for number in range(3):
        survey = of_noise(
            tmp_path, number, ("mad: 9", "mad: 4.5"), ("max_shift: 0.1", "max_shift: 0.1, separation: 0.3")
        )
        matching = survey.config.matching
        for day in survey.days():
            target = matched_path(survey, day).parents[1] / "templates.h5"
            target.parent.mkdir(exist_ok=True, parents=True)
            shutil.copy(network_done_source / "detection" / "templates.h5", target)
            results = match_day(survey, matching, day, 2, quiet)
            found += results["matches"]
            foretold += results["null"]
            shifted += results["shifted"]
            catalog = load_catalog(matched_path(survey, day))
            rates = [each.false_alarm_rate for each in catalog]
            expected += max(rates) * catalog.live_days
    check_counts(found, foretold)
    check_counts(found, shifted)
    check_counts(found, expected)


def test_a_template_that_fits_its_own_earthquake_backwards_is_no_false_alarm(network_done_source):
    survey = Survey.open(Project.open(network_done_source), None, 1)
    templates, alike = read_templates(templates_path(survey))
    matched = match_step.MatchedFilter(templates, alike, survey.config.matching, 1)
    (data,), _ = survey.recordings(survey.start, survey.end, [survey.config.matching.recordings])
    true = matched.merged(matched.peaks(data).peaks)
    every = matched.merged(matched.peaks(data, match_step.NULL_FLOOR, backwards=True).peaks)
    left, share = matched.backwards(data, true)
    within = 3.0  # the longest window
    times = np.array([each.time for each in true])
    assert left == [each for each in every if np.abs(times - each.time).min() > within]
    moments = np.arange(data.start, survey.end, 0.01)
    free = np.abs(moments[:, None] - times).min(axis=1) > within
    assert share == pytest.approx(free.mean(), abs=0.02) and 0.25 < share < 1
    assert matched.backwards(data, []) == (every, 1.0)


def test_the_share_of_false_alarms_of_real_detections_is_small(network_done_source):
    catalog = load_catalog(network_done_source / "detection" / "catalog.h5")
    rates = np.array([each.false_alarm_rate for each in catalog if each.method == "beam"])
    assert (rates * catalog.live_days < 0.01).all()


def test_the_larger_of_two_rates_is_written():
    found = [
        Detection(f"e{n}", 1.7e9 + n, 0.0, 0.0, 5000.0, "template", value=ratio, threshold=1.0, remark="fits")
        for n, ratio in enumerate((1.045, 1.55, 2.05))
    ]
    many, high = np.linspace(0.7, 1.3, 61).tolist(), [0.8, 0.9, 1.6, 1.7]
    nulls = (match_step._Null(many, 86400.0), match_step._Null(high, 86400.0))
    config = ThresholdConfig()
    rates = [each.false_alarm_rate for each in match_step._judged(found, nulls, config)]
    assert rates[0] == 26 and rates[1] == 2 and 0 < rates[2] < 1
    alone = [[one.false_alarm_rate for one in match_step._judged(found, (null,), config)] for null in nulls]
    np.testing.assert_allclose(rates, np.max(alone, axis=0))
    nothing = match_step._judged(found, (match_step._Null(), nulls[1]), config)
    assert [each.false_alarm_rate for each in nothing] == alone[1]
    assert match_step._judged(found, (match_step._Null(), match_step._Null()), config) == found
    kept = match_step._judged(found, nulls, ThresholdConfig(kind="rate", rate=1.0))
    assert [each.id for each in kept] == ["e2"]
