"""The walk-through of docs/bayarea.md, with the settings that stand there, on the recordings themselves."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import tiny
from pyproj import Geod

from seisflow.domain import Gather, Model, MomentTensor
from seisflow.domain.layers import layered_model
from seisflow.domain.mechanism import NodalPlane, double_couple, nodal_planes, rotation_angle
from seisflow.inversion import gaussian_smooth
from seisflow.io.asdf_reading import read_observed
from seisflow.io.event_file import read_event
from seisflow.io.events import read_quakeml, write_quakeml
from seisflow.io.layers import read_layers
from seisflow.io.models import write_model
from seisflow.project import Project
from seisflow.signal import Pipeline, TimeAxis, prepare_observed
from seisflow.signal.bandpass import BandPass
from seisflow.solvers import create
from seisflow.steps.create import create_project
from seisflow.steps.importing import Imported, import_files
from seisflow.steps.inputs import event_of, model_of, simulation_of, stations_of
from seisflow.windows import select
from tests.reference import fk_greens

pytestmark = pytest.mark.realdata

PAGE = Path(__file__).parents[2] / "docs" / "bayarea.md"
BEFORE, COMPARED, AFTER = 50, 150, 200
"""Seconds (and samples): before the origin, after it that are compared, and after it that are simulated."""
WIDTH = 1.5
"""Of the source of ``Case.exact``, exp(-(t/WIDTH)^2), s."""
COARSE = 3750.0
"""What the solver chooses by itself, m."""


@dataclass
class Case:
    project: Project
    report: Imported
    folder: Path
    weights: dict[str, float]

    @property
    def event(self):
        """With the centroid depth that tensor and Green's functions are for."""
        (name,) = self.project.event_ids
        return replace(event_of(self.project, name), depth=12e3)

    @property
    def axis(self):
        return TimeAxis.covering(-BEFORE, AFTER, 1.0)

    def simulated(self, spacing: float | None = None, model: Model | None = None) -> Gather:
        """Treated synthetics on ``axis``."""
        config, stations = self.project.config, stations_of(self.project)
        model = model or model_of(self.project.model_path(0))
        simulation = replace(simulation_of(config, model, self.event, stations, 0), duration=float(AFTER))
        settings = replace(config.solver, spacing=spacing) if spacing else config.solver
        return self.treated(create(settings, threads=2).forward(simulation).gather)

    def treated(self, raw: Gather) -> Gather:
        config = self.project.config.signal(0)
        return Pipeline(config, TimeAxis.of(raw), self.axis, self.event, raw.stations).apply(raw)

    @cached_property
    def observed(self) -> Gather:
        """Treated recordings on ``axis``."""
        stream, inventory = read_observed(self.project.observed_path(self.event.id))
        stations, config = stations_of(self.project), self.project.config.signal(0)
        gather, rejections = prepare_observed(stream, inventory, self.event, stations, self.axis, config)
        assert rejections == []
        return gather

    @cached_property
    def greens(self) -> Gather:
        """What the Green's functions give, from the origin time on."""
        return fk_greens.synthetics(self.folder / "greens_gil7", self.event, stations_of(self.project))

    def exact(self, period: float | None) -> np.ndarray:
        """Elastic displacement in the layers, from the origin time on, for a source as long as ``WIDTH``.

        R, T, Z; speeds as at one period, or as given.
        """
        layers = read_layers(self.folder / "gil7.txt")
        layers = layers if period is None else layers.at_period(period)
        m, delay, rows = self.event.source, 15, []
        tensor = np.array([[m.mpp, -m.mtp, m.mrp], [-m.mtp, m.mtt, -m.mrt], [m.mrp, -m.mrt, m.mrr]])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pyprop8

            thickness = [*layers.thickness[:-1], np.inf]
            table = np.transpose([thickness, layers.vp, layers.vs, layers.rho]) / 1e3  # km, km/s, g/cm3
            azimuth, x, y = self._places()
            times, u = pyprop8.compute_seismograms(
                pyprop8.LayeredStructureModel([tuple(row) for row in table]),
                pyprop8.PointSource(0, 0, self.event.depth / 1e3, tensor / 1e18, np.zeros((3, 1)), 0.0),
                pyprop8.ListOfReceivers(x / 1e3, y / 1e3), 300, 1.0,
                source_time_function=lambda w: np.exp(-((0.5 * w * WIDTH) ** 2) - 1j * w * delay),
                show_progress=False, squeeze_outputs=False, stencil_kwargs={"kmin": 0, "kmax": 1.5, "nk": 900},
            )  # fmt: skip
        band = BandPass(times.size, 1.0, (20.0, 50.0), 3)
        for (east, north, up), a in zip(1e3 * u[0], azimuth, strict=True):
            turned = [east * np.sin(a) + north * np.cos(a), east * np.cos(a) - north * np.sin(a), up]
            rows.append(band.apply(np.array(turned))[:, delay:])
        return np.array(rows)

    def _places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Azimuth, and places around the source in m."""
        geod, event, stations = Geod(ellps="WGS84"), self.event, stations_of(self.project)
        ends = [[getattr(s, name) for s in stations] for name in ("longitude", "latitude")]
        starts = [np.full(len(stations), value) for value in (event.longitude, event.latitude)]
        azimuth, _, distance = geod.inv(*starts, *ends)
        azimuth = np.radians(azimuth)
        return azimuth, distance * np.sin(azimuth), distance * np.cos(azimuth)


@pytest.fixture(scope="module")
def case(shared_data, tmp_path_factory) -> Case:
    folder = shared_data / "bayarea_m43"
    root = tmp_path_factory.mktemp("bayarea") / "bay"
    create_project(root)
    (settings,) = re.findall(r"```yaml\n(name:.*?)```", PAGE.read_text(), re.DOTALL)
    (root / "seisflow.yaml").write_text(settings)
    report = import_files(Project.open(root), [folder])
    weights = {}
    for line in (folder / "reference_solution.txt").read_text().splitlines():
        words = line.split()
        if len(words) == 13 and words[0].startswith("BK."):
            weights[words[0].removesuffix(".00")] = float(words[1])
    return Case(Project.open(root), report, folder, weights)


@pytest.fixture(scope="module")
def coarse(case) -> Gather:
    return case.simulated(COARSE)


def compare(greens: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normalised correlation and ratio of amplitudes to the Green's functions, of every trace."""
    a, b = greens[..., :COMPARED], synthetic[..., :COMPARED]
    energies = np.sum(a * a, axis=-1), np.sum(b * b, axis=-1)
    correlation, ratio = (
        np.sum(a * b, axis=-1) / np.sqrt(energies[0] * energies[1]),
        np.sqrt(energies[1] / energies[0]),
    )
    print(f"correlation: least {correlation.min():.4f}, median {np.median(correlation):.4f}")
    print(f"amplitude: {ratio.min():.3f} to {ratio.max():.3f}, median {np.median(ratio):.3f}")
    print(f"relative L2 difference {np.linalg.norm(a - b) / np.linalg.norm(a):.3f}")
    return correlation, ratio


