"""A network small enough that a search of its recordings takes seconds: two families of repeating earthquakes.

Eight stations, three components, eight minutes across midnight. The Earth is uniform, so that arrival times are known
in closed form; seismograms are functions of continuous time, so that they repeat to the sample and between samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from seisflow.config import RegionConfig
from seisflow.domain import Catalog, Detection, FloatArray, Magnitude, Model, Projection, Station
from seisflow.io.catalog_table import detection_names, write_csv
from seisflow.io.models import write_model
from seisflow.io.stations import write_stationxml

MIDNIGHT = 1772323200.0
"""2026-03-01, s since 1970-01-01 UTC."""
BEFORE, DURATION = 240.0, 480.0
"""s of recordings before midnight, and in all."""
RATE = 50.0
VP, VS = 5000.0, 2900.0
CHANNELS = ("HHE", "HHN", "HHZ")
NOISE = 100.0
"""Counts, root mean square."""
SPACING = 1000.0
"""m between the nodes that are searched."""
FAMILIES = {"A": (-1450.0, 1130.0, 5210.0), "B": (2120.0, -1340.0, 4070.0)}
REGION = {
    "latitude": 38.0, "longitude": 22.0, "width": 20000, "height": 20000, "depth": 10000,
    "spacing": [1000, 1000, 1000],
}  # fmt: skip
CONFIG = """\
name: network
region: {latitude: 38.0, longitude: 22.0, width: 20000, height: 20000, depth: 10000, spacing: [1000, 1000, 1000]}
detection:
  archive: [waveforms]
  search: {depth: [2000, 8000], spacing: [1000, 1000, 1000], width: 10000, height: 10000}
  sampling: 0.02
  interval: 0.04
  phases:
    P: {components: [Z], band: [3, 16], short: 0.2, long: 3}
    S: {components: [E, N], band: [3, 16], short: 0.3, long: 3}
  threshold: {mad: 14, window: 120}
  separation: 3
  matching:
    recordings: {interval: 0.02, band: [3, 15]}
    templates:
      windows:
        P: {components: [Z], before: 0.4, length: 2}
        S: {components: [E, N], before: 0.4, length: 3}
    matches: {threshold: {mad: 9, window: 120}, same_time: 1, max_shift: 0.1}
  amplitudes: {quantity: counts, band: [3, 15], components: [Z, N, E]}
  relocation: {}
