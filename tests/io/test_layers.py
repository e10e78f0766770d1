from dataclasses import replace

import numpy as np
import pytest

from seisflow.domain import Grid, Projection
from seisflow.domain.layers import Layers, layered_model
from seisflow.errors import InputError, MissingError
from seisflow.io.layers import read_layers

PLACE = Projection(38.0, -122.0)
THREE = Layers(
    np.array([1000.0, 2000.0, 0.0]), *np.array([[3200.0, 4500, 6000], [1500, 2400, 3400], [2200, 2400, 2700]])
)

TEXTS = {
    "km": "1.0 3.2 1.5 2.2\n2.0 4.5 2.4 2.4\n0.0 6.0 3.4 2.7\n",
    "depths": "# depth of the tops\n0 3.2 1.5 2.2\n1.0 4.5 2.4 2.4  # middle\n\n3.0 6.0 3.4 2.7\n",
    "metres": "1000,3200,1500,2200\n2000,4500,2400,2400\n0,6000,3400,2700\n",
    "mixed": "vs(m/s), vp(m/s), rho(g/cm3), depth(km)\n1500,3200,2.2,0\n2400,4500,2.4,1\n3400,6000,2.7,3\n",
    "names": "#H Vp Vs Density\n1.0 3.2 1.5 2200\n2.0 4.5 2.4 2400\n0.0 6.0 3.4 2700\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_plain_columns(tmp_path, text):
    (tmp_path / "m.txt").write_text(text)
    layers = read_layers(tmp_path / "m.txt")
    for name in ("vp", "vs", "rho", "tops"):
        np.testing.assert_allclose(getattr(layers, name), getattr(THREE, name), rtol=1e-14)
    assert np.all(np.isinf(layers.qs))


def test_units_can_be_said(tmp_path):
    (tmp_path / "m.txt").write_text(TEXTS["km"])
    assert read_layers(tmp_path / "m.txt", units="m").vp[0] == 3.2
    with pytest.raises(InputError, match="furlong"):
        read_layers(tmp_path / "m.txt", units="furlong")


HERRMANN = """MODEL.01
T
ISOTROPIC
KGS
FLAT EARTH
1-D
CONSTANT VELOCITY
LINE08
LINE09
LINE10
LINE11
 H VP VS RHO QP QS ETAP ETAS FREFP FREFS
1.0 3.2 1.5 2.2 600 0.005 0 0 1.0 2.0
0.0 4.5 2.4 2.4 0 300 0 0 1.0 1.0
"""


def test_herrmann(tmp_path):
    (tmp_path / "m").write_text(HERRMANN)
    layers = read_layers(tmp_path / "m")
    np.testing.assert_allclose(layers.qs, [200, 300])
    np.testing.assert_array_equal(layers.qp, [600, np.inf])
    np.testing.assert_array_equal(layers.frequency_s, [2.0, 1.0])
    np.testing.assert_allclose(layers.vs, [1500, 2400])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HERRMANN.replace("FLAT", "SPHERICAL"), "line 5: 'FLAT EARTH' is needed, found 'SPHERICAL EARTH'"),
        (HERRMANN.replace("600 0.005 0 0", "600 0.005 0.5 0"), "ETAP"),
        ("1.0 3.2 1.5 2.2\n2.0 4.5 2.4\n", "line 2: 3 numbers"),
        ("1.0 3.2 1.5\n2.0 4.5 2.4\n", "3 columns"),
        ("1.0 3.2 1.5 2.2\n2.0 four 2.4 2.4\n", "line 2: '2.0 four"),
        ("0 3.2 0 2.2\n2.0 4.5 2.4 2.4\n", "vs = 0 must be positive"),
        ("depth vp vs rho\n1 3.2 1 2.2\n2.0 4.5 2.4 2.4\n", "must start at 0"),
        ("depth thickness vp vs\n1 3.2 1 2.2\n", "vp, vs and rho"),
        ("", "no layers"),
    ],
)
def test_faults_are_named_with_the_file(tmp_path, text, words):
    (tmp_path / "m.txt").write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_layers(tmp_path / "m.txt")
    assert "m.txt" in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(MissingError):
        read_layers(tmp_path / "m.txt")


