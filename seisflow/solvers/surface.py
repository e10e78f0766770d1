"""Vertical motion at the free surface depends on the medium there: the ratio, and derivatives with respect to it.

What a station at the surface records, and what a vertical force there adds, holds a strain times lambda / (lambda +
2 mu) at the nearest node (``points.strain_entries``). For the gradient the forward run records that strain at the
stations, the adjoint run at the source.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seisflow.domain import FloatArray, Force
from seisflow.native.elastic3d import Entries, Material
from seisflow.ranks import Ranks
from seisflow.solvers.points import Place, strain_entries
from seisflow.solvers.setup import (
    Setup,
    by_plane,
    force_vector,
    plane_ratio,
    source_place,
    station_places,
)

__all__ = ["force_records", "nodes", "ratio_derivatives", "ratios", "station_records", "strains"]


def nodes(setup: Setup) -> Entries:
    """Nodes at the surface, of all planes, nearest to the stations and, the last one, to the source."""
    places = [*station_places(setup), source_place(setup)[0]]
    x, y = (np.rint([getattr(p, name) for p in places]).astype(np.int64) for name in "xy")
    none = np.zeros(len(places), dtype=np.int64)
    return Entries(none, x, y, none, np.ones(len(places)), np.arange(len(places), dtype=np.int64))


def ratios(setup: Setup, material: Material, ranks: Ranks | None = None) -> FloatArray:
    """Lambda / (lambda + 2 mu) at ``nodes``, on all ranks."""
    mine = setup.own(nodes(setup))
    found = (mine.signal, plane_ratio(material, mine))
    result: FloatArray = np.zeros(len(setup.simulation.stations) + 1)
    for numbers, values in [found] if ranks is None else ranks.all_of(found):
        result[numbers] = values
    return result


def station_records(setup: Setup, first: int) -> Entries:
    """What a forward run records for the gradient: one record a station, from number ``first`` on."""
    places = station_places(setup)
    parts = [strain_entries(place, first + n, source=False) for n, place in enumerate(places)]
    return by_plane(Entries.join(parts))


def force_records(setup: Setup) -> Entries:
    """What an adjoint run records for the gradient where the source is a force: one record."""
    if not isinstance(setup.simulation.event.source, Force):
        return Entries.join([])
    place: Place = source_place(setup)[0]
    return by_plane(strain_entries(place, 0, source=False))


def strains(setup: Setup, records: FloatArray) -> FloatArray:
    """Records (steps, stations) of ``station_records``; those that record nothing are zero."""
    result = np.zeros((records.shape[0], len(setup.simulation.stations)))
    result[:, : records.shape[1]] = records
    return result


def ratio_derivatives(
    setup: Setup,
    strain: FloatArray | None,
    samples: FloatArray,
    at_source: tuple[FloatArray | None, float],
    ranks: Ranks | None = None,
) -> tuple[Entries, FloatArray]:
    """Own nodes of ``nodes``, and dJ/d(lambda / (lambda + 2 mu)) there.

    Parameters
    ----------
    setup : Setup
    strain : ndarray (steps, stations), optional
        Of the forward run; on the first rank.
    samples : ndarray (steps, 3 stations)
        Of the adjoint source in local x, y, z, forward in time.
    at_source : tuple of ndarray (steps, 1 or 0) and float
        Of ``force_records`` in the adjoint run, on the first rank; and by what they are to be multiplied.
    ranks : Ranks, optional
    """
    values: FloatArray = np.zeros(len(setup.simulation.stations) + 1)
    step, source = setup.plan.time_step, setup.simulation.event.source
    if strain is not None:
        values[:-1] = step * np.sum(samples[:, 2::3] * strain, axis=0)
    recorded, scale = at_source
    if recorded is not None and recorded.shape[1] and isinstance(source, Force):
        down = (source_place(setup)[1].T @ force_vector(source))[2] / setup.plan.spacing**3
        values[-1] = step * scale * down * np.sum(setup.rate(-0.5 * step)[::-1] * recorded[:, 0])
    if ranks is not None:
        values = ranks.all_of(values)[0]
    mine = setup.own(nodes(setup))
    return replace(mine, signal=np.zeros_like(mine.signal)), values[mine.signal]
