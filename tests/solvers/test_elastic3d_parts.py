"""The parts of elastic3d: regridding, source time functions, points between grid points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf
from simulations import lossy, model

from seisflow.domain import SourceTimeFunction
from seisflow.errors import InputError
from seisflow.native.elastic3d import Material
from seisflow.native.elastic3d_slab import Slab
from seisflow.native.elastic3d_stencils import level_weights
from seisflow.solvers.attenuation import Attenuation
from seisflow.solvers.points import Place, entries, strain_entries
from seisflow.solvers.regrid import Layout, Regrid, averages
from seisflow.solvers.time_function import SampledSource, sample_source


@pytest.mark.parametrize("spacing", [700.0, 2100.0, 7000.0])
def test_averages_are_those_of_the_interpolant(spacing):
    nodes = 1000.0 + 2000.0 * np.arange(6)
    values = np.array([1.0, 3.0, -2.0, 5.0, 4.0, 4.5])
    centre = -3000.0 + spacing * np.arange(int(18000 / spacing))
    matrix = averages(nodes, centre - spacing / 2, centre + spacing / 2)
    fine = (np.arange(20000) + 0.5) / 20000 - 0.5
    expected = [np.interp(c + spacing * fine, nodes, values).mean() for c in centre]
    assert np.allclose(matrix @ values, expected, atol=1e-6)
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-12)
    assert matrix.min() >= 0


def layout(m, spacing=1700.0, cells=3):
    return Layout(
        spacing, (m.grid.origin[0] - cells * spacing, m.grid.origin[1] - cells * spacing), (26, 25, 16), cells
    )


def test_transpose_passes_the_dot_product_test():
    m = model()
    regrid = Regrid(m.grid, layout(m))
    rng = np.random.default_rng(0)
    rho, values = rng.standard_normal(m.grid.shape), rng.standard_normal((20, 19, 13))
    forward = (
        regrid.material(m.with_fields(rho=3000 + rho)).rho
        - regrid.material(m.with_fields(rho=3000 + 0 * rho)).rho
    )
    left = np.sum(forward[regrid.layout.inside] * values)
    assert left == pytest.approx(np.sum(rho * regrid.transpose(values)), rel=1e-10)


@pytest.mark.parametrize("loss", [None, False, True])
@pytest.mark.parametrize("name", ["vp", "vs", "rho"])
def test_gradient_is_the_derivative_of_the_material(name, loss):
    m = model(rough=0.3)
    attenuation = None
    if loss is not None:
        m, attenuation = lossy(m), Attenuation(0.5, 1.0, relaxing=loss)
    regrid = Regrid(m.grid, layout(m), attenuation=attenuation)
    inside = regrid.layout.inside
    rng = np.random.default_rng(1)
    names = ("rho", "ratio", "c33", "c66", "across")
    weights = [rng.standard_normal((20, 19, 13)) * scale for scale in (1e-3, 1.0, 1e-11, 1e-11, 1e9)]

    def value(candidate):
        found = regrid.material(candidate)
        return sum(np.sum(w * getattr(found, n)[inside]) for w, n in zip(weights, names, strict=True))

    kernel = regrid.gradient(m, regrid.material(m)[inside], Material(*weights))
    step = 1e-5 * rng.standard_normal(m.grid.shape) * getattr(m, name)
    both = [value(m.with_fields(**{name: getattr(m, name) + sign * step})) for sign in (1, -1)]
    assert (both[0] - both[1]) / 2 == pytest.approx(np.sum(getattr(kernel, name) * step), rel=1e-6)


def test_a_uniform_model_stays_uniform_and_means_keep_constants():
    m = model(rough=0.0)
    regrid = Regrid(m.grid, layout(m))
    found = regrid.material(m)
    assert np.allclose(found.rho, 2700.0)
    assert np.allclose(found.c66, 2700.0 * 3000.0**2)
    assert np.allclose(found.across, 1 / (2700.0 * 3000.0**2))
    assert np.allclose(found.c33, 2700.0 * 1.75**2 * 3000.0**2)
    assert np.allclose(found.ratio, 1 - 2 / 1.75**2)
    assert np.allclose(regrid.mean(np.full((20, 19, 13), 7.0)), 7.0)


def columns(m):
    """A model of the columns of the first one's corner everywhere."""
    return m.with_fields(**{n: np.broadcast_to(v[:1, :1], v.shape).copy() for n, v in m.fields().items()})


