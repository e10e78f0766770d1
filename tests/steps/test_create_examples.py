"""Examples that are made when a project is made: ``swarm`` is what it says, ``germany`` comes from another package."""

import csv
import hashlib
import importlib
import sys
import types

import numpy as np
import pytest
import tiny
import yaml
from obspy import UTCDateTime, read, read_inventory
from scipy.signal import butter, sosfiltfilt

from seisflow.config import RegionConfig
from seisflow.detection.travel_times import make_table, station_positions
from seisflow.errors import MissingError
from seisflow.io.models import read_model
from seisflow.io.stations import read_stationxml
from seisflow.steps import create
from seisflow.steps.create import create_project, examples, next_commands, what_was_made

START = UTCDateTime(2026, 3, 14, 5)


def hashes(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def swarm(tmp_path_factory):
    root = tmp_path_factory.mktemp("swarm") / "project"
    written = create_project(root, "swarm")
    return types.SimpleNamespace(root=root, written=written)


@pytest.fixture(scope="module")
def truth(swarm):
    """Rows of truth.csv, with local coordinates and the origin in s after the start."""
    model = read_model(swarm.root / "models" / "m00.nc")
    rows = []
    with (swarm.root / "truth.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            x, y = model.projection.to_local(float(row["latitude"]), float(row["longitude"]))
            row["place"] = np.array([x, y, 1000 * float(row["depth_km"])])
            row["time"] = UTCDateTime(row["origin_time"]) - START
            for name in ("magnitude", "moment_magnitude", "signal_to_noise"):
                row[name] = float(row[name])
            rows.append(row)
    return rows


def channel(swarm, station, code):
    """The traces of a channel."""
    (path,) = (swarm.root / "waveforms" / station).glob(f"*.{code}.*.mseed")
    return read(str(path))


def trace(swarm, station, code):
    """The samples of a channel without gaps, 3 to 15 Hz."""
    (found,) = channel(swarm, station, code)
    data = found.data.astype(np.float64)
    return sosfiltfilt(butter(3, [3, 15], "bandpass", fs=100, output="sos"), data - data.mean())


def times_of(swarm, truth_row, stations):
    """P times to stations by straight rays through thin layers: an independent way to the same model."""
    model = read_model(swarm.root / "models" / "m00.nc")
    place = truth_row["place"]
    result = []
    for position in station_positions(stations, model.projection):
        edges = np.concatenate([[position[2]], np.linspace(0, place[2], 400)])
        middle = 0.5 * (edges[1:] + edges[:-1])
        speed = np.interp(middle, model.grid.z, model.vp[0, 0])
        thick, across = np.diff(edges), np.hypot(*(place - position)[:2])
        low, high = 0.0, (1 - 1e-12) / speed.max()
        for _ in range(100):
            p = 0.5 * (low + high)
            far = np.sum(thick * p * speed / np.sqrt(1 - (p * speed) ** 2)) > across
            low, high = (low, p) if far else (p, high)
        result.append(np.sum(thick / (speed * np.sqrt(1 - (p * speed) ** 2))))
    return np.array(result)


# --- the swarm: files


def test_the_swarm_is_whole_and_small(swarm):
    assert {"swarm", "germany", "checkerboard"} <= set(examples())
    names = {str(path.relative_to(swarm.root)) for path in swarm.written}
    assert names == set(hashes(swarm.root)) and names >= {"seisflow.yaml", "README.md", "truth.csv"}
    assert sum(name.endswith(".mseed") for name in names) == 36
    assert swarm.written[-1].name == "seisflow.yaml"
    assert 8e6 < sum(path.stat().st_size for path in swarm.written) < 35e6
    settings = yaml.safe_load((swarm.root / "seisflow.yaml").read_text(encoding="utf-8"))
    region = RegionConfig(**settings["region"])
    assert read_model(swarm.root / "models" / "m00.nc").grid == region.grid()
    assert (swarm.root / settings["detection"]["archive"][0]).is_dir()


@pytest.mark.slow
def test_the_swarm_is_the_same_each_time(swarm, tmp_path):
    create_project(tmp_path / "again", "swarm")
    assert hashes(tmp_path / "again") == hashes(swarm.root)


def test_every_channel_is_described(swarm):
    inventory = read_inventory(str(swarm.root / "stations" / "XS.xml"))
    for path in swarm.written:
        if path.suffix == ".mseed":
            header = read(str(path), headonly=True)[0].stats
            found = inventory.select(station=header.station, channel=header.channel)
            assert len(found[0][0].channels) == 1, path.name
            assert found[0][0][0].response.instrument_sensitivity.output_units == "COUNTS"


def test_responses_are_those_that_were_applied(swarm):
    module = importlib.import_module("seisflow.data.swarm_recordings")
    inventory = read_inventory(str(swarm.root / "stations" / "XS.xml"))
    frequencies = np.array([0.03, 0.2, 1.0, 5.0, 20.0, 40.0])
    for station in read_stationxml(swarm.root / "stations" / "XS.xml")[4:6]:  # a sensor of each kind
        response = inventory.select(station=station.code)[0][0][0].response
        told = response.get_evalresp_response_for_frequencies(frequencies, output="VEL")
        applied = module.counts_per_velocity(station, frequencies)
        assert np.abs(told / applied - 1).max() < 1e-3


def test_recordings_have_the_faults_that_the_readme_names(swarm):
    dead = channel(swarm, "RODI", "HHZ")
    assert len(dead) == 1 and np.ptp(dead[0].data) == 0
    assert [piece.stats.sampling_rate for piece in channel(swarm, "ARNI", "HHE")] == [100, 50, 100]
    assert {piece.stats.sampling_rate for piece in channel(swarm, "ARNI", "HHN")} == {100}
    late = channel(swarm, "ELAT", "HHZ")
    assert len(late) == 1 and late[0].stats.starttime == START + 1337.43
    for station, code, gaps in (("BELO", "HHZ", 6), ("FTER", "EHN", 1), ("MYLO", "EHE", 2)):
        assert len(channel(swarm, station, code).get_gaps()) == gaps
    stations = read_inventory(str(swarm.root / "stations" / "XS.xml"))
    turned = {each.code: each.azimuth for each in stations.select(station="DAFN")[0][0]}
    assert turned == {"HH1": 37.0, "HH2": 127.0, "HHZ": 0.0}
    spiked = np.abs(np.diff(channel(swarm, "NERA", "HHN")[0].data))
    assert (spiked > 40_000).sum() == 10  # up and down again, five times


# --- the swarm: nature


def test_sizes_follow_gutenberg_and_richter(truth):
    assert len(truth) == 150
    counts = {name: sum(row["family"] == name for row in truth) for name in "ABCD-"}
    assert counts == {"A": 62, "B": 38, "C": 23, "D": 12, "-": 15}
    sizes = np.array([row["magnitude"] for row in truth if row["family"] != "-"])
    b = np.log10(np.e) / (sizes.mean() - sizes.min())  # Aki (1965)
    assert 0.85 < b < 1.2
    ratios = np.array([row["signal_to_noise"] for row in truth])
    assert ratios.min() < 2 and ratios.max() > 50
    visible = np.array([row["visible"] == "yes" for row in truth])
    assert np.array_equal(visible, ratios >= 5) and 25 < visible.sum() < 75
    assert np.diff(sorted(row["time"] for row in truth)).min() >= 3


def test_families_are_small(truth):
    for family in "ABCD":
        places = np.array([row["place"] for row in truth if row["family"] == family])
        assert np.linalg.norm(places - np.median(places, axis=0), axis=1).max() < 130


def test_arrivals_travel_in_the_model(swarm, truth):
    stations = read_stationxml(swarm.root / "stations" / "XS.xml")
    module = importlib.import_module("seisflow.data.make_swarm")
    projection = read_model(swarm.root / "models" / "m00.nc").projection
    for row in truth[::40]:
        closed = [module.travel_time(row["place"], each) for each in station_positions(stations, projection)]
        assert np.abs(np.array(closed) - times_of(swarm, row, stations)).max() < 2e-4


@pytest.mark.slow
def test_travel_times_of_the_engine_are_those_of_the_recordings(swarm, truth):
    from seisflow.detection.lookup import at_points

    model = read_model(swarm.root / "models" / "m00.nc")
    stations = read_stationxml(swarm.root / "stations" / "XS.xml")[:2]
    module = importlib.import_module("seisflow.data.make_swarm")
    points = np.array([row["place"] for row in truth])
    found = at_points(make_table(model, stations), points)
    for times, position in zip(found, station_positions(stations, model.projection), strict=True):
        closed = module.travel_time(points, position)
        assert np.abs(times[0] - closed).max() < 1e-3
        assert np.abs(times[1] - module.RATIO * closed).max() < 1e-3


def test_the_largest_event_begins_when_and_where_it_should(swarm, truth):
    row = max(truth, key=lambda row: row["signal_to_noise"])
    quiet = [
        each for each in read_stationxml(swarm.root / "stations" / "XS.xml") if each.code in ("NERA", "ARNI")
    ]
    for station, travel in zip(quiet, times_of(swarm, row, quiet), strict=True):
        data = trace(swarm, station.code, "HHZ")
        energy = np.cumsum(data**2)
        onset = round((row["time"] + travel) * 100)
        before = (energy[onset - 20] - energy[onset - 220]) / 200
        after = (energy[onset + 30] - energy[onset]) / 30
        assert after > 20 * before, station.id


def test_members_of_a_family_are_alike_and_others_are_not(swarm, truth):
    data = trace(swarm, "DAFN", "HH1")
    stations = [each for each in read_stationxml(swarm.root / "stations" / "XS.xml") if each.code == "DAFN"]

    def cut(row):
        first = round((row["time"] + 1.74 * times_of(swarm, row, stations)[0]) * 100) - 20
        return data[first - 5 : first + 305]

    def likeness(one, other):
        a, b = cut(one)[5:-5], cut(other)
        a = a / np.linalg.norm(a)
        return max(a @ b[i : i + a.size] / np.linalg.norm(b[i : i + a.size]) for i in range(11))

    family = sorted((row for row in truth if row["family"] == "A"), key=lambda row: row["signal_to_noise"])[
        -3:
    ]
    other = max((row for row in truth if row["family"] == "D"), key=lambda row: row["signal_to_noise"])
    assert likeness(family[0], family[1]) > 0.85 and likeness(family[1], family[2]) > 0.85
    assert likeness(family[2], other) < 0.65


def test_magnitudes_come_back_through_the_responses(swarm, truth):
    row = max(truth, key=lambda row: row["signal_to_noise"])
    inventory = read_inventory(str(swarm.root / "stations" / "XS.xml"))
    projection = read_model(swarm.root / "models" / "m00.nc").projection
    instrument = {
        "poles": [-5.49779 + 5.60886j, -5.49779 - 5.60886j],
        "zeros": [0j], "gain": 1.0, "sensitivity": 2080.0,
    }  # fmt: skip
    found = []
    for station in read_stationxml(swarm.root / "stations" / "XS.xml"):
        if station.code not in ("ARNI", "LEFK", "NERA", "PLAT", "RODI", "KAMA", "SKAL"):
            continue
        sizes = []
        for path in sorted((swarm.root / "waveforms" / station.code).glob("*H[EN].*")):
            piece = read(str(path)).slice(START + row["time"] - 20, START + row["time"] + 30)[0]
            piece.detrend("demean").taper(0.1).remove_response(inventory, "VEL", pre_filt=(0.7, 1.2, 35, 45))
            piece.simulate(paz_simulate=instrument)
            sizes.append(np.log10(1000 * np.abs(piece.data[1800:4000]).max()))
        place = station_positions([station], projection)[0]
        distance = np.linalg.norm(row["place"] - place) / 1000
        found.append(np.mean(sizes) + 1.110 * np.log10(distance / 100) + 0.00189 * (distance - 100) + 3)
    assert abs(np.median(found) - row["magnitude"]) < 0.2


# --- how examples are made


@pytest.fixture
def quick(monkeypatch):
    """``swarm`` made by a script that takes no time."""
    module = types.ModuleType("quick_script")

    def make(folder):
        (folder / "waveforms").mkdir(parents=True)
        (folder / "waveforms" / "a.mseed").write_bytes(bytes(250_000))
        return [folder / "waveforms" / "a.mseed"]

    module.make = make
    monkeypatch.setitem(sys.modules, "quick_script", module)
    monkeypatch.setitem(create.SCRIPTS, "swarm", "quick_script")
    return module


def test_what_was_made_is_told(quick, tmp_path):
    root = tmp_path / "p"
    lines = what_was_made(root, create_project(root, "swarm"))
    assert lines[0].split() == ["waveforms/", "1", "file,", "0.2", "MB"]
    assert [line.split()[0] for line in lines[1:]] == ["README.md", "seisflow.yaml"]
    assert next_commands(root, "swarm") == [
        f"seisflow detect --project {root}",
        f"seisflow catalog compare truth.csv --project {root}",
    ]
    assert next_commands(root, "checkerboard") == [f"seisflow iterate --iteration 1 --project {root}"]


def test_a_killed_init_leaves_no_project_and_goes_on(quick, tmp_path):
    whole = quick.make

    def killed(folder):
        whole(folder)
        raise KeyboardInterrupt

    quick.make = killed
    with pytest.raises(KeyboardInterrupt):
        create_project(tmp_path / "p", "swarm")
    assert not (tmp_path / "p" / "seisflow.yaml").exists()
    (tmp_path / "p" / "waveforms" / "a.mseed").unlink()
    (tmp_path / "p" / "waveforms").rmdir()
    quick.make = whole
    assert (tmp_path / "p" / "seisflow.yaml") in create_project(tmp_path / "p", "swarm")


# --- Germany


def test_germany_without_qopen_names_the_command(monkeypatch, tmp_path):
    module = importlib.import_module("seisflow.data.make_germany")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match="pip install qopen"):
        create_project(tmp_path / "p", "germany")
    assert not (tmp_path / "p").exists()


def test_germany_with_a_qopen_without_recordings(monkeypatch, tmp_path):
    module = importlib.import_module("seisflow.data.make_germany")
    spec = types.SimpleNamespace(submodule_search_locations=[str(tmp_path / "qopen")])
    monkeypatch.setattr(module, "find_spec", lambda name: spec)
    with pytest.raises(MissingError, match=r"example_data\.mseed.*upgrade"):
        create_project(tmp_path / "p", "germany")
    assert not (tmp_path / "p").exists()


def test_germany_is_what_qopen_carries(tmp_path):
    pytest.importorskip("importlib.util").find_spec("qopen") or pytest.skip("qopen is not installed")
    root = tmp_path / "p"
    create_project(root, "germany")
    model = read_model(root / "models" / "m00.nc")
    stations = read_stationxml(root / "stations" / "GR.xml")
    assert [each.id for each in stations] == ["GR.BFO", "GR.BUG", "GR.CLZ", "GR.FUR", "GR.TNS"]
    assert len(make_table(model, stations, ["P"]).stations) == 5  # the model covers them
    assert len(read(str(root / "waveforms" / "qopen.mseed"))) == 72
    assert (root / "reference.xml").read_bytes().count(b"<origin ") == 5
    assert model.vp[0, 0, -1] == pytest.approx(8040) and model.vp[0, 0, 0] == pytest.approx(5800)


def test_init_of_an_unknown_example_lists_all(tmp_path):
    found = tiny.seisflow("init", tmp_path / "p", "--example", "volcano")
    assert found.returncode == 2 and "checkerboard, germany, swarm" in " ".join(found.stderr.split())
