"""Synthetics from frequency-wavenumber Green's functions: Herrmann's ten fundamental sources in a layered Earth.

An independent answer to compare solvers and signal processing with. Formulas of Jost & Herrmann (1989)
and Minson & Dreger (2008): a moment tensor in x north, y east, z down, seen at azimuth a from the source,
is

    Z = [(Mxx - Myy)/2 cos 2a + Mxy sin 2a] ZSS + [Mxz cos a + Myz sin a] ZDS + [2 Mzz - Mxx - Myy]/6 ZDD
    + tr M/3 ZEX R = the same with RSS, RDS, RDD, REX T = [(Mxx - Myy)/2 sin 2a - Mxy cos 2a] TSS + [Mxz
    sin a - Myz cos a] TDS

with Z up, R away from the source, T clockwise of R: the signs that the recordings confirm.
"""

import numpy as np

from seisflow.domain import Gather

SOURCES = ("ZSS", "ZDS", "ZDD", "ZEX", "RSS", "RDS", "RDD", "REX", "TSS", "TDS")
UNIT_MOMENT = 1e13
"""N m: the functions are for 1e20 dyne cm ..."""
UNIT_DISPLACEMENT = 1e-2
"""... and in cm."""


def read_greens(folder, station, depth="12.0000"):
    """The ten functions of a station by name, for 1 N m in m; 1 Hz, the first sample at the origin time.

    Those of bayarea_m43 are impulse responses (the moment is a step) band-passed 20 to 50 s, 3 corners,
    zero phase.
    """
    from obspy import read

    greens = {}
    for name in SOURCES:
        trace = read(str(folder / f"{station.id}.00.{depth}.{name}"), format="SAC")[0]
        if abs(trace.stats.delta - 1) > 1e-6 or trace.stats.sac.b != trace.stats.sac.o:
            raise ValueError(f"{station.id}.{name}: expected 1 Hz from the origin time, found {trace.stats}")
        greens[name] = trace.data.astype(np.float64) * UNIT_DISPLACEMENT / UNIT_MOMENT
    return greens


def displacement(greens, tensor, azimuth):
    """R, T, Z displacement in m, shape (3, nt), of a MomentTensor at an azimuth (radians, at the source)."""
    xx, yy, zz, xy, xz, yz = tensor.mtt, tensor.mpp, tensor.mrr, -tensor.mtp, tensor.mrt, -tensor.mrp
    sin, cos, sin2, cos2 = np.sin(azimuth), np.cos(azimuth), np.sin(2 * azimuth), np.cos(2 * azimuth)

    def vertical_plane(name):
        return (
            ((xx - yy) / 2 * cos2 + xy * sin2) * greens[name + "SS"]
            + (xz * cos + yz * sin) * greens[name + "DS"]
            + (2 * zz - xx - yy) / 6 * greens[name + "DD"]
            + (xx + yy + zz) / 3 * greens[name + "EX"]
        )

    transverse = ((xx - yy) / 2 * sin2 - xy * cos2) * greens["TSS"] + (xz * sin - yz * cos) * greens["TDS"]
    return np.stack([vertical_plane("R"), transverse, vertical_plane("Z")])


def synthetics(folder, event, stations):
    """Displacement of an event at some stations as a Gather: R, T, Z, m, 1 Hz from the origin time."""
    from pyproj import Geod

    rows = []
    for station in stations:
        there = station.longitude, station.latitude
        azimuth = np.radians(Geod(ellps="WGS84").inv(event.longitude, event.latitude, *there)[0])
        rows.append(displacement(read_greens(folder, station), event.source, azimuth))
    return Gather(tuple(stations), ("R", "T", "Z"), np.array(rows), 0.0, 1.0, "displacement")
