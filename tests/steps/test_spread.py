"""Point-spread functions: linear, symmetric and positive, as the second derivative of a misfit must be."""

from __future__ import annotations

import json
import re
from functools import cache

import numpy as np
import pytest
import tiny

from seisflow.domain import Grid, Model
from seisflow.errors import PhysicsError
from seisflow.io.models import read_kernel, read_model
from seisflow.project import Project
from seisflow.steps.patterns import gaussian
from seisflow.steps.spread import Spot, Spread, _moments

AT = (22.02, 38.0)
EXACT = "cpml_cells: 8, precision: double, snapshots_per_period: .inf"


@pytest.fixture(scope="module")
def exact(tiny_source, tmp_path_factory):
    """The tiny project after iteration 1, in double precision and with every step stored."""
    root = tiny.copy(tiny_source, tmp_path_factory.mktemp("exact") / "project")
    tiny.change_config(root, "name: tiny", "name: tiny\npictures: false")
    tiny.change_config(root, "cpml_cells: 8", EXACT)
    found = tiny.seisflow("iterate", "-i", 1, "-p", root)
    assert found.returncode == 0, found.stderr
    return root


@pytest.fixture(scope="module")
def response(exact):
    """Change of the model and H of it, both (3, nx, ny, nz), and what was measured."""
    from seisflow.workflows.resolution import spread

    still = read_model(exact / "models" / "m00.nc")

    @cache
    def call(spot: Spot):
        found = spread(exact, 1, spot)
        kernel = read_kernel(found["path"])
        moved = read_model(Spread(Project.open(exact), 1, spot).model_path)
        names = Model.PARAMETERS
        change = np.array([moved.fields()[n].astype(float) - still.fields()[n] for n in names])
        return change, np.array([kernel.fields()[n] for n in names], float), found

    return call


SPOT = Spot(*AT, 6e3, "vs", 10e3, 0.002)
OTHER = Spot(21.93, 38.05, 4e3, "vp", 10e3, 0.002)


def test_twice_the_change_has_twice_the_response(response):
    dm, once, _ = response(SPOT)
    twice_dm, twice, _ = response(Spot(*AT, 6e3, "vs", 10e3, 0.004))
    assert np.allclose(twice_dm, 2 * dm, rtol=1e-3)
    apart = np.linalg.norm(twice - 2 * once) / np.linalg.norm(twice)
    assert apart < 0.02, apart
    _, opposite, _ = response(Spot(*AT, 6e3, "vs", 10e3, -0.002))
    even = np.linalg.norm(once + opposite) / np.linalg.norm(
        once
    )  # the second order, which central differences lose
    assert even < 0.04, even


def test_the_second_derivative_is_symmetric(response):
    def central(spot):
        (a, plus, _), (_, minus, _) = response(spot), response(Spot(**{**vars(spot), "change": -spot.change}))
        return a, (plus - minus) / 2

    (a, ha), (b, hb) = central(SPOT), central(OTHER)
    left, right = np.sum(a * hb), np.sum(b * ha)
    size = np.sqrt(abs(np.sum(a * ha) * np.sum(b * hb)))
    assert abs(left) > 0.02 * size  # else the test could not fail
    assert left == pytest.approx(right, abs=1e-4 * size), (left / size, right / size)


def test_the_response_is_positive_at_the_spot_and_wider_than_it(response):
    dm, found, measured = response(SPOT)
    assert np.sum(dm * found) > 0 and measured["curvature"] == pytest.approx(np.sum(dm * found), rel=1e-9)
    assert measured["at_spot"] > 0.1 * abs(measured["largest"])
    place = np.unravel_index(np.argmax(np.abs(dm[1])), dm[1].shape)
    assert found[1][place] > 0
    assert measured["spot"]["width"][0] == pytest.approx(10, rel=0.05)
    assert measured["response"]["width"][0] > 1.2 * measured["spot"]["width"][0]


def test_the_curvature_is_that_of_the_misfit(response, exact):
    """J(m + dm) + J(m - dm) - 2 J(m) = <dm, H dm> to second order, from the misfits of the same runs."""
    project = Project.open(exact)
    sums = []
    for change in (SPOT.change, -SPOT.change):
        spot = Spot(**{**vars(SPOT), "change": change})
        response(spot)
        wanted = Spread(project, 1, spot)
        records = [project.record_of(wanted._record(f"/{event}")) for event in wanted.events]
        sums.append(sum(record["results"]["misfit"] for record in records) / wanted.total.weight)
    still = project.record_of("i01/direction")["results"]["misfit"]
    (dm, plus, _), (_, minus, _) = response(SPOT), response(Spot(**{**vars(SPOT), "change": -SPOT.change}))
    assert sum(sums) - 2 * still == pytest.approx(np.sum(dm * (plus - minus) / 2), rel=0.02)


