"""A finished iteration, looked at: sections, shifts, exports, and the project in a notebook."""

import os
from pathlib import Path

import numpy as np
import pytest
import tiny
import xarray

import seisflow
from seisflow.errors import InputError, MissingError
from seisflow.io.event_file import read_event
from seisflow.io.models import read_kernel, read_model
from seisflow.project import Project
from seisflow.steps.measured import finished, measured
from seisflow.steps.pictures import draw_project
from seisflow.steps.slices import Slices, draw_slices, node_volume, parse_slices


@pytest.fixture(scope="module")
def root(tiny_source, tmp_path_factory) -> Path:
    """Two iterations of a misfit that measures lags."""
    root = tiny.copy(tiny_source, tmp_path_factory.mktemp("view") / "project")
    tiny.change_config(root, "name: tiny", "name: tiny\npictures: false")
    tiny.change_config(root, "misfit: {kind: waveform}", "misfit: {kind: cc_traveltime}")
    tiny.change_config(root, "hold_out: [h1]", "hold_out: [h1, a2/XX.S3]")
    found = tiny.seisflow("iterate", "-i", 1, "--through", 2, "-p", root)
    assert found.returncode == 0, found.stderr
    return root


@pytest.fixture
def view(root):
    return seisflow.open_project(root)


def state(root):
    """Every file with its size and time."""
    found = {}
    for path in sorted(root.rglob("*")):
        stat = path.stat()
        found[path.relative_to(root).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    return found


# --- the notebook


def test_looking_writes_nothing(root):
    before = state(root)
    view = seisflow.open_project(root / "models")
    assert "4 events" not in repr(view) and "3 events used, 1 held out, 2 of 5 iterations done" in repr(view)
    for table in (view.events, view.stations, view.measurements(), view.rejections(1), view.misfits()):
        assert len(table)
    view.misfits(by="event")
    view.models[-1], view.kernel(1), view.status()
    view.waveforms("a1", 2)
    assert state(root) == before


def test_events_and_stations(view):
    assert list(view.events.index) == ["a1", "a2", "a3", "h1"]
    assert list(view.events.held_out) == [False, False, False, True]
    assert view.events.time["a2"].timestamp() == 1.7e9 + 1e5 and str(view.events.time.dt.tz) == "UTC"
    assert (view.events.depth == 6000).all() and view.events.magnitude.between(3.5, 5).all()
    assert len(view.stations) == tiny.STATIONS and not view.stations.held_out.any()
    assert view.stations.loc["XX.S0", "code"] == "S0"


def test_models_and_kernels(view, root):
    assert list(view.models) == [0, 1, 2] and len(view.models) == 3 and 7 not in view.models
    on_disk = read_model(root / "models" / "m02.nc")
    np.testing.assert_array_equal(view.models[-1].vs, on_disk.vs)
    np.testing.assert_array_equal(view.models[2].vs, on_disk.vs)
    kernel = view.kernel(2)
    np.testing.assert_array_equal(kernel.vs, read_kernel(root / "iterations/i02/kernel.nc").vs)
    assert float(kernel.illumination.max()) > 0
    assert view.kernel(1, "a1").vs.shape == kernel.vs.shape
    with pytest.raises(MissingError, match="no model there"):
        view.models[9]
    with pytest.raises(MissingError, match=r"i03/kernel.nc is not there"):
        view.kernel(3)
    with pytest.raises(MissingError, match="held-out events have no kernel"):
        view.kernel(1, "h1")


def test_measurements_before_and_after(view, root):
    table = view.measurements()
    assert set(table.band) == {"6-20 s"} and set(table.stage) == {1}
    one = view.measurements(1)
    assert len(one) == sum(table.iteration == 1) > 20
    rows = read_event(root / "iterations/i01/s00/a1.h5", waveforms=False).measurements
    here = one[one.event == "a1"]
    np.testing.assert_array_equal(here["shift"], [row.shift for row in rows])
    np.testing.assert_array_equal(here.start, [row.window.start for row in rows])
    np.testing.assert_array_equal(here.misfit, [row.value for row in rows])
    # the windows of iteration 2 are those of iteration 1, and so are the lags at the model between
    two = view.measurements(2)
    assert list(two.start) == list(one.start) and list(two.station) == list(one.station)
    np.testing.assert_allclose(one.shift_after, two["shift"], atol=1e-6)
    used = one[~one.held_out]
    assert np.square(used.shift_after).mean() < np.square(used["shift"]).mean()
    assert set(one[one.held_out].event) == {"a2", "h1"}
    assert set(one[one.held_out & (one.event == "a2")].station) == {"XX.S3"}
    assert len(view.measurements(4)) == 0 and list(view.measurements(4).columns) == list(table.columns)


def test_what_a_refused_trial_prepared_is_not_shown(root, tmp_path):
    copy = tiny.copy(root, tmp_path / "copy")
    prepared = Project.open(copy).event_file(
        3, 0, "a1"
    )  # the last trial was taken, and went on to iteration 3
    assert prepared.is_file() and len(seisflow.open_project(copy).measurements(3))
    (copy / "models/m02.nc").write_bytes((copy / "models/m01.nc").read_bytes())
    view = seisflow.open_project(copy)
    assert len(view.measurements(3)) == 0 and len(view.measurements(2)) > 20
    with pytest.raises(MissingError, match="not simulated in iteration 3"):
        view.waveforms("a1", 3)


def test_lags_of_an_earlier_run_are_not_taken_for_those_after(root, tmp_path):
    assert all(row.shift_after is not None for row in measured(Project.open(root), 1))
    other = tiny.copy(root, tmp_path / "other")
    (other / "iterations/i01/s00/a1.h5").write_bytes((root / "iterations/i02/s00/a1.h5").read_bytes())
    rows = measured(Project.open(other), 1)
    assert {row.event for row in rows if row.shift_after is None} == {"a1"}


def test_misfits_show_used_and_held_out(view):
    table = view.misfits()
    assert list(table.iteration) == [1, 2] == finished(view.project)
    status = view.status()["iterations"]
    assert list(table.before) == [row["misfit"][0] for row in status[:2]]
    assert list(table.held_out_after) == [row["held_out"][1] for row in status[:2]]
    assert (table.after < table.before).all()
    events = view.misfits(by="event")
    assert len(events) == 8 and set(events[events.held_out].event) == {"h1"}
    first = events[(events.iteration == 1) & ~events.held_out]
    assert first.before.sum() / first.windows.sum() == pytest.approx(table.before[0])
    with pytest.raises(InputError, match="'iteration' or 'event'"):
        view.misfits(by="day")


def test_waveforms(view):
    observed, synthetic = (view.waveforms("a1", 2, kind) for kind in ("observed", "synthetic"))
    assert len(observed) == len(synthetic) == 3 * tiny.STATIONS
    assert {trace.stats.location for trace in observed} == {"OB"}
    a, b = observed[0], synthetic[0]
    for name in ("station", "channel", "starttime", "npts"):
        assert a.stats[name] == b.stats[name]
    assert np.corrcoef(a.data, b.data)[0, 1] > 0.5
    assert a.stats.origin.timestamp == 1.7e9 and 0 < a.stats.distance < 60e3
    assert len(view.waveforms("a1", kind="recorded")) == 3 * tiny.STATIONS
    assert any(trace.data.any() for trace in view.waveforms("a1", 1, "adjoint"))
    with pytest.raises(InputError, match="use recorded, observed, synthetic or adjoint"):
        view.waveforms("a1", 1, "raw")
    with pytest.raises(MissingError, match="not simulated in iteration 4"):
        view.waveforms("a1", 4)
    with pytest.raises(MissingError):
        view.waveforms("zz", 1)


# --- pictures


def test_pictures_of_the_run_show_shifts(root, tmp_path):
    drawn = {path.name for path in draw_project(Project.open(root), tmp_path)}
    assert {"misfit.png", "shifts.png", "shifts_map.png", "map.png"} <= drawn


def test_node_volumes_sum_to_the_box_that_is_simulated(root):
    project = Project.open(root)
    kernel = read_kernel(root / "iterations/i01/kernel.nc")
    volume = node_volume(project, 1, kernel.grid)
    cell = np.prod(kernel.grid.spacing)
    np.testing.assert_allclose(volume[2:-2, 2:-2, 1:-1], cell, rtol=1e-9)
    np.testing.assert_allclose(volume[2:-2, 2:-2, 0], cell / 2, rtol=1e-9)
    assert (volume[2:-2, 2:-2, -1] > cell / 2).all()  # it stands for what is below the model too


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ((), "m02_change_vs_against_m00"),
        (("--iteration", 1, "--kind", "update", "--parameter", "vp"), "m01_update_vp"),
        (("--iteration", 2, "--kind", "kernel", "--depth", "3,7.5"), "m02_kernel_vs"),
        (("--iteration", 0, "--parameter", "rho"), "m00_model_rho"),
        (("--against", "previous", "--coverage", 0), "m02_change_vs_against_m01"),
        (("--line", "21.8,37.9,22.2,38.1", "--kind", "model"), "m02_model_vs"),
    ],
)
def test_plot_draws_sections(root, tmp_path, run, options, name):
    copy = tiny.copy(root, tmp_path / "copy")
    code, out, error = run("plot", "-p", copy, *(options or ("--kind", "change")))
    assert (code, out.strip(), error) == (0, f"pictures/{name}.png", "")
    assert (copy / out.strip()).read_bytes()[:4] == b"\x89PNG"


