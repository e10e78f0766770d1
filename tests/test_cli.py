"""The command line, from init to pictures, as a user runs it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

from seisflow.steps.create import create_project, examples

HEAVY = ("numpy", "scipy", "obspy", "pydantic", "prefect", "matplotlib", "xarray", "rich.table", "yaml")


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time."""
    return {
        str(path.relative_to(root)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def modules_after(code: str, *arguments: object) -> set[str]:
    """What Python has imported after some code."""
    script = f"import sys, json\n{code}\nprint('MODULES' + json.dumps(sorted(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 0, found.stderr
    return set(json.loads(found.stdout.rpartition("MODULES")[2]))


# --- help


def test_help_imports_nothing_heavy():
    run = (
        "from seisflow.cli import main\nsys.argv = ['seisflow', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    loaded = modules_after(run)
    assert "typer" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_a_finished_iteration_is_told_without_what_computing_needs(done):
    run = (
        "from seisflow.cli import main\nsys.argv = ['seisflow', 'iterate', '-i', '1', '-p', sys.argv[1]]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    )
    loaded = modules_after(run, done)
    assert "seisflow.steps.pending" in loaded and "seisflow.workflows.iterate" not in loaded
    assert [name for name in HEAVY if name in loaded] == ["numpy", "pydantic", "yaml"]


def test_help_begins_with_an_example_and_names_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    assert "seisflow init demo --example checkerboard" in " ".join(out.split())
    for name in ("init", "import", "check", "iterate", "status", "why", "plot", "gain", "check-gradient"):
        assert re.search(rf"^\s+{name}\s", out, re.M)


def test_an_unknown_command_or_option_is_wrong_input(run):
    assert run("itreate")[0] == 2
    code, _, error = run("iterate", "--iteraton", 1)
    assert code == 2 and "--iteration" in error
    assert run("iterate")[0] == 2
    assert run("iterate", "-i", 0)[0] == 2


def test_version(run):
    assert run("--version")[:2] == (0, "seisflow 0.1.0\n")


# --- init


def test_an_empty_project_is_made_once_and_never_over_another(run, tmp_path):
    root = tmp_path / "new"
    code, out, _ = run("init", root)
    assert code == 0 and "seisflow import" in out
    assert {path.name for path in root.iterdir()} == {
        "events", "stations", "observed", "models", "seisflow.yaml",
    }  # fmt: skip
    before = snapshot(root)
    code, _, error = run("init", root)
    assert code == 2 and "choose another folder" in error
    assert snapshot(root) == before
    code, _, error = run("iterate", "-i", 1, "-p", root)
    assert code == 2 and "no events there" in error and "seisflow import" in error


def test_examples_are_named_and_whole(run, tmp_path):
    assert "checkerboard" in examples() and "template" not in examples()
    code, _, error = run("init", tmp_path / "x", "--example", "chessboard")
    assert code == 2 and "there are checkerboard" in error
    assert not (tmp_path / "x").exists()
    create_project(tmp_path / "y", "checkerboard")
    assert (tmp_path / "y" / "models" / "m00.nc").is_file()
    assert not list((tmp_path / "y").rglob("*.py"))


# --- one iteration


def test_an_iteration_lowers_the_misfit_of_used_and_held_out_events(done):
    text = (done / "stdout.txt").read_text()
    found = re.fullmatch(
        r"iteration 1: misfit (\S+) -> (\S+) \((\S+) %\), held-out events (\S+) %\n",
        text,
    )
    assert found is not None, text
    assert float(found[2]) < 0.95 * float(found[1])
    assert float(found[3]) < -5 and float(found[4]) < 0


def test_progress_goes_to_stderr_one_line_a_fact_and_without_colours(done):
    lines = (done / "stderr.txt").read_text().splitlines()
    assert all(line.startswith("i01") for line in lines), lines
    assert "\x1b" not in (done / "stderr.txt").read_text() + (done / "stdout.txt").read_text()


def test_the_new_model_opens_in_xarray_and_differs(done):
    import xarray

    with (
        xarray.open_dataset(done / "models" / "m00.nc") as old,
        xarray.open_dataset(done / "models" / "m01.nc") as new,
    ):
        assert new["vs"].dims == ("x", "y", "z") and new["vs"].attrs["units"] == "m s-1"
        change = np.abs(new["vs"] / old["vs"] - 1)
        assert 0.005 < float(change.max()) < 0.05
        assert np.array_equal(old["rho"], new["rho"])  # not inverted


def test_the_file_of_an_event_is_asdf_that_pyasdf_finds_good(done):
    import pyasdf

    path = done / "iterations" / "i01" / "s00" / "a1.h5"
    with pyasdf.ASDFDataSet(path, mode="r", mpi=False) as dataset:
        assert len(dataset.waveforms.list()) == tiny.STATIONS
        assert len(dataset.events) == 1
        assert {"observed_processed", "synthetic_processed"} <= set(
            dataset.waveforms["XX.S0"].get_waveform_tags()
        )
        assert dataset.auxiliary_data.list()
        found = dataset.validate()
    assert found is None or not found


def test_pictures_are_drawn_after_an_iteration_and_only_they_if_the_rest_is_done(run, done):
    tiny.change_config(done, "pictures: false", "pictures: true")
    assert (
        "iteration 1: 1 steps would run\n  i01/pictures: it"
        in run("iterate", "-i", 1, "-p", done, "--dry-run")[1]
    )
    before = snapshot(done)
    code, out, _ = run("iterate", "-i", 1, "-p", done)
    assert code == 0 and out.endswith("pictures in iterations/i01/pictures\n")
    changed = {name for name, stamp in snapshot(done).items() if before.get(name) != stamp}
    others = {name for name in changed if "/pictures" not in name}
    assert others <= {".seisflow/lock", ".seisflow/hashes.json"}
    folder = done / "iterations" / "i01" / "pictures"
    names = {path.name for path in folder.iterdir()}
    wanted = {"misfit.png", "overview.png", "map.png", "model_vs.png", "kernel_vs.png", "update_vs.png"}
    assert wanted | {f"waveforms_{event}.png" for event in tiny.EVENTS} <= names
    for path in folder.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000
    assert run("iterate", "-i", 1, "-p", done)[1].startswith("iteration 1 is done")
    assert run("why", "i01/pictures", "-p", done)[1] == "i01/pictures: is done, its record holds\n"


def test_nothing_temporary_is_left(done):
    assert tiny.temporary_files(done) == []


# --- again


def test_the_same_command_again_does_nothing(run, done):
    before = snapshot(done)
    code, out, error = run("iterate", "-i", 1, "-p", done)
    assert code == 0
    assert out.startswith("iteration 1 is done: misfit ")
    assert error == ""
    assert {name: stamp for name, stamp in snapshot(done).items() if not name.startswith(".seisflow")} == {
        name: stamp for name, stamp in before.items() if not name.startswith(".seisflow")
    }


def test_finished_work_answers_before_prefect_or_a_picture_is_imported(done):
    run = (
        "from seisflow.cli import main\nsys.argv = ['seisflow', 'iterate', '-i', '1', '-p', sys.argv[1]]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    loaded = modules_after(run, done)
    assert "seisflow.project" in loaded
    assert [name for name in ("prefect", "matplotlib", "seisflow.workflows.iterate") if name in loaded] == []


def test_a_dry_run_of_a_done_iteration_has_nothing_to_do(run, done):
    code, out, _ = run("iterate", "-i", 1, "-p", done, "--dry-run")
    assert code == 0 and out.startswith("iteration 1: 0 steps would run\n")


def test_a_dry_run_writes_nothing_and_says_why_and_how_long(run, project):
    before = snapshot(project)
    code, out, _ = run("iterate", "-i", 1, "--through", 2, "-p", project, "--dry-run")
    assert code == 0
    assert snapshot(project) == before
    for event in tiny.EVENTS:
        assert f"i01/s00/{event}: it has not run yet" in out
    assert "iteration 2: everything, after iteration 1" in out
    assert re.search(r"memory \S+ GB .*about \S+ (s|min|h) for the iteration", out)


def test_why_names_the_input_that_changed(run, done):
    assert run("why", "i01/s00/a1", "-p", done)[1] == "i01/s00/a1: is done, its record holds\n"
    path = done / "observed" / "a1.h5"
    path.write_bytes(path.read_bytes() + b"\x00")
    code, out, _ = run("why", "i01/s00/a1", "-p", done)
    assert code == 0 and "observed/a1.h5 changed" in out
    tiny.change_config(done, "min_correlation: 0.6", "min_correlation: 0.7")
    assert (
        "setting windows.min_correlation changed from 0.6 to 0.7" in run("why", "i01/s00/a2", "-p", done)[1]
    )
    code, _, error = run("why", "i01/s00/zz", "-p", done)
    assert code == 2 and "events are a1, a2, a3, h1" in error
    code, _, error = run("why", "nonsense", "-p", done)
    assert code == 2 and "i05/s00/EVENT" in error


def test_frozen_windows_that_would_be_others_now_are_not_used(run, done):
    tiny.change_config(done, "min_correlation: 0.6", "min_correlation: 0.7")
    for command in (["iterate", "-i", 2], ["iterate", "-i", 2, "--dry-run"], ["check", "--iteration", 2]):
        code, _, error = run(*command, "-p", done)
        assert code == 2
        assert "iteration 2 takes its windows from iteration 1" in error
        assert "setting windows.min_correlation changed from 0.6 to 0.7 (event a1, a2, a3, h1)" in error
        assert "seisflow iterate --iteration 1 --through 2" in error
    tiny.change_config(done, "min_correlation: 0.7", "min_correlation: 0.6")
    tiny.change_config(done, "kind: waveform", "kind: cc_traveltime")  # the windows stay
    assert run("check", "--iteration", 2, "-p", done)[0] == 0
    tiny.change_config(done, "hold_out: [h1]", "hold_out: [h1, XX.S0]")
    assert run("check", "--iteration", 2, "-p", done)[0] == 0


def test_another_misfit_makes_no_pair_for_lbfgs(run, done):
    tiny.change_config(done, "kind: waveform", "kind: cc_traveltime")
    code, _, error = run("iterate", "-i", 2, "-p", done)
    assert code == 0
    assert "direction by steepest descent; restarted: the setting misfit changed since iteration 1" in error


def test_an_iteration_without_the_one_before_says_which_command_comes_first(run, done):
    code, out, error = run("iterate", "-i", 5, "-p", done)
    assert code == 2 and out == ""
    assert "models/m04.nc" in error and "`seisflow iterate --iteration 2" in error
    code, _, error = run("iterate", "-i", 6, "-p", done)
    assert code == 2 and "hold 5 iterations" in error
    code, _, error = run("iterate", "-i", 3, "--through", 2, "-p", done)
    assert code == 2 and "comes before" in error


# --- status


def test_status_for_programs(run, done):
    code, out, _ = run("status", "--json", "-p", done)
    found = json.loads(out)
    assert code == 0
    first, second = found["iterations"][:2]
    assert found["models"] == ["m00", "m01"] and found["running"] is None
    assert first["state"] == "done" and first["misfit"][1] < first["misfit"][0]
    assert {event["state"] for event in first["events"].values()} == {"done"}
    assert second["state"] in ("not started", "prepared") and second["misfit"] is None


def test_status_for_pipes_is_one_row_an_iteration(run, done):
    code, out, error = run("status", "-p", done)
    lines = out.splitlines()
    assert code == 0 and error == ""
    assert lines[0] == "tiny: 4 events, 1 held out"
    rows = [line.split("\t") for line in lines[1:7]]
    assert rows[0][0] == "iter" and {len(row) for row in rows} == {9}
    assert rows[1][:4] == ["1", "6-20 s", "done", "4/4"]
    assert re.fullmatch(r"-\d+\.\d %", rows[1][7]) and re.fullmatch(r"-\d+\.\d %", rows[1][8])
    assert rows[2][:2] == ["2", "6-20 s"] and rows[2][4:8] == ["-"] * 4
    assert "\x1b" not in out


def test_status_verify_finds_a_changed_byte(run, done):
    assert run("status", "--verify", "-p", done)[0] == 0
    path = done / "iterations" / "i01" / "s00" / "a1.kernel.nc"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, out, _ = run("status", "--verify", "-p", done)
    assert code == 1 and "a1.kernel.nc is not what it wrote" in out


# --- the other commands


def test_check_says_what_an_iteration_takes(run, project):
    code, out, _ = run("check", "-p", project)
    assert code == 0
    assert "tiny: 3 events to invert, 1 held out" in out and "simulation grid" in out and "GB" in out


def test_simulate_writes_seismograms(run, project):
    from seisflow.io.event_file import read_event

    code, out, _ = run("simulate", "--event", "a2", "-p", project)
    assert code == 0 and out.startswith("simulations/m00/a2.h5: 8 stations")
    gather = read_event(project / "simulations" / "m00" / "a2.h5").gathers["synthetic"]
    assert gather.quantity == "velocity" and np.all(np.abs(gather.data).max(axis=2) > 0)
    code, _, error = run("simulate", "--event", "zz", "-p", project)
    assert code == 2 and "events are a1, a2, a3, h1" in error
    assert run("simulate", "--event", "a2", "--stage", 3, "-p", project)[0] == 2
    code, _, error = run("simulate", "--event", "a2", "--model", 7, "-p", project)
    assert code == 2 and "m07.nc" in error


def test_gain_compares_models_on_whole_seismograms(run, done):
    code, out, _ = run("gain", "-p", done, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["used"][1] < found["used"][0] and found["held_out"][1] < found["held_out"][0]
    code, out, _ = run("gain", "-p", done)
    assert code == 0 and "events held out\t" in out
    code, _, error = run("gain", "-p", done, "--model", 3)
    assert code == 2 and "models/m03.nc is not there" in error


def test_plot_draws_the_project_and_an_iteration_again(run, done):
    code, out, _ = run("plot", "-p", done)
    assert code == 0 and out.splitlines() == [
        "pictures/map.png",
        "pictures/m00_vp.png",
        "pictures/m00_vs.png",
        "pictures/misfit.png",
        "pictures/shifts.png",
        "pictures/shifts_map.png",
    ]
    assert (done / "pictures" / "map.png").is_file()
    code, _, error = run("plot", "-p", done, "--iteration", 3)
    assert code == 2 and "seisflow iterate --iteration 3" in error
    code, out, _ = run("plot", "-p", done, "--iteration", 1, "--event", tiny.EVENTS[1])
    assert code == 0 and out == f"iterations/i01/pictures/waveforms_{tiny.EVENTS[1]}.png\n"
    assert (done / out.strip()).is_file()
    for options in (["--iteration", 1, "--event", "nobody"], ["--event", tiny.EVENTS[1]]):
        code, _, error = run("plot", "-p", done, *options)
        assert code == 2 and ("event nobody" in error or "--iteration" in error)


def test_the_gradient_is_exact_through_the_whole_chain(run, project):
    code, out, _ = run("check-gradient", "-p", project)
    assert code == 0 and "the gradient is exact" in out
    rows = [line.split("\t") for line in out.splitlines() if "e-" in line]
    for name in ("vp", "vs", "rho"):
        last = [row for row in rows if row[0] == name][-1]
        assert abs(float(last[3]) - 2) < 0.1
        assert abs(float(last[4]) - 1) < 1e-3


@pytest.mark.parametrize("columns", [80, 200])
def test_status_fits_a_terminal_and_has_no_escapes(done, columns):
    import fcntl
    import os
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        tiny.command("status", "-p", done), stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL
    )
    os.close(theirs)
    text = b""
    try:
        while block := os.read(ours, 4096):
            text += block
    except OSError:
        pass  # the other side is closed
    finally:
        os.close(ours)
        process.wait(timeout=30)
    lines = text.decode().splitlines()
    assert process.returncode == 0 and "\x1b" not in text.decode()
    assert max(map(len, lines)) <= 80
    assert lines[3].split() == ["1", "6-20", "s", "done", "4/4", *lines[3].split()[5:]]