def variance_reduction(case: Case, synthetic: np.ndarray, largest_shift: int) -> float:
    """Percent; weights proportional to distance, each station may shift by whole seconds."""
    observed = case.observed
    rest = energy = 0.0
    for name, weight in case.weights.items():
        number = observed.station_number(name)
        s = synthetic[number, :, :COMPARED]
        tries = []
        for shift in range(-largest_shift, largest_shift + 1):
            d = observed.data[number, :, BEFORE + shift : BEFORE + shift + COMPARED]
            tries.append((np.sum((d - s) ** 2) / np.sum(d**2), np.sum(d**2)))
        best = min(tries)
        rest, energy = rest + weight * best[0] * best[1], energy + weight * best[1]
    result = float(100 * (1 - rest / energy))
    print(f"variance reduction, shifts up to {largest_shift} s: {result:.1f} percent")
    return result


def test_everything_is_imported(case):
    project = case.project
    assert isinstance(case.event.source, MomentTensor)
    assert case.event.source.scalar_moment == pytest.approx(4.03e15, rel=0.1)
    assert len(stations_of(project)) == 12
    stream, _ = read_observed(project.observed_path(case.event.id))
    assert len(stream) == 36
    model = model_of(project.model_path(0))
    assert model.grid == project.config.region.grid()
    assert np.all(model.vs == model.vs[:1, :1])
    assert model.vs.min() == pytest.approx(1500, rel=0.01) and model.vp.max() == pytest.approx(7830, rel=0.01)
    # the Green's functions, on no day of any earthquake, and a listing are all that is left out
    assert len(case.report.problems) == 2
    assert any("reference_solution.txt" in problem for problem in case.report.problems)
    assert any("120 in all" in problem for problem in case.report.problems)


