"""The inversion for a source on recordings of a known one."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
import tiny

from seisflow.config_file import load
from seisflow.domain import MomentTensor
from seisflow.domain.mechanism import rotation_angle
from seisflow.errors import InputError, MissingError
from seisflow.io.events import read_quakeml, write_quakeml
from seisflow.project import Project
from seisflow.steps.event import EventStep
from seisflow.steps.inputs import event_of, model_of, simulation_of
from seisflow.steps.source import SourceOptions, SourceStep, adopt, discard


@pytest.fixture
def wrong(tiny_source, tmp_path):
    """A project whose event a1 is elsewhere, later and has another tensor than its recordings; and the true event."""
    root = tiny.copy(tiny_source, tmp_path / "project")
    tiny.observe(root, ("a1",), noise=0.0, anomaly=0.0, period=6.0, as_solved=True)
    path = root / "events" / "a1.xml"
    (true,) = read_quakeml(path)
    projection = load(root / "seisflow.yaml").region.projection()
    x, y = projection.to_local(true.latitude, true.longitude)
    latitude, longitude = projection.to_geographic(x + 900, y - 700)
    values = np.array(astuple(true.source))
    changed = values + 0.4 * np.abs(values).mean() * np.random.default_rng(1).standard_normal(6)
    wrong = replace(
        true, latitude=latitude, longitude=longitude, depth=true.depth + 1200, time=true.time + 0.4,
        source=MomentTensor(*changed),
    )  # fmt: skip
    write_quakeml(path, wrong)
    return root, true


def offset(root, event, true):
    projection = load(root / "seisflow.yaml").region.projection()
    places = [(*projection.to_local(e.latitude, e.longitude), e.depth) for e in (event, true)]
    return np.subtract(*places)


def test_tensor_and_time_at_a_place_that_stays(wrong):
    """No place is moved: 6 simulations. The original is not touched, the solution is used once it is adopted."""
    root, true = wrong
    project = Project.open(root)
    original = project.event_path("a1").read_bytes()
    options = SourceOptions(mechanism="full", fixed=("place", "depth"))
    step = SourceStep(project, "a1", options)
    result = step.run()
    assert step.runs == 6
    assert result["misfit"][1] < 0.3 * result["misfit"][0]
    assert result["later"] == pytest.approx(-0.4, abs=0.2)
    assert result["errors"]["magnitude"] > 0
    assert SourceStep(project, "a1", options).run() == result  # from its record
    assert project.event_path("a1").read_bytes() == original
    with pytest.raises(MissingError, match="seisflow source --event a2"):
        adopt(project, "a2")
    used = adopt(project, "a1")
    assert project.event_path("a1") == used
    assert (root / "events" / "a1.xml").read_bytes() == original
    assert event_of(Project.open(root), "a1").time == pytest.approx(true.time, abs=0.2)
    assert discard(project, "a1") and not discard(project, "a1")
    assert project.event_path("a1").read_bytes() == original


def misfit_of(project, event, windows):
    """Misfit of an event as the tomography measures it, in windows that stay, R and T as for the event on disk."""
    step = EventStep(project, 1, 0, event.id)
    model = model_of(step.model_path)
    simulation = simulation_of(project.config, model, event, step.stations, step.stage)
    step.take_forward(step.solver.forward(simulation))
    for band in step.bands:
        band.take(windows, [])
    step.measure()
    return step.misfit


def changed_event(event, projection, along):
    """An event whose source is changed along the parameters of SourceDerivatives."""
    x, y = projection.to_local(event.latitude, event.longitude)
    latitude, longitude = projection.to_geographic(x + along[6], y + along[7])
    function = replace(event.time_function, delay=event.time_function.delay + along[9])
    return replace(
        event, latitude=latitude, longitude=longitude, depth=event.depth + along[8], time_function=function,
        source=MomentTensor(*(np.array(astuple(event.source)) + along[:6])),
    )  # fmt: skip


@pytest.mark.parametrize("which", ["all", *(pytest.param(k, marks=pytest.mark.slow) for k in range(10))])
def test_derivatives_through_the_whole_chain_are_those_of_finite_differences(wrong, which):
    """From a change of the event, through projection, solver, treatment, windows and misfit, to the number."""
    root, _ = wrong
    tiny.change_config(root, "solver: {kind: elastic3d,", "solver: {kind: elastic3d, precision: double,")
    project = Project.open(root)
    step = EventStep(project, 1, 0, "a1")
    step.simulate()
    step.select_windows()
    step.measure()
    source = step.bands[0].source
    kernel = step.solver.adjoint(step.forward, source, with_source=True)
    slopes = np.array(astuple(kernel.source))
    scales = np.array([1e14] * 6 + [30.0, 30.0, 30.0, 0.02])
    mixed = scales * [0.3, -0.4, 0.5, 0.2, -0.7, 0.6, 1.0, -1.0, 1.0, 1.0]
    along = mixed if which == "all" else np.where(np.arange(10) == which, scales, 0.0)
    projection = project.config.region.projection()
    ends = [
        misfit_of(project, changed_event(step.source, projection, sign * 0.1 * along), step.windows)
        for sign in (1, -1)
    ]
    most = np.abs(slopes * scales).max()
    assert (ends[0] - ends[1]) / 0.2 == pytest.approx(slopes @ along, rel=2e-3, abs=1e-4 * most)


@pytest.mark.slow
def test_a_displaced_source_with_a_wrong_tensor_is_found(wrong):
    root, true = wrong
    step = SourceStep(Project.open(root), "a1", SourceOptions(mechanism="full"))
    result = step.run()
    (found,) = read_quakeml(root / "sources" / "a1" / "solution.xml")
    assert result["misfit"][1] < 1e-3 * result["misfit"][0]
    assert np.abs(offset(root, found, true)).max() < 30
    assert found.time == pytest.approx(true.time, abs=0.01)
    assert found.source.magnitude == pytest.approx(true.source.magnitude, abs=0.02)
    assert rotation_angle(found.source, true.source) < 5
    depths = result["depths"]
    assert min(depths, key=lambda row: row[1])[0] == pytest.approx(found.depth)


@pytest.mark.slow
def test_a_killed_inversion_goes_on_to_the_same_answer(wrong, tmp_path):
    root, _ = wrong
    options = SourceOptions(mechanism="double-couple", rounds=2, scan=False)
    twin = tiny.copy(root, tmp_path / "twin")
    whole = SourceStep(Project.open(root), "a1", options).run()

    class Killed(Exception):
        pass

    step, saved = SourceStep(Project.open(twin), "a1", options), []

    def save(state, keep=step._save):
        keep(state)
        saved.append(state.rounds)
        if state.rounds == 1:
            raise Killed

    step._save = save
    with pytest.raises(Killed):
        step.run()
    again = SourceStep(Project.open(twin), "a1", options).run()
    assert {**again, "runs": 0} == {**whole, "runs": 0}
    paths = [base / "sources" / "a1" / "solution.xml" for base in (root, twin)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mechanism": "explosion"}, "use full, deviatoric or double-couple"),
        ({"fixed": ("height",)}, "must be of place, depth, time"),
        ({"rounds": 0}, "at least 1"),
    ],
)
def test_wrong_options_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        SourceOptions(**change)


def test_an_unknown_misfit_is_refused(wrong):
    with pytest.raises(InputError, match="--misfit nothing"):
        SourceStep(Project.open(wrong[0]), "a1", SourceOptions(misfit="nothing"))
