"""GIL7: ten fundamental sources at twelve stations, against frequency-wavenumber Green's functions.

The layered model of the San Francisco Bay region with a source at 12 km, 81 to 143 km away, 20 to 50 s
(docs/bayarea.md). The Green's functions (Herrmann's programs) have Q, and so has the simulation. With elastic waves
of the speeds at 31.6 s an exact answer (pyprop8) would differ by 2.2 percent.
"""

from __future__ import annotations

import numpy as np
from common import ROOT, THREADS, Case, Skipped, new_figure

SPACINGS = {4: 2000.0, 8: 3000.0}
BAND = (20.0, 50.0)
NAMES = ("ZSS", "ZDS", "ZDD", "ZEX", "RSS", "RDS", "RDD", "REX", "TSS", "TDS")
DATA = ROOT.parent / "shared" / "data" / "bayarea_m43"


def fundamental(azimuth: float) -> dict[str, np.ndarray]:
    """North-east-down tensors that show one of the ten functions at an azimuth (Jost & Herrmann 1989)."""
    c, s, c2, s2 = np.cos(azimuth), np.sin(azimuth), np.cos(2 * azimuth), np.sin(2 * azimuth)

    def tensor(xx=0.0, yy=0.0, zz=0.0, xy=0.0, xz=0.0, yz=0.0):
        # mrr, mtt, mpp, mrt, mrp, mtp
        return np.array([zz, xx, yy, xz, -yz, -xy])

    across = {"SS": tensor(c2, -c2, xy=s2), "DS": tensor(xz=c, yz=s), "DD": tensor(-1.0, -1.0, 2.0),
              "EX": tensor(1.0, 1.0, 1.0)}  # fmt: skip
    along = {"TSS": tensor(s2, -s2, xy=-c2), "TDS": tensor(xz=s, yz=-c)}
    return {f"{component}{kind}": value for kind, value in across.items() for component in "ZR"} | along


def run(quick: bool = False) -> Case:
    """All stations, all sources."""
    if not DATA.is_dir():
        raise Skipped("the recordings of bayarea_m43 are not there (shared/data beside the repository)")
    from fk_greens import read_greens

    from seisflow.domain import Event, Grid, MomentTensor, Projection
    from seisflow.domain.layers import layered_model
    from seisflow.io.layers import read_layers
    from seisflow.io.stations import read_stationxml
    from seisflow.signal import Pipeline, SignalConfig, TimeAxis
    from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation

    projection = Projection(37.74, -121.57)
    grid = Grid((-145e3, -140e3, 0.0), (10e3, 10e3, 250.0), (30, 29, 181))
    model = layered_model(read_layers(DATA / "gil7.txt"), grid, projection, reference_period=31.6)
    files = sorted(DATA.rglob("*.xml"))
    stations = tuple(
        sorted(read_stationxml([f for f in files if b"FDSNStationXML" in f.read_bytes()[:2000]]))
    )
    quake = _event()
    event = Event("e", 0.0, quake.latitude, quake.longitude, 12e3, MomentTensor(1e17, 1e17, 1e17, 0, 0, 0))
    names = ("mrr", "mtt", "mpp", "mrt", "mrp", "mtp")
    simulation = Simulation(model, event, stations, 200.0, BAND[0])
    axis = TimeAxis.covering(-50, 200, 1.0)
    errors, ratios = {}, {}
    for order, spacing in SPACINGS.items():
        solver = Elastic3D(Elastic3DConfig(spacing=spacing, order=order), THREADS)
        raw = solver.source_columns(simulation, names)
        pipeline = Pipeline(SignalConfig(band=BAND, interval=1.0), TimeAxis.of(raw[0]), axis, event, stations)
        columns = np.stack([pipeline.apply(each).data for each in raw])
        columns = columns[..., 50:200]  # R, T, Z from the origin on
        errors[order], ratios[order] = _compare(event, stations, columns, read_greens)
    case = Case(
        "", ("order", "function", "L2 %, least", "median", "largest", "amplitude, least", "median", "largest")
    )
    for order in SPACINGS:
        for column, name in enumerate(NAMES):
            found, ratio = errors[order][:, column], ratios[order][:, column]
            three = (ratio.min(), np.median(ratio), ratio.max())
            case.rows.append((order, name, found.min(), np.median(found), found.max(), *three))
    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    shown = errors[4]
    image = axes.imshow(shown, aspect="auto", cmap="magma_r", vmin=0, vmax=max(10.0, float(shown.max())))
    axes.set_xticks(range(len(NAMES)), NAMES, fontsize=8)
    axes.set_yticks(range(len(stations)), [s.id for s in stations], fontsize=8)
    for row in range(len(stations)):
        for column in range(len(NAMES)):
            dark = shown[row, column] > 0.6 * max(10.0, shown.max())
            text = f"{shown[row, column]:.1f}"
            axes.text(
                column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black"
            )
    figure.colorbar(image, label="relative L2 difference (%)")
    case.figure = figure
    said = [
        f"order {order} with {spacing:.0f} m {np.sqrt(np.mean(errors[order] ** 2)):.1f} percent (root mean square), "
        f"median {np.median(errors[order]):.1f}, amplitudes {ratios[order].min():.3f} to {ratios[order].max():.3f}"
        for order, spacing in SPACINGS.items()
    ]
    case.headline = "All 120 functions: " + "; ".join(said) + "."
    return case


def _compare(event, stations, columns, read_greens):
    """L2 in percent and amplitude ratio, (stations, functions)."""
    from pyproj import Geod

    errors, ratios = np.zeros((len(stations), len(NAMES))), np.zeros((len(stations), len(NAMES)))
    for row, station in enumerate(stations):
        there = (event.longitude, event.latitude, station.longitude, station.latitude)
        azimuth = Geod(ellps="WGS84").inv(*there)[0]
        greens, tensors = read_greens(DATA / "greens_gil7", station), fundamental(np.radians(azimuth))
        for column, name in enumerate(NAMES):
            found = np.tensordot(tensors[name], columns[:, row, "RTZ".index(name[0])], axes=1)
            expected = greens[name][:150]
            errors[row, column] = 100 * np.linalg.norm(found - expected) / np.linalg.norm(expected)
            ratios[row, column] = np.sum(found * expected) / np.sum(expected**2)
    return errors, ratios


def _event():
    from seisflow.io.events import read_quakeml

    for path in sorted(DATA.rglob("*.xml")):
        if b"quakeml" in path.read_bytes()[:2000].lower():
            return read_quakeml(path)[0]
    raise Skipped(f"no QuakeML in {DATA.name}")