def test_all_recordings_become_ground_motion(case):
    gather = case.observed
    assert gather.data.shape == (12, 3, BEFORE + AFTER + 1) and gather.live.all()
    assert np.all(np.abs(gather.data).max(axis=-1) < 1e-4)


def test_a_coarse_grid_fits_the_recordings_and_the_greens_functions(case, coarse):
    correlation, ratio = compare(case.greens.data, coarse.data[..., BEFORE:])
    assert correlation.min() > 0.98
    assert abs(np.median(ratio) - 1) < 0.1
    assert variance_reduction(case, coarse.data[..., BEFORE:], 3) > 72
    assert variance_reduction(case, coarse.data[..., BEFORE:], 0) > 56


def test_most_recordings_give_windows(case, coarse):
    observed = case.observed
    stage = case.project.config.stages[0]
    windows, rejections = select(observed, coarse, case.event, stage.windows, stage.periods)
    traces = {(window.station, window.component) for window in windows}
    assert len(traces) > 22
    assert len({station for station, _ in traces}) >= 10
    refused = {(each.station, each.component) for each in rejections}
    assert len(traces | refused) == 36  # of each trace something is said


@pytest.mark.slow
def test_elastic_waves_see_the_speeds_of_their_period(case):
    """The Green's functions have a causal Q of 300, speeds given at 1 Hz. Elastic waves come closest to them with
    speeds at the middle of the band; what is left is attenuation, exp(-pi t / (Q T)), a percent and a half.
    """
    spectrum = np.fft.rfft(case.greens.data, 1024)
    frequency = np.fft.rfftfreq(1024, 1.0)
    smooth = np.fft.irfft(spectrum * np.exp(-((np.pi * frequency * WIDTH) ** 2)), 1024)
    correlation, ratio = compare(smooth, case.exact(np.sqrt(20.0 * 50.0)))
    assert correlation.min() > 0.998 and np.median(correlation) > 0.9995
    assert 1.003 < np.median(ratio) < 1.02
    as_given, _ = compare(smooth, case.exact(None))
    assert np.median(1 - as_given) > 2 * np.median(1 - correlation)


@pytest.mark.slow
def test_without_the_shift_of_speeds_waves_come_early(case):
    grid, projection = case.project.config.region.grid(), case.project.config.region.projection()
    as_given = layered_model(read_layers(case.folder / "gil7.txt"), grid, projection)
    synthetic = case.simulated(model=as_given).data[..., BEFORE:]
    correlation, _ = compare(case.greens.data, synthetic)
    assert np.median(correlation) > 0.999
    assert variance_reduction(case, synthetic, 3) > 72
    assert 56 < variance_reduction(case, synthetic, 0) < 58


@pytest.mark.slow
def test_the_grid_of_the_page_agrees_with_the_greens_functions(case):
    """Absolute amplitudes too. What is left of them is attenuation, which elastic waves do not have."""
    synthetic = case.simulated().data[..., BEFORE:]
    correlation, ratio = compare(case.greens.data, synthetic)
    assert correlation.min() > 0.98 and np.median(correlation) > 0.999
    assert np.abs(ratio - 1).max() < 0.05
    for largest_shift, least in ((3, 72), (0, 56)):
        found = variance_reduction(case, synthetic, largest_shift)
        assert found > least
        assert abs(found - variance_reduction(case, case.greens.data, largest_shift)) < 1.5


