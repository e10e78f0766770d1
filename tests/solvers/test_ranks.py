"""Several ranks share a simulation: the same bits, less memory each, and all stop when one fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mpi_run import missing, mpiexec
from ranks_program import UNSTABLE, case, message, results
from simulations import simulation, unstable

from seisflow.errors import InputError
from seisflow.native.elastic3d_slab import Slab, ghosts
from seisflow.solvers import Elastic3D, Elastic3DConfig
from seisflow.solvers.decomposition import Shares
from seisflow.solvers.regrid import Layout

HERE = Path(__file__).parent
mpi = [pytest.mark.mpi, pytest.mark.skipif(missing() is not None, reason=str(missing()))]
PLAIN = {"spacing": 1500.0}


def run(tmp_path, ranks, settings, place, *more):
    path = tmp_path / f"{ranks}.npz"
    done = mpiexec(ranks, str(HERE / "ranks_program.py"), str(path), json.dumps(settings), place, *more)
    assert done.returncode == 0, done.stderr
    return dict(np.load(path))


def same(found, expected):
    for name, values in expected.items():
        if name != "bytes":
            assert np.array_equal(found[name], values), name


@pytest.mark.parametrize(
    ("ranks", "settings", "place"),
    [
        pytest.param(2, PLAIN | {"order": 8, "cpml_cells": 12}, "shallow", marks=mpi),
        pytest.param(3, PLAIN, "force", marks=mpi),
        pytest.param(3, PLAIN, "lossy", marks=[*mpi, pytest.mark.slow]),
        pytest.param(4, PLAIN | {"order": 8, "cpml_cells": 12}, "shallow", marks=[*mpi, pytest.mark.slow]),
        pytest.param(4, PLAIN, "shallow", marks=[*mpi, pytest.mark.slow]),
        pytest.param(3, PLAIN | {"precision": "double", "order": 8}, "deep", marks=[*mpi, pytest.mark.slow]),
        pytest.param(5, PLAIN | {"cpml_cells": 0}, "deep", marks=[*mpi, pytest.mark.slow]),
    ],
)
def test_seismograms_and_gradients_do_not_depend_on_ranks(tmp_path, ranks, settings, place):
    expected = results(Elastic3D(Elastic3DConfig(**settings)), case(place))
    same(run(tmp_path, ranks, settings, place), expected)


@pytest.mark.mpi
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize("ranks", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_ranks_say_the_same_of_a_run_that_blows_up(tmp_path, ranks):
    expected = message(unstable(Elastic3D(Elastic3DConfig(**PLAIN)), UNSTABLE), case("unstable"))
    assert run(tmp_path, ranks, PLAIN, "unstable")["message"] == expected["message"]


def least_memory(sim, ranks):
    """The least memory_gb (of a rank) with which a gradient is planned, to a percent."""
    low, high = 0.0, Elastic3D(Elastic3DConfig(**PLAIN)).plan(sim, ranks).gradient_bytes / 1e9
    while high - low > 0.01 * high:
        middle = 0.5 * (low + high)
        try:
            Elastic3D(Elastic3DConfig(**PLAIN, memory_gb=middle)).plan(sim, ranks)
            high = middle
        except InputError:
            low = middle
    return high


@pytest.mark.mpi
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_what_does_not_fit_one_rank_runs_on_several(tmp_path):
    sim = case("long")
    least = [least_memory(sim, ranks) for ranks in (1, 2)]
    assert least[1] < 0.8 * least[0]
    limit = {"memory_gb": 1.05 * least[1]}
    with pytest.raises(InputError, match="memory_gb"):
        Elastic3D(Elastic3DConfig(**PLAIN | limit)).plan(sim)
    found = run(tmp_path, 2, PLAIN | limit, "long")
    assert found["bytes"] < 1e9 * limit["memory_gb"]
    same(found, results(Elastic3D(Elastic3DConfig(**PLAIN)), sim))


@pytest.mark.mpi
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize("who", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_a_rank_that_fails_stops_all_with_its_error(tmp_path, who):
    done = mpiexec(
        3, str(HERE / "ranks_program.py"), str(tmp_path / "a.npz"), json.dumps(PLAIN), "deep", str(who)
    )
    assert done.returncode != 0
    assert done.stderr.count("error on rank") == 1
    assert f"error on rank {who} of 3: MemoryError: made to fail" in done.stderr


def layout(planes, cells=10):
    return Layout(100.0, (0.0, 0.0), (planes, 60, 40), cells)


@pytest.mark.parametrize("order", [4, 8])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7])
def test_shares_cover_the_grid_once(ranks, order):
    shares = Shares.of(layout(160), order, ranks)
    assert [slab.begin for slab in shares.slabs[1:]] == [slab.end for slab in shares.slabs[:-1]]
    assert (shares.slabs[0].begin, shares.slabs[-1].end) == (0, 160)
    inside = [slab.inside(10) for slab in shares.slabs]
    assert sum(part.stop - part.start for part in inside) == 140
    for slab in shares.slabs:
        assert slab.low in (0, ghosts(order, shares.steps))
        assert slab.end - slab.begin >= ghosts(order, shares.steps) or ranks == 1
    layers = [slab.layers(10) for slab in shares.slabs]
    assert layers[0][0] == 0
    assert layers[-1][0] + layers[-1][1] == 21


def test_slabs_of_the_absorbing_layers():
    assert Slab.whole(50).layers(10) == (0, 21)
    assert Slab(50, 15, 20).layers(10) == (0, 0)
    assert Slab(50, 30, 20).layers(10) == (10, 11)
    assert Slab(50, 0, 20).layers(0) == (0, 0)


def test_too_many_ranks_are_refused():
    with pytest.raises(InputError, match="at most 8 ranks"):
        Shares.of(layout(50), 4, 30)


def test_the_plan_says_how_many_ranks():
    assert Elastic3D(Elastic3DConfig()).plan(simulation()).ranks == 1
