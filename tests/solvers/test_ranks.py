"""Several ranks share a simulation: the same bits, less memory each, and all stop when one fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mpi_run import missing, mpiexec
from ranks_program import case, results
from simulations import simulation

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
        pytest.param(2, PLAIN, "deep", marks=mpi),
        pytest.param(4, PLAIN | {"order": 8, "cpml_cells": 6}, "shallow", marks=mpi),
        pytest.param(4, PLAIN, "shallow", marks=[*mpi, pytest.mark.slow]),
        pytest.param(3, PLAIN | {"precision": "double", "order": 8}, "deep", marks=[*mpi, pytest.mark.slow]),
        pytest.param(5, PLAIN | {"cpml_cells": 0}, "deep", marks=[*mpi, pytest.mark.slow]),
    ],
)
def test_seismograms_and_gradients_do_not_depend_on_ranks(tmp_path, ranks, settings, place):
    expected = results(Elastic3D(Elastic3DConfig(**settings)), case(place == "shallow"))
    same(run(tmp_path, ranks, settings, place), expected)


@pytest.mark.parametrize("ranks", [pytest.param(2, marks=mpi)])
def test_what_does_not_fit_one_rank_runs_on_several(tmp_path, ranks):
    """Just below the memory that one process needs without segments; with ranks, segments again give the same bits."""
    alone = Elastic3D(Elastic3DConfig(**PLAIN))
    plan = alone.plan(case(False))
    limit = {"memory_gb": 0.9 * plan.forward_bytes / 1e9}
    with pytest.raises(InputError, match="memory_gb"):
        Elastic3D(Elastic3DConfig(**PLAIN | limit)).plan(case(False))
    found = run(tmp_path, ranks, PLAIN | limit, "deep")
    assert found["bytes"] < 1e9 * limit["memory_gb"]
    same(found, results(alone, case(False)))


@pytest.mark.mpi
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize("who", [0, 2])
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