def test_plot_compares_with_a_target(root, tmp_path, run):
    target = tmp_path / "truth.nc"
    target.write_bytes((root / "models/m00.nc").read_bytes())
    code, _, error = run("plot", "-p", root, "--against", target, "--to", tmp_path / "x.png")
    assert code == 0, error
    assert (tmp_path / "x.png").is_file() and not (root / "pictures").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--line", "1,2,3"), "give LON1,LAT1,LON2,LAT2"),
        (("--line", "a,2,3,4"), "give LON1,LAT1,LON2,LAT2"),
        (("--line", "1,2,3,4"), "does not cross the model, which reaches from 21."),
        (("--line", "22,38,22,38"), "starts where it ends"),
        (("--depth", "4,x"), "KM[,KM...]"),
        (("--depth", "900"), "depth 900 km is outside the grid, which spans 0 to 16 km"),
        (("--parameter", "qs"), "use one of vp, vs, rho"),
        (("--kind", "sum"), "use one of model, change, update, kernel"),
        (("--kind", "model", "--against", "start"), "only a change has a reference"),
        (("--against", "nothing.nc"), "there is no such file"),
        (("--iteration", 4, "--kind", "model"), "no model there"),
        (("--iteration", 0, "--kind", "update"), "m00 is the start model"),
        (("--event", "a1", "--depth", "4"), "--event draws waveforms"),
    ],
)
def test_plot_says_what_was_wrong(root, run, options, message):
    code, _, error = run("plot", "-p", root, *options)
    assert code == 2 and message in error