def parts(material):
    """What is limited in the absorbing layers."""
    return material.rho, 1 - material.ratio, material.c33, 1 / material.c66, material.across


def unlimited(regrid, m, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Regrid, "_limit", lambda *_: None)
        return regrid.material(m)


def test_layers_continue_into_the_absorbing_ones_as_they_are(monkeypatch):
    m = columns(model(rough=0.8))
    regrid = Regrid(m.grid, layout(m))
    for with_limit, without in zip(
        parts(regrid.material(m)), parts(unlimited(regrid, m, monkeypatch)), strict=True
    ):
        assert np.array_equal(with_limit, without)
        assert np.allclose(with_limit, with_limit[:1, :1], rtol=1e-12)


def test_what_is_smooth_over_a_wavelength_is_left_alone(monkeypatch):
    m = model(rough=0.0)
    x = m.grid.axis(0)[:, None, None] / 40_000.0
    m = m.with_fields(**{name: values * (1 + 0.04 * np.sin(x)) for name, values in m.fields().items()})
    regrid = Regrid(m.grid, layout(m))
    for with_limit, without in zip(
        parts(regrid.material(m)), parts(unlimited(regrid, m, monkeypatch)), strict=True
    ):
        assert np.array_equal(with_limit, without)


def test_a_rough_model_is_smoother_in_the_absorbing_layers_and_itself_inside(monkeypatch):
    m = model(rough=0.8)
    regrid = Regrid(m.grid, layout(m))
    inside = regrid.layout.inside
    outside = np.ones(regrid.layout.shape, bool)
    outside[inside] = False
    changed = 0
    for with_limit, without in zip(
        parts(regrid.material(m)), parts(unlimited(regrid, m, monkeypatch)), strict=True
    ):
        assert np.array_equal(with_limit[inside], without[inside])
        spread = [np.ptp(np.log(each[outside].reshape(-1))) for each in (with_limit, without)]
        changed += spread[0] < 0.8 * spread[1]
        assert spread[0] <= spread[1]
    assert changed >= 4


@pytest.mark.parametrize("first", [0, 1, 7, 19])
def test_planes_of_one_rank_have_the_material_of_all(first):
    m = model(rough=0.8)
    every = Regrid(m.grid, layout(m))
    slab = Slab(every.layout.shape[0], first, 7)
    found = Regrid(m.grid, every.layout, slab).material(m)
    for name in ("rho", "ratio", "c33", "c66", "across"):
        assert np.array_equal(getattr(found, name), getattr(every.material(m), name)[first : first + 7])


def test_a_gaussian_has_unit_area_and_the_width_of_its_half_duration():
    source, first, count = sample_source(SourceTimeFunction(half_duration=5.0), 0.1, 1.0, 30.0)
    times = 0.1 * (first + np.arange(count))
    values = source(times)
    assert not source.filtered
    assert values.sum() * 0.1 == pytest.approx(1, abs=1e-6)
    assert times[-1] >= 30.0 > times[-1] - 0.1 - 1e-9
    inside = np.abs(times) <= 5.0 / 1.628
    assert values[inside].sum() * 0.1 == pytest.approx(erf(1.0), abs=0.02)
    assert values[0] < 1e-6 * values.max()


def test_a_point_in_time_is_band_limited_and_keeps_time_and_area():
    source, first, count = sample_source(SourceTimeFunction(), 0.1, 5.0, 60.0)
    times = 0.1 * (first + np.arange(count))
    values = source(times)
    assert source.filtered
    assert values.sum() * 0.1 == pytest.approx(1, abs=1e-3)
    assert times[np.argmax(values)] == pytest.approx(0, abs=1e-9)
    spectrum = np.abs(np.fft.rfft(values, 8192)) * 0.1
    frequency = np.fft.rfftfreq(8192, 0.1)
    assert np.all(np.abs(spectrum[frequency < 1 / 5.0] - 1) < 0.02)
    assert spectrum[frequency > 2.2 / 5.0].max() < 1e-3


