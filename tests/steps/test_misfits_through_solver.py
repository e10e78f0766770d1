"""Every misfit in the whole chain: model, simulation, treatment, windows, rotation; the derivative is exact."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import tiny

from seisflow.io.event_file import read_event
from seisflow.misfits import MisfitConfig, create, measure_gather
from seisflow.project import Project
from seisflow.steps import gradient_check
from seisflow.steps.event import EventStep
from seisflow.steps.event_run import run_event
from seisflow.steps.gradient_check import check_gradient
from seisflow.steps.inputs import model_of

LENGTHS = (0.004, 0.002, 0.001)


def with_misfit(root, settings):
    tiny.change_config(root, "misfit: {kind: waveform}", f"misfit: {settings}")
    return Project.open(root)


@pytest.fixture(scope="module")
def runs(tiny_source):
    """The start model run with all steps kept, and changed models; all misfits look at the same runs."""
    step = EventStep(Project.open(tiny_source), 1, 0, tiny.EVENTS[0])
    model = model_of(step.project.model_path(0))
    chain = gradient_check._Chain(step, gradient_check._exact_solver(step, model, 2))
    step.take_forward(chain.forward(model, keep=True))
    step.select_windows()
    moved = {}
    for length in (*LENGTHS, -LENGTHS[-1]):
        changed = model
        for number, name in enumerate(model.PARAMETERS):
            direction = gradient_check._direction(model, number)
            changed = gradient_check._moved(changed, name, direction, length)
        moved[length] = step.bands[0].pipeline.apply(chain.forward(changed).gather)
    return model, chain, moved


@pytest.mark.parametrize("config", get_args(MisfitConfig), ids=lambda config: config().kind)
def test_the_gradient_is_exact_through_the_solver(runs, config):
    """Taylor remainders fall with the square of the step, for windows on R, T and Z."""
    model, chain, moved = runs
    step, misfit = chain.step, create(config(), chain.step.bands[0].signal.band)
    assert {window.component for window in step.windows} == {"R", "T", "Z"}
    band = step.bands[0]
    base = measure_gather(misfit, band.observed, band.synthetic, step.windows, strict=False)
    windows = [row.window for row in base.rows]
    assert len(windows) > 0.7 * len(step.windows)
    kernel = chain.solver.adjoint(step.forward, band.pipeline.adjoint(base.adjoint)).fields()
    slope = sum(
        np.sum(kernel[name] * model.fields()[name] * gradient_check._direction(model, number))
        for number, name in enumerate(model.PARAMETERS)
    )
    values = {
        length: measure_gather(misfit, band.observed, gather, windows).value
        for length, gather in moved.items()
    }
    rest = [abs(values[length] - base.value - length * slope) for length in LENGTHS]
    assert np.log2(rest[1] / rest[2]) == pytest.approx(2, abs=0.1)
    assert np.log2(rest[0] / rest[1]) == pytest.approx(2, abs=0.2)
    found = (values[LENGTHS[-1]] - values[-LENGTHS[-1]]) / (2 * LENGTHS[-1])
    assert found == pytest.approx(slope, rel=5e-4)


def test_the_check_of_the_command_line_takes_the_band_of_the_stage(project):
    rows = check_gradient(with_misfit(project, "{kind: multitaper_phase}"), tiny.EVENTS[0], change=0.005)
    for row in rows:
        assert abs(row.orders[-1] - 2) < 0.1 and abs(row.ratio - 1) < 2e-3


def test_what_cannot_be_measured_is_listed_and_left_out(project):
    """Most windows hold fewer than four cycles of the band."""
    step = EventStep(with_misfit(project, "{kind: multitaper_phase, min_cycles: 2.5}"), 1, 0, tiny.EVENTS[0])
    results = run_event(step)
    content = read_event(step.project.event_file(1, 0, tiny.EVENTS[0]))
    lost = [row for row in content.rejections if row.stage == "misfit"]
    assert lost and all("too short" in row.reason and row.start is not None for row in lost)
    assert {row.window.component for row in content.measurements} <= {"R", "T", "Z"}
    assert [row.window for row in content.measurements] == list(content.windows)
    taken = {(row.station, row.component, row.start) for row in lost}
    assert not taken & {(window.station, window.component, window.start) for window in content.windows}
    assert results["windows"] == len(content.windows) > 0
    errors = [row.error for row in content.measurements]
    assert all(error is not None and error > 0 for error in errors)
    assert np.isfinite(content.adjoint.data).all()
