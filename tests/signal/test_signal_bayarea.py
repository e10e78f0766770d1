"""An earthquake of Mw 4.4 near San Francisco: recordings against independent Green's functions."""

from dataclasses import dataclass

import numpy as np
import pytest

from seisflow.domain import Event, Gather, MomentTensor, Station
from seisflow.misfits import CCTraveltimeConfig, create, measure_gather
from seisflow.signal import SignalConfig, TimeAxis, prepare_observed
from seisflow.windows import WindowConfig, select
from tests.reference import fk_greens

pytestmark = pytest.mark.realdata

BAND = (20.0, 50.0)
BEFORE = 50
"""Seconds, and samples, before the origin time."""


@dataclass
class Case:
    event: Event
    stations: tuple[Station, ...]
    observed: Gather
    rejections: list
    reference: dict
    folder: object

    def synthetic(self, stations):
        """On the axis of the observed: still before the origin."""
        after = fk_greens.synthetics(self.folder / "greens_gil7", self.event, stations)
        data = np.pad(after.data, ((0, 0), (0, 0), (BEFORE, 0)))[..., : self.observed.samples]
        return Gather(after.stations, after.components, data, -float(BEFORE), 1.0, "displacement")


@pytest.fixture(scope="module")
def case(shared_data):
    from obspy import read, read_events, read_inventory

    folder = shared_data / "bayarea_m43"
    found = read_events(str(folder / "event.xml"))[0]
    origin = found.preferred_origin()
    tensor = found.preferred_focal_mechanism().moment_tensor.tensor
    names = ("m_rr", "m_tt", "m_pp", "m_rt", "m_rp", "m_tp")
    source = MomentTensor(*(float(getattr(tensor, name)) for name in names))
    event = Event("m43", origin.time.timestamp, origin.latitude, origin.longitude, 12e3, source)
    inventory = read_inventory(str(folder / "stations" / "*.xml"))
    sites = [(network.code, site) for network in inventory for site in network]
    stations = tuple(sorted(Station(code, s.code, s.latitude, s.longitude, s.elevation) for code, s in sites))
    stream = read(str(folder / "waveforms" / "*.mseed"))
    axis = TimeAxis.covering(-BEFORE, 200.0, 1.0)
    observed, rejections = prepare_observed(stream, inventory, event, stations, axis, SignalConfig(BAND, 1.0))
    reference = {}
    for line in (folder / "reference_solution.txt").read_text().splitlines():
        words = line.split()
        if len(words) == 13 and words[0].startswith("BK."):
            station = words[0].removesuffix(".00")
            reference[station] = {"distance": float(words[1]), "reduction": float(words[10])}
    return Case(event, stations, observed, rejections, reference, folder)


def test_all_recordings_are_used(case):
    assert case.rejections == []
    assert case.observed.data.shape == (12, 3, 251) and case.observed.live.all()


def test_amplitudes_are_those_of_such_an_earthquake(case):
    """Micrometres at about 100 km, and the stations of the solution above the noise before the origin."""
    numbers = [case.observed.station_number(name) for name in case.reference]
    data = case.observed.data[numbers]
    assert np.all((np.abs(data).max(axis=(1, 2)) > 1e-6) & (np.abs(data).max(axis=(1, 2)) < 4e-5))
    quiet = data[:, 1, 15:BEFORE].std(axis=-1) / data[:, 1, BEFORE:].std(axis=-1)
    assert np.median(quiet) < 0.2


def variance_reduction(case, largest_shift):
    """1 - sum w |d - s|^2 / sum w |d|^2 over 150 s from the origin, w the distance; each station may shift."""
    stations = tuple(s for s in case.stations if s.id in case.reference)
    synthetic = case.synthetic(stations)
    rest = energy = 0.0
    singles = {}
    for number, station in enumerate(stations):
        d = case.observed.data[case.observed.station_number(station.id)]
        s = synthetic.data[number][:, BEFORE : BEFORE + 150]
        tries = []
        for shift in range(-largest_shift, largest_shift + 1):
            moved = d[:, BEFORE + shift : BEFORE + shift + 150]
            tries.append((np.sum((moved - s) ** 2) / np.sum(moved**2), np.sum(moved**2), shift))
        best = min(tries)
        weight = case.reference[station.id]["distance"]
        rest, energy = rest + weight * best[0] * best[1], energy + weight * best[1]
        singles[station.id] = 100 * (1 - best[0]), best[2]
    return 100 * (1 - rest / energy), singles


def test_the_published_tensor_fits_as_well_as_it_should(case):
    assert len(case.reference) == 8
    assert variance_reduction(case, 0)[0] == pytest.approx(58, abs=1.5)
    total, singles = variance_reduction(case, 3)
    assert total == pytest.approx(74, abs=1.5)
    differences = [singles[name][0] - row["reduction"] for name, row in case.reference.items()]
    assert np.median(np.abs(differences)) < 2
    assert all(0 <= shift <= 3 for _, shift in singles.values())


def test_signs_of_the_components_matter(case):
    """The fit is a test of polarities: turning any component round spoils it."""
    good = variance_reduction(case, 0)[0]
    for component in range(3):
        case.observed.data[:, component] *= -1
        try:
            assert variance_reduction(case, 0)[0] < good - 10
        finally:
            case.observed.data[:, component] *= -1


def test_windows_and_travel_times_of_real_seismograms(case):
    """Most stations give windows; observed comes late by one to three seconds, as the solution found."""
    synthetic = case.synthetic(case.stations)
    settings = WindowConfig(min_correlation=0.8, min_velocity=2000.0)
    windows, rejections = select(case.observed, synthetic, case.event, settings, BAND)
    assert len({w.station for w in windows}) >= 8
    assert rejections and all(r.count >= 1 and r.reason for r in rejections)
    measured = measure_gather(create(CCTraveltimeConfig()), case.observed, synthetic, windows)
    shifts = np.array([row.shift for row in measured.rows])
    assert 0.5 < np.median(shifts) < 3.0
    assert np.abs(shifts - [w.shift for w in windows]).max() < 2.0