def test_other_time_functions():
    ricker = SampledSource(SourceTimeFunction(kind="ricker", period=4.0), 0.1, 1.0)
    times = 0.1 * np.arange(-100, 101)
    values = ricker(times)
    assert values.max() == values[100] == 1.0
    assert abs(values.sum()) < 1e-4
    assert abs(np.interp(ricker.start, times, values)) < 1e-6
    samples = SourceTimeFunction(kind="samples", samples=(0.0, 2.0, 4.0, 0.0), start=3.0, interval=2.0)
    plain = SampledSource(samples, 0.5, 0.05)
    plain.filtered = False
    # means over half a second about the straight lines through the samples
    assert np.allclose(plain(np.array([2.0, 3.0, 4.0, 5.5, 8.0, 9.5])), [0.0, 0.0625, 1.0, 2.5, 2.0, 0.0])
    with pytest.raises(InputError, match=r"Ricker wavelet of 0\.2 s is too short.*at least 0\.6 s"):
        SampledSource(SourceTimeFunction(kind="ricker", period=0.2), 0.1, 1.0)


@pytest.mark.parametrize("start", [-0.2, -0.15, -0.08, 0.0])
@pytest.mark.parametrize("half", [0.1, 0.2, 0.4])
def test_short_time_functions_keep_their_moment(half, start):
    """Sampled at points, a triangle shorter than the time step had an area of 0 to 2.5."""
    triangle = SourceTimeFunction(kind="samples", samples=(0.0, 1 / half, 0.0), start=start, interval=half)
    source = SampledSource(triangle, 0.25, 5.0)
    times = 0.25 * np.arange(-400, 400)
    assert source(times).sum() * 0.25 == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("depth", [0.0, 0.3, 0.5, 1.0, 2.7, 3.99])
@pytest.mark.parametrize(("name", "half", "order"), [("vx", 0, 4), ("vz", 1, 4), ("sxz", 1, 4), ("vz", 1, 8)])
def test_shallow_weights_keep_moments(name, half, order, depth):
    place = Place(20.4, 21.7, depth)
    points = entries(name, place, 0, source=False, order=order)
    z = points.z + 0.5 * half
    total = points.weight.sum()
    assert points.z.min() >= 0
    for power in range(0 if name == "vz" and depth < 1.5 else 4):  # below: what these keep
        moment = np.sum(points.weight * z**power) / total
        assert moment == pytest.approx(depth**power, abs=1e-9)
    source = entries(name, place, 0, source=True, order=order)
    assert np.allclose(source.weight * level_weights(source.z, half=bool(half), order=order), points.weight)


@pytest.mark.parametrize("depth", [0.0, 0.2, 0.5, 1.0, 1.49, 1.5])
@pytest.mark.parametrize("along", [(20.4, 21.7), (20.0, 21.0), (20.5, 21.5)])
def test_vertical_motion_near_the_surface_follows_from_vanishing_traction(depth, along):
    """Any polynomial of degree 4 in z whose slope at the surface is that of a vanishing traction."""
    place, ratio = Place(*along, depth), 0.4
    shape = np.array([0.7, -0.3, 0.25, -0.08, 0.02 if depth < 1.5 else 0.0])
    vertical, strain = entries("vz", place, 0, source=False), strain_entries(place, 0, source=False)
    found = vertical.weight @ np.polynomial.polynomial.polyval(vertical.z + 0.5, shape)
    east, north = 0.7 * (strain.x + 0.5 - place.x), 0.3 * (strain.y + 0.5 - place.y)
    found += ratio * strain.weight @ (-shape[1] / ratio * np.where(strain.field == 0, east, north))
    assert found == pytest.approx(np.polynomial.polynomial.polyval(depth, shape), rel=4e-3)
    assert (strain.x.size == 0) == (depth == 1.5)


def test_deep_weights_interpolate_waves():
    """Eight points a wavelength along each axis: the value between the points within half a percent."""
    for place in (Place(20.31, 21.77, 12.4), Place(20.0, 21.5, 4.0)):
        points = entries("vy", place, 0, source=False)
        k = 2 * np.pi / 8
        at = np.exp(1j * k * points.x) * np.exp(1j * k * (points.y + 0.5)) * np.exp(1j * k * points.z)
        expected = np.exp(1j * k * (place.x + place.y + place.z))
        assert abs(np.sum(points.weight * at) - expected) < 0.005