def brute_force_column(layers: Layers, grid: Grid, points: int = 20000) -> dict[str, np.ndarray]:
    """Averages over many points in each cell."""
    mu = layers.rho * layers.vs**2
    kappa = layers.rho * layers.vp**2 - 4 / 3 * mu
    found = {"vp": [], "vs": [], "rho": []}
    for z in grid.z:
        top = max(z - grid.spacing[2] / 2, grid.z[0])
        end = min(z + grid.spacing[2] / 2, grid.z[-1])
        depths = top + (np.arange(points) + 0.5) * (end - top) / points
        which = np.searchsorted(layers.tops, depths, side="right") - 1
        rho, bulk, shear = layers.rho[which].mean(), 1 / (1 / kappa[which]).mean(), 1 / (1 / mu[which]).mean()
        for name, value in (
            ("vp", np.sqrt((bulk + 4 / 3 * shear) / rho)),
            ("vs", np.sqrt(shear / rho)),
            ("rho", rho),
        ):
            found[name].append(value)
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("spacing", [130.0, 700.0, 2500.0])
def test_layers_are_averaged_over_the_cells(spacing):
    grid = Grid((0.0, 0.0, 0.0), (100.0, 100.0, spacing), (2, 3, 9))
    model = layered_model(THREE, grid, PLACE)
    for name, expected in brute_force_column(THREE, grid).items():
        np.testing.assert_allclose(model.fields()[name][1, 2], expected, rtol=3e-4)
        assert np.ptp(model.fields()[name], axis=(0, 1)).max() == 0
    model.check()


def test_vertical_travel_time_is_kept():
    """Shear slowness is not averaged, but compliance and mass are: a fine grid gives the layers back."""
    grid = Grid((0.0, 0.0, 0.0), (100.0, 100.0, 100.0), (2, 2, 41))
    model = layered_model(THREE, grid, PLACE)
    exact = 1000 / 1500 + 2000 / 2400 + 1000 / 3400
    assert np.trapezoid(1 / model.vs[0, 0], grid.z) == pytest.approx(exact, rel=2e-3)


def test_dispersion_is_that_of_constant_q():
    layers = Layers(*(np.array([value]) for value in (0.0, 6000.0, 3400.0, 2700.0, 600.0, 300.0)))
    slow = layers.at_period(50.0)
    assert slow.vs[0] == pytest.approx(3400 * (1 - np.log(50) / (np.pi * 300)), rel=1e-14)
    assert slow.vp[0] == pytest.approx(6000 * (1 - np.log(50) / (np.pi * 600)), rel=1e-14)
    np.testing.assert_allclose(slow.at_period(1.0).vs, layers.vs, rtol=1e-4)
    grid = Grid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (2, 2, 2))
    np.testing.assert_allclose(
        layered_model(layers, grid, PLACE, reference_period=50.0).vs, slow.vs[0], rtol=1e-14
    )


def test_impossible_layers_are_refused():
    grid = Grid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (2, 2, 2))
    with pytest.raises(InputError, match=r"layer 1: vp = 3000 m/s with vs = 2900 m/s"):
        layered_model(Layers(*(np.array([value]) for value in (0.0, 3000.0, 2900.0, 2700.0))), grid, PLACE)
    with pytest.raises(InputError, match="reference period"):
        layered_model(THREE, grid, PLACE, reference_period=0.0)
    with pytest.raises(InputError, match="rho has 1 values"):
        Layers(np.ones(2), np.ones(2), np.ones(2), np.ones(1))


def test_quality_factors_of_layers_go_to_the_grid():
    """A loss in shear alone (1/Qp = 4/3 (vs/vp)^2 / Qs), over cells that hold two layers."""
    vp, vs = np.array([3000.0, 6000.0]), np.array([1500.0, 3000.0])
    qs = np.array([50.0, 200.0])
    layers = Layers(np.array([1000.0, 0.0]), vp, vs, np.full(2, 2700.0), 3 * qs, qs)
    grid = Grid((0.0, 0.0, 0.0), (1000.0, 1000.0, 1000.0), (2, 2, 4))
    model = layered_model(layers, grid, PLACE, reference_period=8.0)
    assert model.reference_frequency == 0.125
    assert model.qkappa.min() > 5000  # speeds are shifted each by its own Q
    mu = 2700 * layers.at_period(8.0).vs ** 2
    both = 1 / ((0.5 / (50 * mu[0]) + 0.5 / (200 * mu[1])) / (0.5 / mu[0] + 0.5 / mu[1]))
    np.testing.assert_allclose(model.qmu[0, 0], [50, both, 200, 200])
    elastic = layered_model(replace(layers, qp=np.full(2, np.inf), qs=np.full(2, np.inf)), grid, PLACE, 8.0)
    assert elastic.quality() == {}


@pytest.mark.realdata
def test_gil7(shared_data):
    layers = read_layers(shared_data / "bayarea_m43" / "gil7.txt")
    np.testing.assert_allclose(layers.tops, [0, 1000, 3000, 4000, 5000, 17000, 25000])
    assert (layers.vp[-1], layers.vs[0], layers.rho[4], layers.qp[0], layers.qs[0]) == (
        7830,
        1500,
        2680,
        600,
        300,
    )
    grid = Grid((0.0, 0.0, 0.0), (2000.0, 2000.0, 1000.0), (3, 3, 41))
    model = layered_model(layers, grid, PLACE, reference_period=20.0)
    assert model.vs[0, 0, 10] == pytest.approx(3400 * (1 - np.log(20) / (np.pi * 300)))