compute: {cores: 2}
pictures: false
"""


@dataclass(frozen=True)
class Quake:
    """An earthquake; its time in s after midnight, its size over that of a strong one."""

    time: float
    family: str
    size: float

    @property
    def strong(self) -> bool:
        """Whether backprojection must find it."""
        return self.size >= 0.4

    @property
    def place(self) -> FloatArray:
        """x, y, z in m."""
        return np.array(FAMILIES[self.family])


QUAKES = (
    Quake(-201.37, "A", 1.0),
    Quake(-172.11, "B", 0.05),
    Quake(-143.93, "B", 0.8),
    Quake(-110.482, "A", 0.05),
    Quake(-71.719, "B", 0.06),
    Quake(-31.255, "A", 0.05),
    Quake(-0.8, "B", 1.2),  # all its waves arrive after midnight, or about it
    Quake(24.46, "A", 0.06),
    Quake(61.107, "A", 0.6),
    Quake(97.518, "B", 0.05),
    Quake(133.94, "B", 0.5),
    Quake(171.333, "A", 0.9),
)


def stations() -> list[Station]:
    """Two rings of four."""
    projection = RegionConfig(**REGION).projection()
    found = []
    for number in range(8):
        angle, radius = np.pi * (number / 4 + 0.06), (3200.0, 6400.0)[number % 2]
        latitude, longitude = projection.to_geographic(radius * np.cos(angle), radius * np.sin(angle))
        found.append(Station("XX", f"T{number}", round(float(latitude), 6), round(float(longitude), 6)))
    return found


def projection() -> Projection:
    """Of the project."""
    return RegionConfig(**REGION).projection()


def travel_time(place: FloatArray, station: Station, phase: str) -> float:
    """s, straight from an earthquake to a station."""
    x, y = projection().to_local(station.latitude, station.longitude)
    distance = float(np.linalg.norm(np.array([x, y, 0.0]) - place))
    return distance / (VP if phase == "P" else VS)


def pulse(family: str, station: int, component: int, phase: str, times: FloatArray) -> FloatArray:
    """What a strong earthquake of a family writes, s after the onset; counts."""
    seed = [sorted(FAMILIES).index(family), station, component, "PS".index(phase)]
    rng = np.random.default_rng(seed)
    frequencies, angles = rng.uniform(4, 13, 12), rng.uniform(0, 2 * np.pi, 12)
    late = np.clip(times, 0, None)
    envelope = (1 - np.exp(-late / 0.04)) * np.exp(-late / (0.5 if phase == "P" else 0.8))
    waves = np.sin(2 * np.pi * np.outer(late, frequencies) + angles).sum(axis=1)
    on_axis = 1.0 if (phase == "P") == (component == 2) else 0.35
    return np.where(times > 0, (1800.0 if phase == "P" else 3000.0) * on_axis * envelope * waves / 3, 0.0)


def seismograms(quakes: Iterable[Quake], noise: float = NOISE, seed: int = 1) -> FloatArray:
    """Recordings (station, component, sample) in counts, from ``BEFORE`` s before midnight on."""
    rng = np.random.default_rng(seed)
    samples = round(DURATION * RATE)
    times = np.arange(samples) / RATE - BEFORE
    network = stations()
    data = rng.standard_normal((len(network), 3, samples + 2))
    data = noise / np.sqrt(1.5) * (data[..., 2:] + 0.5 * data[..., 1:-1] + 0.5 * data[..., :-2])
    for quake in quakes:
        for row, station in enumerate(network):
            for phase in "PS":
                onset = quake.time + travel_time(quake.place, station, phase)
                near = (times > onset) & (times < onset + 12)
                for component in range(3):
                    wave = pulse(quake.family, row, component, phase, times[near] - onset)
                    data[row, component, near] += quake.size * wave
    return data


def build(
    root: Path, quakes: Sequence[Quake] = QUAKES, *, noise: float = NOISE, seed: int = 1, shift: float = 0.0
) -> None:
    """Make the project; recordings and earthquakes may be shifted against midnight by whole samples, in s."""
    prepare(root)
    write_model(root / "models" / "m00.nc", model())
    write_stationxml(root / "stations" / "XX.xml", stations(), CHANNELS)
    write_recordings(root / "waveforms", seismograms(quakes, noise, seed), shift)
    write_csv(root / "truth.csv", truth(quakes, shift))


def prepare(root: Path) -> None:
    """A folder with the configuration alone."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "seisflow.yaml").write_text(CONFIG)


def model(depth: float | None = None) -> Model:
    """The uniform Earth."""
    region = RegionConfig(**(REGION | ({} if depth is None else {"depth": depth})))
    grid = region.grid()
    return Model(grid, region.projection(), *(np.full(grid.shape, value) for value in (VP, VS, 2600.0)))


def write_recordings(folder: Path, data: FloatArray, shift: float = 0.0) -> None:
    """A file for each channel and day."""
    from obspy import Trace, UTCDateTime

    folder.mkdir(parents=True, exist_ok=True)
    for row, station in enumerate(stations()):
        for column, channel in enumerate(CHANNELS):
            header = {
                "network": station.network, "station": station.code, "channel": channel, "sampling_rate": RATE,
                "starttime": UTCDateTime(MIDNIGHT - BEFORE + shift),
            }  # fmt: skip
            trace = Trace(np.round(data[row, column]).astype(np.int32), header)
            middle = UTCDateTime(MIDNIGHT)
            for day, part in (
                ("2026-02-28", trace.slice(endtime=middle - 0.75 / RATE)),
                ("2026-03-01", trace.slice(starttime=middle - 0.25 / RATE)),
            ):
                if part.stats.npts > 1:
                    name = f"{station.id}.{channel}.{day}.mseed"
                    part.write(str(folder / name), format="MSEED", encoding="STEIM2", reclen=512)


def truth(quakes: Iterable[Quake] = QUAKES, shift: float = 0.0) -> Catalog:
    """The earthquakes as a catalog."""
    ordered = sorted(quakes, key=lambda each: each.time)
    times = [MIDNIGHT + each.time + shift for each in ordered]
    found = []
    for each, time, name in zip(ordered, times, detection_names(times), strict=True):
        size = Magnitude(float(np.log10(each.size)), 0.0, "Mrel", 8)
        detection = Detection(name, time, *map(float, each.place), method="import", magnitude=size)
        found.append(replace(detection, remark=each.family))
    start = MIDNIGHT - BEFORE + shift
    return Catalog(projection(), tuple(found), start, start + DURATION, DURATION / 86400)
