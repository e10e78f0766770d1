"""Resolution tests: patterns, the project that is made, what its recordings are, and that a killed run goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny

from seisflow.config_file import load
from seisflow.domain import Grid, Projection
from seisflow.errors import InputError, MissingError, WorkError
from seisflow.io.asdf import write_observed
from seisflow.io.asdf_reading import read_observed
from seisflow.io.models import read_model
from seisflow.io.provenance import Provenance
from seisflow.project import Project
from seisflow.signal import Pipeline, TimeAxis, prepare_observed
from seisflow.solvers import Elastic3D, Simulation, create
from seisflow.steps.gain import truth_path
from seisflow.steps.inputs import check_project, event_of, model_of, simulation_of, stations_of
from seisflow.steps.patterns import Checkerboard, Spikes, Target
from seisflow.steps.resolution import SEED, ResolutionTest

GRID = Grid((-60e3, -60e3, 0.0), (2e3, 2e3, 2e3), (61, 61, 21))
PROJECTION = Projection(38.0, 22.0)


# --- patterns


def test_signs_of_a_checkerboard_alternate_and_fade_at_the_edges():
    values = Checkerboard((20e3, 20e3, 16e3)).values(GRID, PROJECTION)
    assert values.shape == GRID.shape and np.abs(values).max() == values[30, 30, 0] == 1
    assert values[20, 30, 0] == pytest.approx(-1) and values[20, 20, 0] == pytest.approx(1)
    assert values[30, 30, 8] == pytest.approx(-1)  # 16 km down
    assert abs(values[25, 30, 0]) < 1e-12 and abs(values[30, 30, 4]) < 1e-12  # half a cell
    for side in (values[:3], values[-3:], values[:, :3], values[:, -3:], values[:, :, -1:]):
        assert not side.any()


def test_a_spike_has_its_width_at_half_of_its_height():
    latitude, longitude = PROJECTION.to_geographic(10e3, -8e3)
    values = Spikes(((longitude, latitude, 12e3),), 8e3).values(GRID, PROJECTION)
    assert values[35, 26, 6] == pytest.approx(1, abs=1e-6)
    for step in ((2, 0, 0), (0, 2, 0), (0, 0, 2)):
        assert values[35 + step[0], 26 + step[1], 6 + step[2]] == pytest.approx(0.5, abs=1e-6)


def test_what_the_nodes_cannot_hold_and_what_is_outside_is_refused():
    with pytest.raises(InputError, match=r"a cell of 3 km along y: .* holds 4 km and more"):
        Checkerboard((20e3, 3e3, 16e3)).values(GRID, PROJECTION)
    with pytest.raises(InputError, match=r"--at 25,38,8: is outside the model, which reaches from 21\.3"):
        Spikes(((25.0, 38.0, 8e3),), 8e3).values(GRID, PROJECTION)
    latitude, longitude = PROJECTION.to_geographic(-58e3, 0.0)
    with pytest.raises(InputError, match="of the spike would be left"):
        Spikes(((longitude, latitude, 8e3),), 4e3).values(GRID, PROJECTION)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"anomaly": 0.0}, "--anomaly 0"),
        ({"anomaly": 0.7}, "--anomaly 0.7"),
        ({"noise": -0.1}, "--noise -0.1"),
        ({"parameters": ("vp", "q")}, "--parameter vp,q: use vp, vs, rho"),
    ],
)
def test_wrong_targets_are_refused(change, complaint):
    with pytest.raises(InputError, match=complaint):
        Target(Checkerboard(), **change)


# --- the project


def make(run, project, folder, *options):
    code, out, error = run("resolution", "checkerboard", folder, "-p", project, *options)
    assert code == 0, error
    return out


@pytest.fixture(scope="module")
def board(tiny_source, tmp_path_factory):
    """A checkerboard on the tiny project, made through the command line."""
    folder = tmp_path_factory.mktemp("resolution") / "board"
    found = tiny.seisflow("resolution", "checkerboard", folder, "-p", tiny_source, "--anomaly", 0.06)
    assert found.returncode == 0, found.stderr
    (folder / "stdout.txt").write_text(found.stdout)
    return folder


def test_the_project_is_whole_and_says_what_comes_next(board, tiny_source):
    lines = (board / "stdout.txt").read_text().splitlines()
    assert lines[0] == f"made {board}: 4 events simulated in m00 of tiny with the pattern, truth/model.nc"
    assert lines[1] == f"next: seisflow iterate -p {board} --iteration 1 --through 5"
    assert lines[2] == f"then: seisflow gain -p {board}"
    assert not list(board.parent.glob(".*")) and tiny.temporary_files(board) == []
    for name in ("events/a1.xml", "stations/XX.xml", "seisflow.yaml"):
        assert (board / name).read_bytes() == (tiny_source / name).read_bytes()
    start, truth = read_model(board / "models" / "m00.nc"), read_model(board / "truth" / "model.nc")
    source = read_model(tiny_source / "models" / "m00.nc")
    for name in ("vp", "vs"):
        assert np.array_equal(start.fields()[name], source.fields()[name])
        change = truth.fields()[name] / start.fields()[name] - 1
        assert change.max() == pytest.approx(0.06, rel=1e-5) and change.min() < -0.02
    assert np.array_equal(truth.rho, start.rho)
    about = json.loads((board / "truth" / "target.json").read_text())
    assert about["seed"] == SEED and about["anomaly"] == 0.06 and about["pattern"]["kind"] == "checkerboard"


def test_an_iteration_of_it_runs_and_gain_compares_with_the_truth(run, board, tmp_path):
    root = tiny.copy(board, tmp_path / "board")
    tiny.change_config(root, "name: tiny", "name: tiny\npictures: false")
    assert run("status", "--verify", "-p", root)[0] == 0
    code, out, error = run("iterate", "-i", 1, "-p", root)
    assert code == 0 and "misfit" in out, error
    code, out, error = run("gain", "-p", root, "--json")
    found = json.loads(out)
    assert code == 0 and found["used"][1] < 0.97 * found["used"][0], error
    assert found["truth"]["vs"]["correlation"] > 0.3
    assert (root / "pictures" / "truth_vs_m01.png").is_file()


def test_recordings_are_the_true_seismograms_on_a_finer_grid(project, tmp_path):
    from seisflow.workflows.resolution import make_test

    test = make_test(project, tmp_path / "made", Target(Checkerboard(), noise=0.0))
    made = Project.open(test.folder)
    stream, inventory = read_observed(made.observed_path("a2"))
    event, stations, axis = event_of(made, "a2"), stations_of(made), made.config.axis()
    observed, _ = prepare_observed(stream, inventory, event, stations, axis, made.config.signal(0))
    solver = create(test.solver)
    simulation = Simulation(model_of(truth_path(made)), event, stations, axis.end + 5, 5.0)
    raw = solver.forward(simulation).gather
    pipeline = Pipeline(made.config.signal(0), TimeAxis.of(raw), axis, event, stations, raw.quantity)
    wanted = pipeline.apply(raw).data
    assert np.sum((observed.data - wanted) ** 2) < 1e-4 * np.sum(wanted**2)
    inverted = create(made.config.solver).plan(simulation_of(made.config, test.start, event, stations, 1))
    assert solver.plan(simulation).spacing < 0.82 * inverted.spacing  # that of the shortest band


def test_the_noise_has_its_level_its_band_and_its_seed(project, tmp_path):
    from seisflow.workflows.resolution import make_test

    made = [
        make_test(project, tmp_path / str(number), Target(Checkerboard(), noise=noise))
        for number, noise in enumerate((0.0, 0.1, 0.1))
    ]
    quiet, noisy, again = (
        [t.data for t in read_observed(test.folder / "observed" / "a1.h5")[0]] for test in made
    )
    assert all(np.array_equal(a, b) for a, b in zip(noisy, again, strict=True))
    noise = np.array([a.astype(float) - b for a, b in zip(noisy, quiet, strict=True)])
    level = noise.std() / np.median(np.abs(np.array(quiet)).max(axis=1))
    assert 0.05 < level < 0.15
    spectrum = (np.abs(np.fft.rfft(noise * np.hanning(noise.shape[1]), axis=1)) ** 2).mean(axis=0)
    frequencies = np.fft.rfftfreq(noise.shape[1], made[0].replay.interval)
    inside = (frequencies > 1 / 18) & (frequencies < 1 / 5.5)
    assert spectrum[frequencies > 1 / 3].mean() < 0.01 * spectrum[inside].mean()
    assert len({tuple(row[:5]) for row in noise}) == len(noise)


def test_the_newest_model_is_taken_unless_another_is_named(run, done, tmp_path):
    out = make(run, done, tmp_path / "new", "--parameter", "vs", "--noise", 0)
    assert "in m01 of tiny" in out
    start = read_model(tmp_path / "new" / "models" / "m00.nc")
    truth = read_model(tmp_path / "new" / "truth" / "model.nc")
    assert np.array_equal(start.vs, read_model(done / "models" / "m01.nc").vs)
    assert np.array_equal(start.vp, truth.vp) and not np.array_equal(start.vs, truth.vs)
    code, _, error = run("resolution", "checkerboard", tmp_path / "x", "-p", done, "--model", 4)
    assert code == 2 and "--model 4: models/m04.nc is not there" in error


def test_spikes_are_where_they_were_wanted(run, project, tmp_path):
    folder = tmp_path / "spikes"
    code, out, error = run(
        "resolution", "spike", folder, "-p", project, "--at", "22.0,38.0,8", "--size", 12, "--anomaly", -0.05
    )
    assert code == 0 and "seisflow iterate" in out, error
    truth, start = (read_model(folder / name) for name in ("truth/model.nc", "models/m00.nc"))
    change = truth.vs / start.vs - 1
    assert np.unravel_index(np.argmin(change), change.shape) == (4, 4, 2)
    assert change.min() == pytest.approx(-0.05, rel=1e-3) and change.max() < 1e-6


def test_a_folder_with_something_in_it_is_refused_and_left_alone(run, project, tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    code, _, error = run("resolution", "checkerboard", folder, "-p", project)
    assert code == 2 and "is there and not empty; choose another folder" in error
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    assert not list(tmp_path.glob(".there*"))
    (folder / "mine.txt").unlink()
    make(run, project, folder)  # an empty one will do
    assert (folder / "seisflow.yaml").is_file()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["checkerboard", "DIR", "--cell", "10,10"], "--cell 10,10: give X,Y,Z in km"),
        (["checkerboard", "DIR", "--cell", "1,10,10"], "a cell of 1 km along x"),
        (["spike", "DIR", "--at", "22,38", "--size", 10], "--at 22,38: give LON,LAT,DEPTH_KM"),
        (["spike", "DIR", "--at", "38,220,5", "--size", 10], "the latitude comes second and is 220"),
        (["spike", "DIR", "--at", "24,38,5", "--size", 10], "is outside the model"),
        (["spike", "DIR", "--size", 10], "--at"),
    ],
)
def test_wrong_options_are_told_before_anything_is_made(run, project, tmp_path, options, complaint):
    words = [tmp_path / "made" if word == "DIR" else word for word in options]
    code, _, error = run("resolution", *words, "-p", project)
    assert code == 2 and complaint in error
    assert not list(tmp_path.glob("*made*"))


# --- recordings as ragged as those of the project


def ragged(project):
    """Give event a1 of the tiny project a gap, a late start, a lost, a dead and two turned channels."""
    opened = Project.open(project)
    stream, inventory = read_observed(opened.observed_path("a1"))
    event = event_of(opened, "a1")
    kept = stream.__class__()
    for trace in stream:
        station, component = trace.stats.station, trace.stats.channel[-1]
        if (station, component) == ("S0", "N"):
            continue
        if (station, component) == ("S1", "Z"):
            trace.data = np.zeros_like(trace.data)
        if station == "S2":
            trace.trim(starttime=trace.stats.starttime + 9.8)
        if station == "S3" and component == "E":
            end = trace.stats.starttime + 25
            kept.append(trace.slice(end + 4.0))
            trace = trace.slice(endtime=end)
        if station == "S4" and component in "EN":
            trace.stats.channel = {"E": "HX1", "N": "HX2"}[component]
        kept.append(trace)
    for station in inventory[0]:
        for channel in list(station) if station.code == "S4" else ():
            if channel.code[-1] in "EN":
                turned = {"E": ("HX1", 130.0), "N": ("HX2", 40.0)}[channel.code[-1]]
                channel.code, channel.azimuth = turned
    write_observed(opened.observed_path("a1"), event, kept, inventory, provenance=Provenance("tests"))


def test_the_recordings_are_as_ragged_as_those_of_the_project(run, project, tmp_path):
    ragged(project)
    make(run, project, tmp_path / "made", "--noise", 0)
    old, new = Project.open(project), Project.open(tmp_path / "made")
    pairs = []
    for each in (old, new):
        stream, inventory = read_observed(each.observed_path("a1"))
        config = each.config
        gather, lost = prepare_observed(
            stream, inventory, event_of(each, "a1"), stations_of(each), config.axis(), config.signal(0)
        )
        pairs.append((stream, gather, {(row.station, row.component) for row in lost}))
    (recorded, first, lost_first), (simulated, second, lost_second) = pairs
    assert lost_first == lost_second and np.array_equal(first.live, second.live)
    assert {t.id for t in recorded} - {t.id for t in simulated} == {"XX.S1..HXZ", "XX.S3..HXE"}
    for trace in simulated:
        real = recorded.select(id=trace.id)
        assert trace.stats.starttime >= min(t.stats.starttime for t in real)
        assert trace.stats.endtime <= max(t.stats.endtime for t in real)
    late = simulated.select(id="XX.S2..HXE")[0].stats
    assert late.starttime - recorded.select(id="XX.S2..HXE")[0].stats.starttime < late.delta
    assert simulated[0].stats.delta == pytest.approx(0.25)


def test_turned_channels_carry_turned_motion(run, project, tmp_path):
    make(run, project, tmp_path / "straight", "--noise", 0)
    ragged(project)
    make(run, project, tmp_path / "turned", "--noise", 0)
    found = []
    for name in ("straight", "turned"):
        opened = Project.open(tmp_path / name)
        stream, inventory = read_observed(opened.observed_path("a1"))
        config = opened.config
        gather, _ = prepare_observed(
            stream, inventory, event_of(opened, "a1"), stations_of(opened), config.axis(), config.signal(0)
        )
        found.append(gather.data[gather.station_number("XX.S4")])
    assert np.abs(found[0] - found[1]).max() < 1e-5 * np.abs(found[0]).max()


def test_an_event_without_usable_recordings_stays_with_dead_traces(run, project, tmp_path):
    tiny.observe(project, ["a2"], dead=True)
    code, _, error = run("resolution", "checkerboard", tmp_path / "made", "-p", project)
    assert code == 0 and "event a2: none of its recordings can be used" in error
    assert run("check", "-p", tmp_path / "made")[0] == 0


# --- configuration


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("observed: velocity", "observed: displacement", "observed: velocity, quantity"),
        ("observed: velocity, ", "", "data: {observed: velocity, start: -8"),
        (
            "data: {start: -8, duration: 36, interval: 0.6, observed: velocity, quantity: displacement}",
            "data:  # what is compared\n    start: -8\n    duration: 36\n    interval: 0.6\n"
            "    observed: displacement  # said the network",
            "data:  # what is compared\n    start: -8\n    duration: 36\n    interval: 0.6\n"
            "    observed: velocity  # said the network",
        ),
        (
            "data: {start: -8, duration: 36, interval: 0.6, observed: velocity, quantity: displacement}",
            "data:\n  start: -8  # s\n  duration: 36\n  interval: 0.6",
            "data:\n  observed: velocity\n  start: -8  # s\n  duration: 36",
        ),
    ],
)
def test_only_what_recordings_hold_is_changed_in_the_configuration(project, tmp_path, old, new, wanted):
    tiny.change_config(project, old, new)
    opened = Project.open(project)
    test = ResolutionTest(opened, tmp_path / "made", Target(Checkerboard()))
    assert wanted in test.text
    path = tmp_path / "made.yaml"
    path.write_text(test.text)
    left, right = load(path).model_dump(), opened.config.model_dump()
    assert left["data"].pop("observed") == "velocity"
    right["data"].pop("observed")
    assert left == right


def test_what_was_wrong_with_recordings_is_not_wrong_with_synthetics(project, tmp_path):
    wrong = "{XX.S1: {reversed: [Z], late: 1.0}, XX.S2: {drop: true, late: 2.0, events: [a1]}}"
    tiny.change_config(project, "observed: velocity", f"observed: velocity, corrections: {wrong}")
    test = ResolutionTest(Project.open(project), tmp_path / "made", Target(Checkerboard()))
    assert list(test.config.compared.corrections) == ["XX.S2"]
    left = test.config.compared.corrections["XX.S2"]
    assert left.drop and left.late == 0 and left.events == ("a1",)
    (tmp_path / "made.yaml").write_text(test.text)
    assert load(tmp_path / "made.yaml") == test.config


def test_a_time_function_outside_the_project_comes_along(run, project, tmp_path):
    times = np.linspace(-2, 2, 41)
    np.savetxt(tmp_path / "stf.txt", np.column_stack([times, np.exp(-(times**2))]))
    tiny.change_config(
        project, "hold_out: [h1]", "hold_out: [h1]\nsource: {time_function: file, file: ../stf.txt}"
    )
    make(run, project, tmp_path / "made")
    assert load(tmp_path / "made" / "seisflow.yaml").source.file == "stf.txt"
    assert (tmp_path / "made" / "stf.txt").read_bytes() == (tmp_path / "stf.txt").read_bytes()


# --- faults


def test_a_run_that_stops_leaves_no_folder_and_repeats_no_finished_event(project, tmp_path, monkeypatch):
    from seisflow.workflows.resolution import make_test

    tiny.change_config(project, "compute: {cores: 2}", "compute: {cores: 1}")
    target, simulated = Target(Checkerboard()), []
    whole, forward = ResolutionTest.record_event, Elastic3D.forward

    def counted(self, simulation, **options):
        simulated.append(simulation.event.id)
        return forward(self, simulation, **options)

    def failing(self, event, *rest):
        if event == "a3":
            raise WorkError("the disk is full")
        return whole(self, event, *rest)

    monkeypatch.setattr(Elastic3D, "forward", counted)
    monkeypatch.setattr(ResolutionTest, "record_event", failing)
    with pytest.raises(WorkError, match="1 of 4 events failed"):
        make_test(project, tmp_path / "made", target)
    assert simulated == ["a1", "a2", "h1"] and not (tmp_path / "made").exists()
    monkeypatch.setattr(ResolutionTest, "record_event", whole)
    make_test(project, tmp_path / "made", target)
    assert simulated == ["a1", "a2", "h1", "a3"]
    make_test(project, tmp_path / "other", target)
    assert simulated[4:] == ["a1", "a2", "a3", "h1"]
    for event in tiny.EVENTS:
        one, other = (tmp_path / name / "observed" / f"{event}.h5" for name in ("made", "other"))
        assert one.read_bytes() == other.read_bytes()


def test_an_attempt_of_another_kind_is_not_gone_on_with(project, tmp_path, monkeypatch):
    from seisflow.workflows.resolution import make_test

    finish = ResolutionTest.finish
    monkeypatch.setattr(ResolutionTest, "finish", lambda self: None)  # killed just before
    first = make_test(project, tmp_path / "made", Target(Checkerboard(), anomaly=0.03))
    (first.making / "events" / "old.xml").write_text("of an event that has gone")
    old = (first.making / "observed" / "a1.h5").read_bytes()
    monkeypatch.setattr(ResolutionTest, "finish", finish)
    make_test(project, tmp_path / "made", Target(Checkerboard(), anomaly=0.06))
    assert (tmp_path / "made" / "observed" / "a1.h5").read_bytes() != old
    assert not (tmp_path / "made" / "events" / "old.xml").exists()
    assert not first.making.exists()


def test_a_grid_that_takes_too_much_memory_is_told_before(project, tmp_path):
    tiny.change_config(project, "  - periods: [5, 20]", "  - periods: [2, 20]")
    opened = Project.open(project)
    plans = check_project(opened, 1)
    most = 1.1 * max(plan.gradient_bytes for plan in plans) / 1e9  # the first stage fits
    tiny.change_config(project, "cpml_cells: 8", f"cpml_cells: 8, memory_gb: {most}")
    with pytest.raises(InputError, match=r"the finer grid of the recordings .* raise it to"):
        ResolutionTest(Project.open(project), tmp_path / "made", Target(Checkerboard()))
    assert not list(tmp_path.glob("*made*"))


def test_a_project_without_recordings_is_told(project, tmp_path):
    (project / "observed" / "a1.h5").unlink()
    with pytest.raises(InputError, match="event a1: no recordings"):
        ResolutionTest(Project.open(project), tmp_path / "made", Target(Checkerboard()))
    with pytest.raises(MissingError, match="--model 3"):
        ResolutionTest(Project.open(project), tmp_path / "made", Target(Checkerboard()), 3)