def test_what_was_typed_is_understood():
    wanted = parse_slices(["-122.5,37,-121,38.25"], "3, 10", parameter="vp", against="previous")
    assert wanted.lines == ((-122.5, 37.0, -121.0, 38.25),) and wanted.depths == (3000.0, 10000.0)
    assert wanted == Slices("vp", "change", None, "previous", wanted.lines, wanted.depths)
    with pytest.raises(InputError, match="degrees"):
        parse_slices(["37,-122,38,-121"], None)


def test_negative_longitudes_reach_the_command(root, run):
    code, _, error = run("plot", "-p", root, "--line", "-122,37,-121,38")
    assert code == 2 and "--line -122,37,-121,38: does not cross" in error


def test_lines_are_drawn_where_they_are(root, tmp_path):
    path = draw_slices(Project.open(root), Slices(lines=((21.9, 38.0, 22.1, 38.0),)), tmp_path / "a.png")
    assert path == tmp_path / "a.png" and os.path.getsize(path) > 10_000


# --- exports


def test_export(root, tmp_path, run):
    copy = tiny.copy(root, tmp_path / "copy")
    assert run("export", "-p", copy, "--to", "vtk") == (0, "exports/m02.vti\n", "")
    code, out, _ = run("export", "-p", copy, "--model", 1, "--to", "emc")
    assert (code, out) == (0, "exports/m01.nc\n")
    with xarray.open_dataset(copy / "exports/m01.nc", engine="scipy") as found:
        assert set(found) == {"vp", "vs", "rho", "dvp", "dvs", "drho", "illumination", "crs"}
        here = float(found.vs.interp(latitude=38.0, longitude=22.0, depth=8.0))
        model = read_model(copy / "models/m01.nc")
        assert here == pytest.approx(model.vs[4, 4, 2] / 1000, rel=1e-5)
        assert "after 1 iteration" in found.attrs["title"]
    code, out, _ = run("export", "-p", copy, "--model", 0, "--to", "emc", tmp_path / "start.nc")
    assert code == 0 and out.strip() == (tmp_path / "start.nc").as_posix()
    code, _, error = run("export", "-p", copy, "--to", "xyz")
    assert code == 2 and "use vtk" in error
    code, _, error = run("export", "-p", copy, "--to", "vtk", "--model", 8)
    assert code == 2 and "no model there" in error