def test_widths_are_those_of_a_gaussian_and_tails_count_in_one_of_them():
    grid = Grid((-60e3, -60e3, 0.0), (2e3, 2e3, 2e3), (61, 61, 41))
    cells = np.full(grid.shape, 8e9)
    spot = gaussian(grid, (10e3, -8e3, 40e3), 20e3)
    found = _moments(grid, -1e-6 * spot, cells)
    assert found["centre"] == pytest.approx([10, -8, 40], abs=0.01)
    assert found["width"] == pytest.approx([20] * 3, rel=0.01)
    assert found["core"] == pytest.approx([20] * 3, rel=0.05)
    far = spot + 0.4 * gaussian(grid, (-40e3, -8e3, 40e3), 20e3)
    with_lobe = _moments(grid, far, cells)
    assert with_lobe["core"] == pytest.approx(found["core"], rel=0.05)
    assert with_lobe["width"][0] > 40 and with_lobe["width"][1:] == pytest.approx([20, 20], rel=0.02)
    with pytest.raises(PhysicsError, match="zero everywhere"):
        _moments(grid, 0 * spot, cells)


# --- through the command line


def test_it_is_written_drawn_told_and_not_repeated(run, done):
    words = ("resolution", "spread", "-p", done, "-i", 1, "--at", "22.02,38,6", "--size", 10)
    code, out, error = run(*words)
    assert code == 0, error
    lines = out.splitlines()
    assert lines[0].split("\t") == ["width along", "spot", "response", "its core", "its centre moved"]
    assert [line.split("\t")[0] for line in lines[1:4]] == ["x (east)", "y (north)", "z (down)"]
    assert re.fullmatch(r"at the spot \d+ % of the largest response; curvature of the misfit \S+", lines[4])
    path, picture = (done / name for name in lines[5].split(", "))
    assert path == done / "iterations" / "i01" / "spread" / "vs_22.02_38_6km_10km.nc"
    assert picture.read_bytes().startswith(b"\x89PNG")
    stamps = {p: p.stat().st_mtime_ns for p in (done / "iterations").rglob("*") if p.is_file()}
    code, again, error = run(*words)
    assert code == 0 and again == out
    after = {p: p.stat().st_mtime_ns for p in (done / "iterations").rglob("*") if p.is_file()}
    after[path.with_suffix("") / "model.nc"] = stamps[
        path.with_suffix("") / "model.nc"
    ]  # the same bytes again
    assert after == stamps
    (path.with_suffix("") / "a2.kernel.nc").unlink()
    code, out, error = run(*words, "--json")
    found = json.loads(out)
    assert code == 0 and found["path"] == lines[5].split(", ")[0], error
    assert found["response"]["width"][0] > found["spot"]["width"][0]
    changed = {p.name for p in stamps if p.stat().st_mtime_ns != stamps[p]} - {"model.nc"}
    assert {"a2.kernel.nc", "a2.json"} <= changed and not {"a1.kernel.nc", "a3.kernel.nc"} & changed
    assert run("status", "--verify", "-p", done)[0] == 0
    assert run("status", "-p", done)[1].splitlines()[2].split("\t")[2] == "done"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-i", 2, "--at", "22,38,6"], "`seisflow iterate --iteration 2` makes it"),
        (["-i", 1, "--at", "23,38,6"], "is outside the model"),
        (["-i", 1, "--at", "22,38,6", "--parameter", "q"], "--parameter q"),
        (["-i", 1, "--at", "22,38,6", "--size", 3], "a spot of 3 km along x"),
        (["-i", 1, "--at", "22,38,6", "--change", 0.2], "--change 0.2"),
        (["-i", 9, "--at", "22,38,6"], "hold 5 iterations"),
    ],
)
def test_what_cannot_be_done_is_told(run, done, options, complaint):
    code, _, error = run("resolution", "spread", "-p", done, *options)
    assert code == 2 and complaint in error
    assert not (done / "iterations" / "i01" / "spread").exists()


def test_a_kernel_of_other_settings_is_not_compared_with(run, done):
    tiny.change_config(done, "kind: waveform", "kind: cc_traveltime")
    code, _, error = run("resolution", "spread", "-p", done, "-i", 1, "--at", "22,38,6")
    assert code == 2 and "setting misfit.kind changed" in error and "seisflow iterate --iteration 1" in error