@pytest.mark.slow
def test_an_iteration_lowers_the_misfit(case, tmp_path):
    root = tiny.copy(case.project.root, tmp_path / "bay")
    tiny.change_config(root, "spacing: 2000", f"spacing: {COARSE:g}")
    found = tiny.seisflow("iterate", "--iteration", 1, "--project", root, timeout=900)
    assert found.returncode == 0, found.stderr
    before, after = map(float, re.findall(r"misfit ([\d.]+) -> ([\d.]+)", found.stdout)[0])
    assert 0 < after < 0.8 * before
    content = read_event(Project.open(root).event_file(1, 0, case.event.id))
    assert len({(window.station, window.component) for window in content.windows}) > 22
    changed = model_of(root / "models" / "m01.nc").vs / model_of(root / "models" / "m00.nc").vs
    assert 1e-3 < np.abs(np.log(changed)).max() < 0.05
    pictures = {path.name for path in (root / "iterations" / "i01" / "pictures").glob("*.png")}
    assert {"misfit.png", "map.png", f"waveforms_{case.event.id}.png", "update_vs.png"} <= pictures


@pytest.mark.slow
def test_a_disturbed_model_comes_back_to_the_misfit_of_gil7(case, tmp_path):
    """GIL7 with random blobs of 3 percent fits worse; iterations take the misfit back to that of GIL7, or below."""
    root = tiny.copy(case.project.root, tmp_path / "bay")
    tiny.change_config(root, "spacing: 2000", f"spacing: {COARSE:g}")
    tiny.change_config(root, "name: bay-area", "name: bay-area\npictures: false")
    start = model_of(root / "models" / "m00.nc")
    noise = np.random.default_rng(4).standard_normal(start.grid.shape)
    blobs = gaussian_smooth(noise, start.grid, (25_000.0, 25_000.0, 8_000.0))
    factor = 1 + 0.03 * np.clip(2 * blobs / np.abs(blobs).max(), -1, 1)
    disturbed = start.with_fields(vp=start.vp * factor, vs=start.vs * factor)
    misfits = {}
    for name, model in (("gil7", start), ("disturbed", disturbed)):
        folder = tiny.copy(root, tmp_path / name)
        write_model(folder / "models" / "m00.nc", model)
        last = 1 if name == "gil7" else 3
        found = tiny.seisflow("iterate", "-i", 1, "--through", last, "-p", folder, timeout=1200)
        assert found.returncode == 0, found.stderr
        pairs = re.findall(r"misfit ([\d.]+) -> ([\d.]+)", found.stdout)
        misfits[name] = [float(value) for pair in pairs for value in pair]
    assert misfits["disturbed"][0] > 1.1 * misfits["gil7"][0]
    assert misfits["disturbed"][-1] < misfits["gil7"][0]


@pytest.mark.slow
def test_a_wrong_source_comes_back_to_the_published_one(case, tmp_path):
    """`seisflow source` from a mechanism turned by 25 degrees with 1.6 times the moment; place and depth stay."""
    root = tiny.copy(case.project.root, tmp_path / "bay")
    tiny.change_config(root, "spacing: 2000", f"spacing: {COARSE:g}")
    (path,) = (root / "events").glob("*.xml")
    (published,) = read_quakeml(path)
    plane = nodal_planes(published.source)[0]
    turned = NodalPlane(plane.strike + 25, plane.dip - 10, plane.rake + 15)
    wrong = double_couple(turned, 1.6 * published.source.scalar_moment)
    assert rotation_angle(wrong, published.source) > 25
    write_quakeml(path, replace(published, source=wrong))
    options = ("--event", published.id, "--misfit", "waveform", "--fix", "place,depth", "--json")
    found = tiny.seisflow("source", *options, "-p", root, timeout=600)
    assert found.returncode == 0, found.stderr
    result = json.loads(found.stdout)
    assert result["misfit"][1] < 0.3 * result["misfit"][0]
    (solved,) = read_quakeml(root / "sources" / published.id / "solution.xml")
    assert rotation_angle(solved.source, published.source) < 12
    assert solved.source.magnitude == pytest.approx(published.source.magnitude, abs=0.06)
    assert abs(solved.time - published.time) < 3  # stations of the published solution may shift by that much
    picture = root / "sources" / published.id / "solution.png"
    assert picture.read_bytes()[:4] == b"\x89PNG"
