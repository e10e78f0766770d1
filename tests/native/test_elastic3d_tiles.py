"""Blocks of rows and steps a passage that are found out by trying."""

import numpy as np
import pytest

from seisflow.native import elastic3d_tiles
from seisflow.native.elastic3d_tiles import TileChoice


class Grid:
    """Where a choice is written."""

    block = sweep = 0


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch):
    monkeypatch.setattr(elastic3d_tiles, "_FOUND", {})


def test_every_step_is_run_once_and_the_fastest_is_kept(monkeypatch):
    now, seen, grid = [0.0], [], Grid()
    cost = {(64, 4): 5.0, (32, 4): 4.0, (16, 2): 1.0, (12, 2): 2.0, (24, 1): 3.0}
    monkeypatch.setattr(elastic3d_tiles.time, "perf_counter", lambda: now[0])

    def run(first, steps):
        now[0] += cost[grid.block, grid.sweep] * steps
        seen.extend(range(first, first + steps))
        return 0

    choice = TileChoice("kind")
    for first in (0, 5, 53):  # five steps are too few for a trial
        assert choice.advance(grid, run, first, {0: 5, 5: 48, 53: 200}[first]) == 0
    assert seen == list(range(253))
    assert (grid.block, grid.sweep) == (16, 2)
    assert TileChoice("kind").next == (16, 2)
    assert TileChoice("other").next != (16, 2)


def test_where_steps_are_given_only_rows_are_tried():
    choice, seen = TileChoice("kind", 2), []
    while not choice.found:
        seen.append(choice.next)
        choice.note(float(seen[-1][0] != 32))
    assert {steps for _, steps in seen} == {2}
    assert choice.next == (32, 2)
    assert not TileChoice("kind").found


def test_a_field_that_is_not_finite_ends_the_trials():
    assert TileChoice("kind").advance(Grid(), lambda first, steps: 7, 0, 100) == 7


def test_bits_do_not_depend_on_what_is_found(monkeypatch):
    from seisflow.native.elastic3d import FIELDS, Elastic3DGrid, Entries, Material
    from seisflow.solvers.points import Place, entries

    def fields(candidates):
        monkeypatch.setattr(elastic3d_tiles, "_FOUND", {})
        monkeypatch.setattr(elastic3d_tiles, "_CANDIDATES", candidates)
        grid = Elastic3DGrid((24, 40, 32))
        material = Material.isotropic(*(np.full((24, 40, 32), value) for value in (2500.0, 2e10, 2e10)))
        grid.set_material(material, 1e-4)
        moment = entries("sxx", Place(12.3, 20.1, 9.0), 0, source=True)
        driven = (
            grid.sources(Entries.join([]), np.zeros((100, 1))),
            grid.sources(moment, 1e6 * np.hanning(100)[:, None]),
            grid.receivers(Entries.join([]), np.zeros((100, 0))),
            grid.snapshots(None),
        )
        assert grid.advance(*driven, 0, 100) == 0
        return [grid.view(name).copy() for name in FIELDS]

    one, other = fields(((64, 4),)), fields(((8, 2), (24, 1), (16, 4)))
    assert np.abs(one[0]).max() > 0
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
