"""What a search for earthquakes withstands: nothing found, nothing linked, few stations, one phase, parts of days."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import yaml
from obspy import Stream, Trace, UTCDateTime, read
from obspy.core.inventory import Channel, Inventory, Network, Site
from obspy.core.inventory import Station as StationXML
from seisflow.workflows.detect import detect

from seisflow.detection.correlation import correlate
from seisflow.detection.features import FeatureConfig, make_features
from seisflow.detection.location import LocationConfig, locate
from seisflow.detection.matches import MatchConfig
from seisflow.detection.templates import PhaseWindow, TemplateConfig, cut_template, select, stack_group
from seisflow.domain import Catalog, Continuous, Detection, Features, Grid, Model, Projection, Station
from seisflow.errors import SeisflowError
from seisflow.io.catalog_files import load_catalog
from seisflow.io.models import write_model
from seisflow.io.stations import write_inventory
from seisflow.io.template_files import read_templates
from seisflow.project import Project
from seisflow.steps.detect.catalog import _expected, _once
from seisflow.steps.detect.day import beam_task
from seisflow.steps.detect.match import _off_sample
from seisflow.steps.detect.survey import Survey, parts_of

VP, VS = 3000.0, 1700.0
START = UTCDateTime("2020-05-01T12:00:00")
PLACES = {
    "AA": (-2000, -1500),
    "BB": (2000, -1800),
    "CC": (1800, 2100),
    "DD": (-1900, 1700),
    "EE": (100, 200),
}
QUAKES = [(40.0, (300, -200, 1500)), (70.0, (320, -210, 1500)), (100.0, (-900, 700, 1100))]


def settings(**changes):
    recordings = {"interval": 0.02, "band": [2, 15], "min_stretch": 2, "flat": 2}
    windows = {
        "P": {"components": ["Z"], "before": 0.2, "length": 1},
        "S": {"components": ["E", "N"], "before": 0.2, "length": 1},
    }
    detection = {
        "archive": ["waveforms"],
        "search": {"depth": [0, 2500], "spacing": [250, 250, 250], "width": 4000, "height": 4000},
        "sampling": 0.02,
        "interval": 0.04,
        "separation": 2,
        "phases": {
            "P": {"components": ["Z"], "band": [2, 15], "short": 0.2, "long": 2},
            "S": {"components": ["E", "N"], "band": [2, 15], "short": 0.3, "long": 2},
        },
        "threshold": {"mad": 10, "window": 60},
        "matching": {
            "recordings": recordings,
            "templates": {"windows": windows},
            "matches": {"threshold": {"mad": 12, "window": 60}, "same_time": 2},
        },
    }
    region = {"latitude": 45, "longitude": 7, "width": 6000, "height": 6000, "depth": 3000}
    return {
        "name": "small",
        "region": {**region, "spacing": [250, 250, 250]},
        "compute": {"cores": 1},
        "pictures": False,
        "detection": {**detection, **changes},
    }


def written(project, quakes, length=150.0, stations=PLACES, **changes):
    """A project with noise and some earthquakes, one file a station."""
    (project / "waveforms").mkdir(parents=True, exist_ok=True)
    (project / "models").mkdir(exist_ok=True)
    (project / "stations").mkdir(exist_ok=True)
    (project / "seisflow.yaml").write_text(yaml.safe_dump(settings(**changes)))
    config = Project.open(project).config.region
    grid, projection = config.grid(), config.projection()
    ones = np.ones(grid.shape)
    write_model(project / "models" / "m00.nc", Model(grid, projection, VP * ones, VS * ones, 2400.0 * ones))
    found = []
    rng = np.random.default_rng(3)
    count = int(length / 0.02)
    for name, (x, y) in stations.items():
        latitude, longitude = projection.to_geographic(x, y)
        channels = [
            Channel(f"HH{c}", "", latitude, longitude, 0, 0, azimuth=a, dip=d, sample_rate=50)
            for c, a, d in (("Z", 0, -90), ("N", 0, 0), ("E", 90, 0))
        ]
        found.append(StationXML(name, latitude, longitude, 0, channels=channels, site=Site("here")))
        stream = Stream()
        for component in "ZNE":
            data = rng.standard_normal(count)
            speed = VP if component == "Z" else VS
            for origin, place in quakes:
                wave = np.random.default_rng(int(place[2]) + ord(component)).standard_normal(40)
                arrival = origin + np.linalg.norm(np.array(place) - (x, y, 0)) / speed
                first = int(np.ceil(arrival / 0.02))
                data[first : first + 40] += 40 * wave * np.exp(-np.arange(40) / 10)
            header = {"network": "XX", "station": name, "channel": f"HH{component}", "sampling_rate": 50}
            stream += Trace((100 * data).astype(np.int32), {**header, "starttime": START})
        stream.write(str(project / "waveforms" / f"{name}.mseed"), format="MSEED")
    inventory = Inventory([Network("XX", found)], source="test", created=UTCDateTime(0))
    write_inventory(project / "stations" / "XX.xml", inventory, keep=False)
    return project


def test_noise_alone_gives_an_empty_catalog(tmp_path):
    found = detect(written(tmp_path / "p", []))
    assert found.results["events"] == 0
    assert len(load_catalog(found.catalog)) == 0
    assert Project.open(tmp_path / "p").record_of("detection/templates")["results"]["templates"] == 0


def test_a_day_without_recordings_stops_nothing(tmp_path):
    root = written(tmp_path / "p", QUAKES, threshold={"kind": "rate", "rate": 100.0}, matching=None)
    two_days = (START.timestamp, START.timestamp + 86400.0)
    found = detect(root, two_days)
    assert Project.open(root).record_of("detection/2020-05-01/beam")["results"]["live"] > 0
    assert Project.open(root).record_of("detection/2020-05-02/beam") is None
    assert found.results["events"] >= 3


def test_a_catalog_that_cannot_be_relocated_stays_as_it_was(tmp_path):
    root = written(tmp_path / "p", QUAKES, relocation={"min_links": 50})
    found = detect(root)
    assert found.results["relocated"] == 0
    assert "in common" in found.results["not_relocated"]
    assert len(load_catalog(found.catalog)) >= 3


def test_templates_are_events_of_the_catalog_after_relocation(tmp_path):
    found = detect(written(tmp_path / "p", QUAKES, relocation={}))
    catalog = load_catalog(found.catalog)
    names = {each.id for each in catalog}
    used = {each.template for each in catalog if each.template}
    assert found.results["relocated"] >= 2
    assert used
    assert used <= names


def test_residuals_are_those_of_the_relocated_place(tmp_path):
    root = written(tmp_path / "p", QUAKES, relocation={})
    catalog = load_catalog(detect(root).catalog)
    survey = Survey.open(Project.open(root))
    rows = {each.id: number for number, each in enumerate(survey.stations)}
    checked = 0
    for each in catalog:
        if "; relocated by" in each.remark:
            times = survey.travel_times(np.array([each.place]))[0][..., 0]
            for arrival in each.arrivals:
                travel = times[rows[arrival.station], survey.phases.index(arrival.phase)]
                assert abs(arrival.residual - (arrival.time - each.time - travel)) < 1e-5
                checked += 1
    assert checked > 10


def test_matches_by_rate_are_those_rarer_than_asked_for(tmp_path):
    config = settings()["detection"]["matching"]
    config["matches"] = {"threshold": {"kind": "rate", "rate": 50.0, "mad": 4, "window": 60}, "same_time": 2}
    root = written(tmp_path / "p", QUAKES, matching=config)
    detect(root)
    matches = load_catalog(root / "detection" / "2020-05-01" / "matched.h5")
    assert len(matches) >= 2
    assert all(each.false_alarm_rate <= 50 for each in matches)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": {"kind": "rate", "rate": 1.0}, "nulls": 0}, "nulls"),
        ({"interval": 0.05}, "multiple"),
        ({"sampling": 0.04}, "interval"),
        ({"amplitudes": {"quantity": "velocity", "band": [2, 15]}}, "magnitude.quantity"),
    ],
)
def test_faults_of_the_configuration_show_before_work(tmp_path, changes, words):
    (tmp_path / "seisflow.yaml").write_text(yaml.safe_dump(settings(**changes)))
    with pytest.raises(SeisflowError, match=words):
        Project.open(tmp_path)


def test_expected_false_alarms_are_summed_by_day():
    projection = Projection(45.0, 7.0)
    rates = [10.0, 4.0, 200.0]
    events = [
        Detection(str(n), 86400.0 * (n // 2) + n, 0, 0, 0, "beam", false_alarm_rate=rate)
        for n, rate in enumerate(rates)
    ]
    days = [
        Catalog(projection, (), 86400.0 * n, 86400.0 * (n + 1), live) for n, live in ((0, 1.0), (1, 0.01))
    ]
    assert _expected(events, "beam", days) == 12.0  # ten in the first, two in the quarter hour of the second
    assert _expected(events, "template", days) is None


def test_one_phase_two_stations(tmp_path):
    root = written(
        tmp_path / "p",
        QUAKES,
        stations={name: PLACES[name] for name in ("AA", "CC")},
        phases={"P": settings()["detection"]["phases"]["P"]},
        backprojection={"min_stations": 2},
    )
    found = detect(root)
    assert found.results["beam"] >= 1


def test_parts_are_equal_and_cover_everything():
    parts = parts_of(1003, 100)
    lengths = {end - first for first, end in parts}
    assert parts[0][0] == 0
    assert parts[-1][1] == 1003
    assert lengths <= {91, 92}
    assert all(a[1] == b[0] for a, b in pairwise(parts))
    assert parts_of(5, 100) == [(0, 5)]


def test_what_only_later_steps_use_leaves_the_beam(tmp_path):
    root = written(tmp_path / "p", [], matching=None)
    detect(root)
    before = (
        Project.open(root).record_of("detection/2020-05-01/beam")["finished"],
        (root / "detection" / "2020-05-01" / "beam.json").stat().st_mtime_ns,
    )
    config = settings(matching=None, neighbours={"most": 3}, relative_magnitude={"slope": 0.7})
    (root / "seisflow.yaml").write_text(yaml.safe_dump(config))
    detect(root)
    after = (
        Project.open(root).record_of("detection/2020-05-01/beam")["finished"],
        (root / "detection" / "2020-05-01" / "beam.json").stat().st_mtime_ns,
    )
    assert before == after


def test_a_file_that_only_filters_read_is_an_input(tmp_path):
    root = written(tmp_path / "p", [], matching=None)
    reached = START.timestamp + 150 + 2 * 2 + 0.2 + 1.0  # the beam needs nothing before it, the filter does
    copy = root / "waveforms" / "later.mseed"
    stream = read(str(root / "waveforms" / "AA.mseed"))
    for trace in stream:
        trace.stats.starttime = START + 170
    stream.write(str(copy), format="MSEED")
    survey = Survey.open(Project.open(root), (reached, reached + 60), 1)
    names = beam_task(survey, survey.days()[0]).inputs
    assert {name.rpartition("/")[2] for name in names if name.startswith("recording")} >= {"AA.mseed"}


# --- pieces


def _features():
    stations = tuple(f"XX.{n}" for n in range(8))
    rng = np.random.default_rng(0)
    values = 0.1 * rng.standard_normal((8, 2, 600)).astype(np.float32)
    return stations, values


def test_onsets_of_stations_that_the_beam_leaves_out_count_for_nothing():
    names, values = _features()
    x = np.linspace(-3000, 3000, 8)
    y = 1500.0 * (-1.0) ** np.arange(8)

    def travel(points):
        offset = points[None] - np.stack([x, y, 0 * x], axis=1)[:, None]
        distance = np.sqrt((offset**2).sum(axis=2))
        speeds = np.array([3000.0, 1700.0])
        slopes = offset[:, None] / distance[:, None, :, None] / speeds[None, :, None, None]
        return distance[:, None] / speeds[None, :, None], slopes

    place = np.array([[200.0, 100.0, 1500.0]])
    times = travel(place)[0][..., 0]
    for s, p in np.ndindex(times.shape):
        late = 0.1 if s >= 6 else 0.0  # two stations of another event
        where = (2.0 + times[s, p] + late) / 0.02
        values[s, p] += 5 * np.maximum(0, 1 - np.abs(np.arange(600) - where) / 3)
    features = Features(names, ("P", "S"), values, np.ones(values.shape, bool), 0.0, 0.02)
    weights = np.ones((8, 2))
    weights[6:] = 0
    grid = Grid((-4000.0, -4000.0, 0.0), (400.0, 400.0, 400.0), (21, 21, 9))
    node = int(np.ravel_multi_index((10, 10, 4), grid.shape))
    found = locate(features, travel, grid, (2.0, node), LocationConfig(), weights)
    assert {arrival.station for arrival in found.arrivals} == set(names[:6])


def test_an_event_at_a_station_is_located():
    names, values = _features()
    x = np.linspace(-3000, 3000, 7)
    x = np.append(x, 0.0)
    y = np.append(1500.0 * (-1.0) ** np.arange(7), 0.0)

    def travel(points):
        offset = points[None] - np.stack([x, y, 0 * x], axis=1)[:, None]
        distance = np.sqrt((offset**2).sum(axis=2))
        unit = np.divide(
            offset, distance[..., None], out=np.zeros_like(offset), where=distance[..., None] > 0
        )
        speeds = np.array([3000.0, 1700.0])
        slopes = unit[:, None] / speeds[None, :, None, None]
        return distance[:, None] / speeds[None, :, None], slopes

    times = travel(np.array([[30.0, 20.0, 40.0]]))[0][..., 0]
    for s, p in np.ndindex(times.shape):
        values[s, p] += 5 * np.maximum(0, 1 - np.abs(np.arange(600) - (2.0 + times[s, p]) / 0.02) / 3)
    features = Features(names, ("P", "S"), values, np.ones(values.shape, bool), 0.0, 0.02)
    grid = Grid((-4000.0, -4000.0, 0.0), (400.0, 400.0, 400.0), (21, 21, 9))
    node = int(np.ravel_multi_index((10, 10, 0), grid.shape))  # at the last station
    found = locate(features, travel, grid, (2.0, node), LocationConfig(), np.ones((8, 2)))
    assert np.hypot(found.x - 30, found.y - 20) < 100
    assert found.beam > 3


STATIONS = tuple(Station("XX", name, 0, 0, 0, 0) for name in ("A", "B", "C"))


def _template_config(**changes):
    return TemplateConfig(windows={"P": PhaseWindow(("Z",), 0.2, 1.0)}, min_channels=1, **changes)


def _pair(late):
    """Two equal events, the second with a wrong origin time; the first without a signal at the last station."""
    rng = np.random.default_rng(1)
    data = 0.01 * rng.standard_normal((3, 1, 4000))
    wave = rng.standard_normal(40)
    for number, first in enumerate((1000, 2000)):
        for station in range(3):
            if number == 0 and station == 2:
                continue
            begin = first + 100 + 20 * station
            data[station, 0, begin : begin + 40] += wave
    live = np.ones(data.shape, bool)
    recordings = Continuous(STATIONS, ("Z",), data.astype(np.float32), live, 0.0, 0.02)
    times = np.array([[2.0], [2.4], [2.8]])
    events = [Detection("a", 20.0, 0, 0, 0, "beam"), Detection("b", 40.0 + late, 0, 0, 0, "beam")]
    return [cut_template(recordings, event, times, ("P",), _template_config()) for event in events]


@pytest.mark.parametrize("late", [0.0, 0.1, -0.06])
def test_a_channel_that_only_another_event_has_keeps_its_moveout(late):
    cut = _pair(late)
    lag = round(-late / 0.02)  # samples by which the second lies behind the first
    stacked = stack_group(cut, np.array([0, lag]), _template_config())
    assert stacked.weights[2, 0] == 1
    np.testing.assert_allclose(stacked.moveouts[:, 0], [1.8, 2.2, 2.6], atol=1e-6)


def test_moveouts_of_an_origin_between_samples_round_alike():
    rng = np.random.default_rng(1)
    data = rng.standard_normal((3, 1, 4000)).astype(np.float32)
    data[:, :, 1100:] *= 10
    recordings = Continuous(STATIONS, ("Z",), data, np.ones(data.shape, bool), 1.2e9, 0.02)
    times = np.array([[2.203], [2.281], [2.427]])
    template = cut_template(
        recordings, Detection("a", 1.2e9 + 20.01, 0, 0, 0, "beam"), times, ("P",), _template_config()
    )
    samples = np.rint(template.moveouts[:, 0] / 0.02)
    begins = np.array([np.rint((20.01 + t - 0.2) / 0.02) for t in times[:, 0]])
    assert np.ptp(begins - samples) == 0


def test_time_of_a_match_is_that_of_the_template_between_samples():
    rng = np.random.default_rng(2)
    data = 0.01 * rng.standard_normal((3, 1, 4000))
    data[:, 0, 1100:1140] += rng.standard_normal((3, 40))
    recordings = Continuous(STATIONS, ("Z",), data.astype(np.float32), np.ones(data.shape, bool), 0.0, 0.02)
    event = Detection("a", 20.007, 0, 0, 0, "beam")
    template = cut_template(recordings, event, np.full((3, 1), 2.0), ("P",), _template_config())
    (batch,) = correlate(recordings, [template])
    best = 0.02 * int(batch.cc[0].argmax())
    assert abs(best + _off_sample(template) - event.time) < 1e-6


def test_two_earthquakes_at_once_in_two_places_both_stay(tmp_path):
    root = written(tmp_path / "p", QUAKES)
    detect(root)
    survey = Survey.open(Project.open(root))
    config = replace(
        survey.config.matching, matches=MatchConfig(same_time=2.0, same_distance=300.0, same_similarity=0.9)
    )
    names = [each.id for each in read_templates(root / "detection" / "templates.h5")[0]]
    assert len(names) >= 2
    far = [
        Detection(name, 1e9 + number, 0, 0, 0, "template", 0.5, 0.2, template=name)
        for number, name in enumerate(names)
    ]
    again = Detection("again", 1e9 + 0.5, 0, 0, 0, "template", 0.3, 0.2, template=names[0])
    kept = _once([*far, again], survey, config)
    assert {each.id for each in kept} == set(names)


def test_an_event_beside_a_better_one_makes_no_template():
    events = [
        Detection(name, time, 0, 0, 0, "beam", value, 1.0)
        for name, time, value in (("a", 100.0, 3.0), ("b", 94.5, 2.0), ("c", 130.0, 1.5), ("d", 100.9, 5.0))
    ]
    chosen, refused = select(events, TemplateConfig(alone=8.0))
    assert [each.id for each in chosen] == ["d", "c"]
    assert set(refused) == {"a", "b"}
    assert len(select(events, TemplateConfig(alone=0.0))[0]) == 4


@pytest.mark.parametrize("factor", [1, 4])
def test_kurtosis_is_largest_at_the_onset_even_if_the_first_component_is_dead(factor):
    late = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        onset = 30 + rng.uniform(0, 0.1)
        time = np.arange(6000) * 0.01
        data = rng.standard_normal((1, 2, 6000))
        data += (time >= onset) * 10 * rng.standard_normal((1, 2, 6000)) * np.exp(-(time - onset).clip(0) / 2)
        data[:, 0], live = 0, np.ones(data.shape, bool)
        live[:, 0] = False
        recordings = Continuous(STATIONS[:1], ("E", "N"), data.astype(np.float32), live, 0.0, 0.01)
        config = FeatureConfig(("E", "N"), (1, 20), "kurtosis", short=0.2, long=5)
        found = make_features({"S": recordings}, {"S": config}, 0.01 * factor)
        best = np.where(found.live, found.values, -np.inf)[0, 0].argmax()
        late.append(found.start + best * found.interval - onset)
    assert abs(np.median(late)) < 0.02 + 0.01 * factor
