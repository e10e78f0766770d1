"""From ground motion to files for the example ``swarm``: instruments, what goes wrong, MiniSEED, StationXML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from obspy import Inventory, Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Network, Response, Site
from obspy.core.inventory import Station as ObspyStation
from obspy.core.inventory.response import (
    CoefficientsTypeResponseStage,
    InstrumentSensitivity,
    PolesZerosResponseStage,
)
from scipy.fft import irfft, rfft, rfftfreq
from scipy.signal import firwin, upfirdn
from seisflow.data.swarm_noise import RATE, SAMPLES

from seisflow.domain import FloatArray, Station
from seisflow.io.atomic import publish
from seisflow.io.stations import write_inventory

__all__ = ["START", "write_recordings", "write_stations"]

START = UTCDateTime(2026, 3, 14, 5)
DIGITISER = 2**23 / 5.0
"""Counts per volt: 24 bit, 10 V from end to end."""
BROADBAND = (754.3, (-0.2221 + 0.2221j, -0.2221 - 0.2221j))
"""V s/m and poles of a sensor of 20 s; there are two zeros at 0."""
SHORT_PERIOD = (400.0, (-4.44 + 4.44j, -4.44 - 4.44j))
SHORT_PERIOD_STATIONS = ("FTER", "MYLO", "SKAL")
TURNED = {"DAFN": 37.0}
"""Azimuth of channel 1 where the horizontals do not point east and north."""
GAPS = {
    "BELO": (
        (402.31, 409.9),
        (655.0, 657.2),
        (1301.17, 1319.04),
        (1322.5, 1330.0),
        (2210.8, 2216.26),
        (3055.1, 3067.7),
    ),
    "FTER": ((1633.42, 1871.09),),
    "MYLO": ((884.66, 931.2), (2781.03, 2829.5)),
    "ELAT": ((0.0, 1337.43),),
}
"""Seconds without recordings."""
DEAD = ("RODI", "Z")
SLOW = ("ARNI", "E", 1800.0, 2400.0)
"""Recorded with half the samples between two times."""


def _sensor(station: Station) -> tuple[float, tuple[complex, complex], str]:
    """Sensitivity, poles and the first two letters of the channels."""
    if station.code in SHORT_PERIOD_STATIONS:
        return *SHORT_PERIOD, "EH"
    return *BROADBAND, "HH"


def _channels(station: Station) -> list[tuple[str, float, float]]:
    """Code, azimuth and dip of the channels that stand for east, north and up."""
    band = _sensor(station)[2]
    if station.code in TURNED:
        turn = TURNED[station.code]
        return [(f"{band}2", turn + 90, 0.0), (f"{band}1", turn, 0.0), (f"{band}Z", 0.0, -90.0)]
    return [(f"{band}E", 90.0, 0.0), (f"{band}N", 0.0, 0.0), (f"{band}Z", 0.0, -90.0)]


def _response(station: Station) -> Response:
    """Sensor and digitiser."""
    gain, poles, _ = _sensor(station)
    frequency = 5.0
    at = 2j * np.pi * frequency
    factor = 1 / abs(at**2 / ((at - poles[0]) * (at - poles[1])))
    sensor = PolesZerosResponseStage(
        1, gain, frequency, "M/S", "V", "LAPLACE (RADIANS/SECOND)", frequency, [0j, 0j], list(poles),
        normalization_factor=factor, input_units_description="velocity", output_units_description="volts",
    )  # fmt: skip
    digitiser = CoefficientsTypeResponseStage(
        2, DIGITISER, frequency, "V", "COUNTS", "DIGITAL", numerator=[1.0], denominator=[],
        input_units_description="volts", output_units_description="digital counts",
        decimation_input_sample_rate=RATE, decimation_factor=1, decimation_offset=0, decimation_delay=0.0,
        decimation_correction=0.0,
    )  # fmt: skip
    sensitivity = InstrumentSensitivity(gain * DIGITISER, frequency, "M/S", "COUNTS")
    return Response(instrument_sensitivity=sensitivity, response_stages=[sensor, digitiser])


def counts_per_velocity(station: Station, frequencies: FloatArray) -> FloatArray:
    """Complex response of sensor and digitiser in counts per m/s."""
    gain, poles, _ = _sensor(station)
    s, at = 2j * np.pi * frequencies, 2j * np.pi * 5.0
    shape, reference = (x**2 / ((x - poles[0]) * (x - poles[1])) for x in (s, at))
    return np.asarray(gain * DIGITISER * shape / abs(reference))


def write_stations(path: Path, stations: list[Station]) -> Path:
    """Write StationXML with responses."""
    opened = UTCDateTime(2025, 9, 1)
    entries = []
    for station in stations:
        where = {"latitude": station.latitude, "longitude": station.longitude, "elevation": station.elevation}
        channels = [
            Channel(
                code, "", depth=0.0, azimuth=azimuth, dip=dip, sample_rate=RATE, start_date=opened,
                response=_response(station), **where,
            )
            for code, azimuth, dip in _channels(station)
        ]  # fmt: skip
        site = Site(f"{station.code.capitalize()}, not a real place")
        entries.append(
            ObspyStation(
                station.code, site=site, channels=channels, start_date=opened, creation_date=opened, **where
            )
        )
    network = Network(stations[0].network, stations=entries, description="Example of seisflow, synthetic")
    inventory = Inventory([network], source="seisflow", sender="seisflow", created=UTCDateTime(0))
    inventory.module, inventory.module_uri = "seisflow", None
    write_inventory(path, inventory, keep=False)
    return path


def write_recordings(
    folder: Path, stations: list[Station], motion: FloatArray, rng: np.random.Generator
) -> list[Path]:
    """Write what the digitisers recorded, a file for each channel.

    Parameters
    ----------
    folder : Path
    stations : list of Station
    motion : ndarray (stations, 3, samples)
        Ground velocity in m/s: east, north, up.
    rng : Generator
        For offsets and the noise of the digitisers.
    """
    frequencies = rfftfreq(SAMPLES, 1 / RATE)
    written = []
    for station, ground in zip(stations, motion, strict=True):
        if station.code in TURNED:
            turn = np.radians(TURNED[station.code])
            east, north = ground[0].copy(), ground[1].copy()
            ground[1] = north * np.cos(turn) + east * np.sin(turn)
            ground[0] = east * np.cos(turn) - north * np.sin(turn)
        volts = irfft(rfft(ground) * counts_per_velocity(station, frequencies), SAMPLES)
        volts += rng.normal(0, 2.5, volts.shape) + rng.uniform(-6000, 6000, (3, 1))
        _break(station, volts)
        for (code, _, _), component, counts in zip(_channels(station), "ENZ", volts, strict=True):
            stream = _cut(station, code, component, counts)
            name = f"{station.id}..{code}.{START.strftime('%Y-%m-%dT%H')}.mseed"
            written.append(folder / station.code / name)
            with publish(written[-1]) as temporary:
                stream.write(str(temporary), format="MSEED", encoding="STEIM2", reclen=4096)
    return written


def _break(station: Station, counts: FloatArray) -> None:
    """Add what instruments do: a step when the ground under a sensor tilts, spikes."""
    after = np.arange(SAMPLES) / RATE - 2823.4
    if station.code == "SKAL":
        for trace, size in zip(counts, (84_000.0, -50_500.0, 13_400.0), strict=True):
            trace += size * (after > 0) * np.exp(-np.maximum(after, 0) / 4.0)
    if station.code == "NERA":
        for time, size in (
            (512.44, 61_000),
            (513.9, -48_000),
            (1977.02, 90_500),
            (2650.31, 70_250),
            (3300.7, -83_000),
        ):
            counts[1, round(time * RATE)] += size


def _cut(station: Station, code: str, component: str, counts: FloatArray) -> Stream:
    """Traces of a channel, with its gaps and its faults."""
    if (station.code, component) == DEAD:
        counts = np.full_like(counts, -37.0)
    pieces = [(0, SAMPLES, 1)]
    if (station.code, component) == SLOW[:2]:
        first, end = (round(time * RATE) for time in SLOW[2:])
        pieces = [(0, first, 1), (first, end, 2), (end, SAMPLES, 1)]
    for gap in GAPS.get(station.code, ()):
        low, high = (round(time * RATE) for time in gap)
        last, _, step = pieces.pop()
        pieces += [(last, low, step), (high, SAMPLES, step)]
    stream = Stream()
    for first, end, step in pieces:
        if end <= first:
            continue
        samples = counts if step == 1 else _lowpass(counts)
        header = {
            "network": station.network,
            "station": station.code,
            "channel": code,
            "starttime": START + first / RATE,
            "sampling_rate": RATE / step,
        }
        stream.append(Trace(np.rint(samples[first:end:step]).astype(np.int32), header))
    return stream


def _lowpass(counts: FloatArray) -> FloatArray:
    """What a digitiser does before it leaves out every other sample."""
    taps = firwin(121, 0.8 * RATE / 4, fs=RATE)
    return np.asarray(upfirdn(taps, counts))[60:-60]
