"""Several bands in one iteration: one simulation, adjoint sources summed."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from seisflow.workflows.iterate import iterate

from seisflow.errors import ConfigError
from seisflow.io.event_file import read_event
from seisflow.io.models import read_kernel
from seisflow.project import Project
from seisflow.steps.event import EventStep
from seisflow.steps.event_run import run_event
from seisflow.steps.gradient_check import check_gradient
from seisflow.steps.measured import band_names, measured
from seisflow.steps.query import ask

WINDOWS = (
    "{travel_times: velocities, min_velocity: 1500, max_velocity: 7000, max_shift: 3, min_correlation: 0.6}"
)
FIRST = f"  - periods: [6, 20]\n    iterations: 3\n    misfit: {{kind: waveform}}\n    windows: {WINDOWS}\n"
LOW, HIGH = (
    "periods: [7, 20], misfit: {kind: cc_traveltime}",
    "periods: [5, 12], misfit: {kind: exponentiated_phase}",
)
DOUBLE = "cpml_cells: 8", "cpml_cells: 8, precision: double"
SILENT = ", windows: {travel_times: velocities, water_level: 1000}"


def stage(*bands: str) -> str:
    """The first stage with these bands."""
    rows = "".join(f"      - {{{band}}}\n" for band in bands)
    return f"  - bands:\n{rows}    iterations: 3\n    windows: {WINDOWS}\n"


def with_bands(root, *bands: str) -> Project:
    """The tiny project with its first stage changed."""
    tiny.change_config(root, FIRST, stage(*bands))
    return Project.open(root)


@pytest.fixture(scope="module")
def alone(tiny_source, tmp_path_factory):
    """Event files and kernels of the two bands, each in a project where the other has no windows."""
    found = []
    for number, bands in enumerate(((LOW, HIGH + SILENT), (LOW + SILENT, HIGH))):
        root = tiny.copy(tiny_source, tmp_path_factory.mktemp("alone") / str(number))
        tiny.change_config(root, *DOUBLE)
        project = with_bands(root, *bands)
        run_event(EventStep(project, 1, 0, "a1"))
        found.append((read_event(project.event_file(1, 0, "a1")), read_kernel(project.kernel_path(1, "a1"))))
    return found


def test_misfit_and_gradient_are_the_sums_of_the_bands(project, alone):
    tiny.change_config(project, *DOUBLE)
    both = with_bands(project, LOW, HIGH)
    results = run_event(EventStep(both, 1, 0, "a1"))
    content, kernel = read_event(both.event_file(1, 0, "a1")), read_kernel(both.kernel_path(1, "a1"))
    for number, (single, _) in enumerate(alone):
        there = [row for row in content.measurements if row.window.band == number]
        assert [(row.value, row.window.start, row.shift) for row in there] == [
            (row.value, row.window.start, row.shift) for row in single.measurements
        ]
        assert list(single.adjoints) == [number]
        assert np.array_equal(content.adjoints[number].data, single.adjoints[number].data)
    assert results["runs"] == 2
    assert results["misfit"] == pytest.approx(sum(single.results["misfit"] for single, _ in alone), rel=1e-12)
    assert results["windows"] == sum(len(single.windows) for single, _ in alone)
    assert results["unsafe"] == sum(single.results["unsafe"] for single, _ in alone)
    for name, values in kernel.fields().items():
        total = sum(single.fields()[name].astype(np.float64) for _, single in alone)
        assert np.abs(values - total).max() < 1e-6 * np.abs(total).max()


def test_the_gradient_of_several_bands_is_exact(project):
    for row in check_gradient(with_bands(project, LOW, HIGH), "a1", change=0.005):
        assert abs(row.orders[-1] - 2) < 0.1 and abs(row.ratio - 1) < 2e-3


def test_an_iteration_of_several_bands_is_measured_resumed_and_asked_by_band(project):
    both = with_bands(project, LOW, HIGH)
    tiny.change_config(project, "hold_out: [h1]", "hold_out: [h1, a2/XX.S3]")
    both = Project.open(project)
    gained, _ = iterate(project, 1, 2)
    assert gained["misfit"][1] < gained["misfit"][0] and gained["periods"] == [5, 20]
    assert gained["held_out"] is not None
    before = {path: path.read_bytes() for path in project.rglob("*.json")}
    iterate(project, 1, 2)
    assert {path: path.read_bytes() for path in project.rglob("*.json")} == before
    again = read_event(both.event_file(2, 0, "a1"), waveforms=False)
    assert again.windows == read_event(both.event_file(1, 0, "a1"), waveforms=False).windows
    assert band_names(both, 1) == ("7-20 s", "5-12 s")
    rows = measured(both, 1)
    assert {row.band for row in rows} == {"7-20 s", "5-12 s"}
    sql = (
        "select band, shortest_period, misfit_kind, count(*), avg(misfit), avg(misfit_after) from measurements "
        "where kept and not held_out and iteration = 1 group by all order by shortest_period"
    )
    with ask(both, sql) as answer:
        found = answer.read_all().to_pylist()
    assert [(row["band"], row["misfit_kind"]) for row in found] == [
        ("5-12 s", "exponentiated_phase"),
        ("7-20 s", "cc_traveltime"),
    ]
    total = sum(row["count_star()"] for row in found)
    mean = sum(row["avg(misfit_after)"] * row["count_star()"] for row in found) / total
    assert mean == pytest.approx(gained["misfit"][1], rel=1e-12) and total == gained["windows"]
    kept = "select band, count(*) as n from {} where kept and iteration = 1 group by band order by band"
    found = []
    for table in ("candidates", "measurements"):
        with ask(both, kept.format(table)) as answer:
            found.append(answer.read_all().to_pylist())
    assert found[0] == found[1] and len(found[0]) == 2


def test_periods_beside_bands_are_refused(project):
    tiny.change_config(
        project, FIRST, stage(LOW, HIGH).replace("  - bands", "  - periods: [6, 30]\n    bands")
    )
    with pytest.raises(ConfigError, match="given by `bands`"):
        Project.open(project)


def test_a_band_that_the_recordings_cannot_carry_is_named(project):
    tiny.change_config(project, FIRST, stage(LOW, "periods: [6, 90]"))
    with pytest.raises(ConfigError, match=r"stages\.0\.bands\.1\.periods"):
        Project.open(project)
