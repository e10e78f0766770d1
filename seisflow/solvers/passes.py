"""The forward and the adjoint pass of elastic3d: what sets them in motion, what they record, what is made of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seisflow.domain import FloatArray, Force, Gather
from seisflow.native.elastic3d import Entries, Material
from seisflow.ranks import Ranks
from seisflow.solvers import surface
from seisflow.solvers.derivatives import elastic_part, stress_records, surface_terms
from seisflow.solvers.run import Drive, gather_of
from seisflow.solvers.setup import (
    Setup,
    local,
    receiver_entries,
    receiver_forces,
    source_entries,
    surface_dipole,
)
from seisflow.solvers.stored import Stored

__all__ = ["AdjointPass", "Elastic3DForward", "ForwardPass", "Held"]


@dataclass(frozen=True, eq=False)
class Held:
    """What the adjoint run needs of a forward run.

    Parameters
    ----------
    setup : Setup
    stored : Stored, optional
    scale : float
        By which fields are to be multiplied.
    strain : ndarray (steps, stations), optional
        At the surface above the stations, see ``surface``; on the first rank.
    """

    setup: Setup
    stored: Stored | None
    scale: float
    strain: FloatArray | None


@dataclass(frozen=True, eq=False)
class Elastic3DForward:
    """A forward run: ``gather`` (E, N, Z velocity), and what the adjoint run needs."""

    gather: Gather
    held: Held


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """Of one event.

    Parameters
    ----------
    setup : Setup
    keep : bool
        Whether an adjoint pass follows.
    drive : Drive
    scale : float
        By which what is recorded is to be multiplied.
    recorded : Entries
    """

    setup: Setup
    keep: bool
    drive: Drive
    scale: float
    recorded: Entries

    @classmethod
    def of(cls, setup: Setup, material: Material, keep: bool, ranks: Ranks | None = None) -> ForwardPass:
        """Choose them."""
        ratios = surface.ratios(setup, material, ranks)
        drive, scale = Drive(*source_entries(setup, material, ratios)).scaled(ranks)
        recorded = receiver_entries(setup, ratios)
        if keep:
            first = 3 * len(setup.simulation.stations)
            recorded = Entries.join([recorded, surface.station_records(setup, first)])
        return cls(setup, keep, drive, scale, recorded)

    def result(self, records: FloatArray | None, stored: Stored | None) -> tuple[Gather | None, Held]:
        """Seismograms, and what the adjoint pass needs, from all records; None on ranks other than the first."""
        setup, scale = self.setup, self.scale
        if records is None:
            return None, Held(setup, stored, scale, None)
        first = 3 * len(setup.simulation.stations)
        strain = scale * surface.strains(setup, records[:, first:]) if self.keep else None
        return gather_of(setup, records * scale), Held(setup, stored, scale, strain)


@dataclass(frozen=True, eq=False)
class AdjointPass:
    """Of one event.

    Parameters
    ----------
    held : Held
    samples : ndarray (steps, 3 stations)
        Of the adjoint source in local x, y, z, forward in time.
    drive : Drive
    scale : float
        By which what is recorded is to be multiplied.
    dipole : Entries
        Nodes at the surface about the source, of all planes.
    recorded : Entries
    """

    held: Held
    samples: FloatArray
    drive: Drive
    scale: float
    dipole: Entries
    recorded: Entries

    @classmethod
    def of(cls, held: Held, material: Material, data: FloatArray, ranks: Ranks | None = None) -> AdjointPass:
        """Choose them, from samples (stations, 3, steps) of the adjoint source."""
        setup = held.setup
        data = data if setup.seismograms is None else setup.seismograms.transpose(data)
        samples = local(setup, data)
        forces = receiver_forces(setup, material.rho, surface.ratios(setup, material, ranks))
        drive, scale = Drive(forces, Entries.join([]), samples[::-1]).scaled(ranks)
        dipole = surface_dipole(setup)
        recorded = Entries.join([stress_records(dipole), surface.force_records(setup)])
        return cls(held, samples, drive, scale, dipole, recorded)

    @property
    def count(self) -> int:
        """Records."""
        return int(self.recorded.signal.max(initial=-1)) + 1

    def terms(
        self, grid: Any, material: Material, records: FloatArray, whole: FloatArray | None,
        ranks: Ranks | None = None,
    ) -> list[tuple[Entries, FloatArray]]:  # fmt: skip
        """Derivatives at nodes of the surface, from records of own planes and, on the first rank, of all."""
        setup, scale = self.held.setup, self.scale
        dipole = setup.own(self.dipole)
        shallow = records[:, : dipole.x.size] * scale
        at_source = whole if isinstance(setup.simulation.event.source, Force) else None
        return [
            surface_terms(setup, material, dipole, elastic_part(shallow, grid.relaxing(dipole))),
            surface.ratio_derivatives(setup, self.held.strain, self.samples, (at_source, scale), ranks),
        ]
