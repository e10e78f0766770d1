"""Make the example ``swarm``: an hour of recordings of a swarm, of which all is known. Called by ``seisflow init``.

The seismograms are those of point sources in a medium whose speeds grow linearly with depth: travel times and
directions of rays in closed form, radiation of double couples, Brune's source, absorption with its dispersion,
scattered waves as noise under decaying envelopes (Sato, Fehler & Maeda 2012, ch. 2). ``data/swarm/README.md`` says
what is inside.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.fft import irfft, rfft, rfftfreq
from scipy.ndimage import uniform_filter1d
from seisflow.data.swarm_noise import RATE, SAMPLES, Site, disturbances, noise
from seisflow.data.swarm_recordings import START, write_recordings, write_stations

from seisflow.config import RegionConfig
from seisflow.domain import FloatArray, Model, Station
from seisflow.io.atomic import publish
from seisflow.io.models import write_model

__all__ = ["Scenario", "make"]

NAMES = ("ARNI", "BELO", "DAFN", "ELAT", "FTER", "KAMA", "LEFK", "MYLO", "NERA", "PLAT", "RODI", "SKAL")
TOWNS = {"KAMA": 1.8e-7, "PLAT": 2.6e-7, "LEFK": 1e-7}
"""Cultural noise of stations in or near towns, m/s; the others have 2e-8 to 6e-8."""
TOP, GROWTH, RATIO = 4800.0, 0.12, 1.74
"""vp at sea level in m/s, its growth with depth in 1/s, vp / vs."""
QUALITY = {"P": 350.0, "S": 250.0}
BAND = (4.0, 16.0)
"""Hz, in which signal and noise are compared."""
VISIBLE = 5.0
LENGTH, ONSET = 4096, 100
"""Samples of a seismogram, and of them before P."""
F = rfftfreq(LENGTH, 1 / RATE)


@dataclass(frozen=True)
class Scenario:
    """What is drawn.

    Parameters
    ----------
    seed : int
        Of everything: another one has other stations, noise and earthquakes.
    families : dict of str to int
        Earthquakes of the families A to D.
    singles : int
        Earthquakes elsewhere, 0.6 of a magnitude larger; else most could never be seen.
    least : float
        Smallest magnitude.
    apart : float
        Least time between earthquakes, s.
    loudness : float
        Factor of the noise.
    """

    seed: int = 20260314
    families: dict[str, int] = field(default_factory=lambda: {"A": 62, "B": 38, "C": 23, "D": 12})
    singles: int = 15
    least: float = -1.0
    apart: float = 3.0
    loudness: float = 1.0


EXAMPLE = Scenario()


@dataclass(frozen=True)
class Earthquake:
    """An earthquake; x, y, z in m, time in s after the start, moment in N m."""

    time: float
    x: float
    y: float
    z: float
    family: str
    moment: float
    corner: float
    magnitude: float = np.nan
    signal_to_noise: float = np.nan


@dataclass(frozen=True, eq=False)
class Source:
    """What the events of a family share: centre (m), unit moment tensor (east, north, up), number of its coda."""

    place: FloatArray
    tensor: FloatArray
    number: int
    single: bool = False


def make(folder: Path, scenario: Scenario = EXAMPLE) -> list[Path]:
    """Write recordings, stations, model and truth into a folder.

    Parameters
    ----------
    folder : Path
        Of the project.
    scenario : Scenario
        Another than that of the example.

    Returns
    -------
    list of Path
        Files written.
    """
    settings = yaml.safe_load(
        (files("seisflow.data") / "swarm" / "seisflow.yaml").read_text(encoding="utf-8")
    )
    region = RegionConfig(**settings["region"])
    rng = np.random.default_rng(scenario.seed)
    sites = network(rng)
    model = earth(region)
    sources, earthquakes = swarm(rng, scenario)
    background = scenario.loudness * noise(rng, list(sites.values()))
    motion, earthquakes = shake(sites, sources, earthquakes, band_level(background), scenario.seed)
    motion += background
    motion += disturbances(rng, sites)
    stations = []
    for name, site in sites.items():
        latitude, longitude = model.projection.to_geographic(site.x, site.y)
        stations.append(Station("XS", name, round(latitude, 6), round(longitude, 6), site.elevation))
    written = [folder / "models" / "m00.nc"]
    write_model(written[0], model)
    written.append(write_stations(folder / "stations" / "XS.xml", stations))
    written += write_recordings(folder / "waveforms", stations, motion, rng)
    written.append(write_truth(folder / "truth.csv", earthquakes, model))
    return written


def network(rng: np.random.Generator) -> dict[str, Site]:
    """Twelve stations in a square of 25 km."""
    places: list[FloatArray] = []
    while len(places) < len(NAMES):
        place = rng.uniform(-12_500, 12_500, 2).round()
        if all(np.hypot(*(place - other)) > 4500 for other in places):
            places.append(place)
    sites = {}
    for name, (x, y) in zip(NAMES, places, strict=True):
        town = name in TOWNS
        sites[name] = Site(
            x,
            y,
            elevation=float(np.round(rng.uniform(5, 250) if town else rng.uniform(150, 900))),
            background=float(rng.uniform(2.4e-8, 6e-8)),
            cultural=TOWNS[name] if town else float(rng.uniform(2e-8, 6e-8)),
            kappa=float(rng.uniform(0.025, 0.04) if town else rng.uniform(0.01, 0.025)),
            amplification=float(np.exp(rng.normal(0.3 if town else 0.0, 0.25))),
        )
    return sites


def earth(region: RegionConfig) -> Model:
    """The model: speeds grow linearly with depth, density after Gardner, Gardner & Gregory (1974)."""
    grid = region.grid()
    vp = np.broadcast_to(TOP + GROWTH * grid.z, grid.shape).copy()
    return Model(grid, region.projection(), vp, vp / RATIO, 1740 * (vp / 1000) ** 0.25)


# ---------------------------------------------------------------------- sources


def swarm(rng: np.random.Generator, scenario: Scenario) -> tuple[dict[str, Source], list[Earthquake]]:
    """Draw the earthquakes in the order of their times, and what families share."""
    centre = np.array([1500.0, -900.0, 7200.0])
    aside = {"A": (0, 0, 0), "B": (650, 380, 350), "C": (-520, 820, -600), "D": (2900, -3300, -1900)}
    active = {"A": (0.04, 0.5), "B": (0.3, 0.8), "C": (0.02, 0.98), "D": (0.6, 0.97)}
    sources, drawn = {}, []
    for name, count in scenario.families.items():
        tensor = normal_fault(*(np.array([95.0, 52.0, -85.0]) + rng.normal(0, 9, 3)))
        sources[name] = Source(centre + aside[name], tensor, len(sources))
        # events lie on a patch of the fault, most within 40 m of its centre
        patch = rng.normal(0, [38, 22, 26], (count, 3)).clip(-75, 75)
        low, high = (3600 * part for part in active[name])
        drawn += [(*(sources[name].place + place), name, low, high) for place in patch]
    for number in range(scenario.singles):
        distance, azimuth = rng.uniform(3000, 16_000), rng.uniform(0, 2 * np.pi)
        place = np.array(
            [distance * np.sin(azimuth), distance * np.cos(azimuth), rng.uniform(3500, 13_000)]
        ).round()
        name = f"-{number}"
        tensor = normal_fault(*rng.uniform([0, 30, -180], [360, 90, 180]))
        sources[name] = Source(place, tensor, len(sources), single=True)
        drawn.append((*place, name, 60.0, 3540.0))
    # Gutenberg and Richter's law with b = 1: its quantiles, in random order
    ranks = (rng.permutation(len(drawn)) + 0.5) / len(drawn)
    times: list[float] = []
    earthquakes = []
    for (x, y, z, name, low, high), rank in zip(drawn, ranks, strict=True):
        time = origin(rng, times, (low, high), scenario.apart)
        times.append(time)
        extra = 0.6 if name.startswith("-") else 0.0
        moment = 10 ** (
            9.885 + scenario.least + extra - np.log10(rank)
        )  # the offset makes it about the local magnitude
        radius = (7 / 16 * moment / (2.5e6 * np.exp(rng.normal(0, 0.4)))) ** (1 / 3)
        corner = 0.37 * (TOP + GROWTH * z) / RATIO / radius  # Brune (1970): 2.34 / (2 pi)
        earthquakes.append(Earthquake(time, x, y, z, name, moment, corner))
    return sources, sorted(earthquakes, key=lambda each: each.time)


def origin(rng: np.random.Generator, taken: list[float], span: tuple[float, float], apart: float) -> float:
    """An origin time far enough from all others; most of a family's come in bursts."""
    low, high = span
    for _ in range(10_000):
        part = rng.uniform() if rng.uniform() < 0.6 else 0.12 + 0.1 * rng.normal()
        time = round(low + (high - low) * float(np.clip(part, 0, 1)), 3)
        if 20 < time < 3560 and all(abs(time - other) > apart for other in taken):
            return time
    raise RuntimeError("no time is left between the earthquakes")


def normal_fault(strike: float, dip: float, rake: float) -> FloatArray:
    """Unit double couple in east, north, up (Aki & Richards 2002, eq. 4.88 and 4.89), angles in degrees."""
    s, d, r = np.radians([strike, dip, rake])
    normal = np.array([np.sin(d) * np.cos(s), -np.sin(d) * np.sin(s), np.cos(d)])
    slip = np.array(
        [
            np.cos(r) * np.sin(s) - np.cos(d) * np.sin(r) * np.cos(s),
            np.cos(r) * np.cos(s) + np.cos(d) * np.sin(r) * np.sin(s),
            np.sin(r) * np.sin(d),
        ]
    )
    return np.outer(normal, slip) + np.outer(slip, normal)


# ---------------------------------------------------------------------- rays


def travel_time(place: FloatArray, station: FloatArray) -> FloatArray:
    """Travel time of P in s from places to stations at or above z = 0, both (..., 3): x, y, z down in m.

    S takes ``RATIO`` times as long on the same ray. Below z = 0 the time between two points at distance r, with
    speeds v1 and v2 that grow by k a metre, is arccosh(1 + (k r)^2 / (2 v1 v2)) / k; above it the ray is straight.
    It crosses z = 0 where the sum is least, which a golden-section search finds.
    """
    across = np.hypot(place[..., 0] - station[..., 0], place[..., 1] - station[..., 1])
    depth, height = place[..., 2], -station[..., 2]

    def total(x: FloatArray) -> FloatArray:
        squared = x**2 + depth**2
        below = np.arccosh(1 + GROWTH**2 * squared / (2 * TOP * (TOP + GROWTH * depth))) / GROWTH
        return np.asarray(below + np.hypot(across - x, height) / TOP)

    golden = (np.sqrt(5) - 1) / 2
    low, high = np.zeros_like(across), across.copy()
    for _ in range(45):  # 25 km shrink to 10 um; the time is off by the square of that
        one, other = high - golden * (high - low), low + golden * (high - low)
        left = total(one) < total(other)
        low, high = np.where(left, low, one), np.where(left, other, high)
    return total((low + high) / 2)


def directions(place: FloatArray, station: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unit vectors (east, north, up) along the ray where it leaves the source and where it arrives."""
    steps = 0.5 * np.concatenate([np.eye(3), -np.eye(3)])
    result = []
    for sign, times in (
        (-1.0, travel_time(place + steps, np.broadcast_to(station, steps.shape))),
        (1.0, travel_time(np.broadcast_to(place, steps.shape), station + steps)),
    ):
        slowness = sign * (times[:3] - times[3:]) * [1.0, 1.0, -1.0]
        result.append(slowness / np.linalg.norm(slowness))
    return result[0], result[1]


def polarisation(tensor: FloatArray, leaving: FloatArray, arriving: FloatArray, phase: str) -> FloatArray:
    """Radiation times direction of motion at the surface, (east, north, up); for S the sum of SV and SH."""
    across = np.cross([0.0, 0.0, 1.0], leaving)
    across /= np.linalg.norm(across)
    if phase == "P":
        return (leaving @ tensor @ leaving) * arriving
    vertical = np.cross(across, leaving)
    force = tensor @ leaving
    return (force @ across) * across + (force @ vertical) * np.cross(across, arriving)


def steepened(arriving: FloatArray, phase: str) -> FloatArray:
    """Direction under the station, where weathered rock is slow: Snell's law from the top of the model."""
    factor = 2600.0 / TOP if phase == "P" else 1400.0 / (TOP / RATIO)
    level = arriving[:2] * factor
    return np.array([*level, np.sqrt(1 - level @ level)])


# ---------------------------------------------------------------------- seismograms


def smooth_band(f: FloatArray, low: float, high: float) -> FloatArray:
    """Amplitude of a band-pass."""
    return 1 / np.sqrt((1 + (low / np.maximum(f, 1e-3)) ** 8) * (1 + (f / high) ** 8))


def coda(rng: np.random.Generator, time: float, gap: float, phase: str, count: int) -> FloatArray:
    """Scattered waves after an impulse of 1, shape (count, 3, samples): bands of noise that decay each in its way.

    Forward scattering broadens the arrival; what comes later decays with lapse time and with the Q of coda.
    """
    after = (np.arange(LENGTH) - ONSET) / RATE
    on = (after > 0) * (1 - np.exp(-np.maximum(after, 0) / 0.03))
    white = rfft(rng.standard_normal((count, 3, LENGTH)))
    total = np.zeros((count, 3, LENGTH))
    # slow layers turn P upright and S level
    parts = np.array([0.8, 0.8, 1.31] if phase == "P" else [1.16, 1.16, 0.56])
    for low, high in ((1.0, 4.0), (4.0, 10.0), (10.0, 48.0)):
        middle = np.sqrt(low * high)
        lapse = np.maximum(after, 0) / time
        early = np.exp(-np.maximum(after, 0) / (0.12 + 0.045 * time))
        late = (1 + lapse) ** -1.4 * np.exp(-np.pi * middle * np.maximum(after, 0) / (70 * middle**0.9))
        if phase == "P":  # it ends in the coda of S
            late *= 1 / (1 + np.exp((after - 2.5 * gap) / 1.5))
        shape = np.sqrt(2.0 * early**2 / np.sum((on * early) ** 2) + 1.5 * late**2 / np.sum((on * late) ** 2))
        total += shape * irfft(white * smooth_band(F, low, high), LENGTH)
    end = np.clip((LENGTH - 1 - np.arange(LENGTH)) / 400, 0, 1)
    return total * parts[:, None] * on * np.sin(np.pi / 2 * end) ** 2 / np.sqrt(3)


def impulse_responses(rng: np.random.Generator, source: Source, site: Site) -> dict[str, FloatArray]:
    """Spectra of ground displacement of P and S in m s per N m, each (4 or 1, 3, frequencies).

    The first is for the centre of the family. The others are what the coda changes by when the source moves by one
    unit east, north and down; a single event has none.
    """
    station = np.array([site.x, site.y, -site.elevation])
    time = float(travel_time(source.place, station))
    leaving, arriving = directions(source.place, station)
    # Q with its dispersion (Aki & Richards 2002, eq. 5.94); the highest frequency keeps the travel time
    absorption = np.pi * F * (1 - 2j / np.pi * np.log(np.maximum(F, 0.1) / F[-1]))
    result = {}
    for phase, slow, mean in (("P", 1.0, 4 / 15), ("S", RATIO, 2 / 5)):
        motion = polarisation(source.tensor, leaving, steepened(arriving, phase), phase)
        there, here = (TOP + GROWTH * source.place[2]) / slow, TOP / slow
        density = [1740 * (speed * slow / 1000) ** 0.25 for speed in (there, here)]
        spreading = 4 * np.pi * np.sqrt(density[0] * density[1] * here * there) * there**2
        scale = (
            2 * site.amplification / (spreading * np.linalg.norm(source.place - station))
        )  # 2: free surface
        # scattered waves left in all directions: mean radiation of a double couple
        scattered = np.sqrt(mean) * coda(
            rng, time * slow, time * (RATIO - 1), phase, 1 if source.single else 4
        )
        scattered[0, :, ONSET] += motion
        result[phase] = (
            scale * rfft(scattered) * np.exp(-absorption * (time * slow / QUALITY[phase] + site.kappa))
        )
    return result


def shake(
    sites: dict[str, Site],
    sources: dict[str, Source],
    earthquakes: list[Earthquake],
    level: FloatArray,
    seed: int,
) -> tuple[FloatArray, list[Earthquake]]:
    """Ground velocity of all earthquakes, (stations, 3, samples), and them with magnitudes and visibility.

    Parameters
    ----------
    sites, sources, earthquakes
    level : ndarray (stations, samples)
        Noise in ``BAND`` in m/s.
    seed : int
        Of the codas.
    """
    motion = np.zeros((len(sites), 3, SAMPLES))
    amplitudes = np.zeros((len(earthquakes), len(sites)))
    ratios = np.zeros_like(amplitudes)
    families = {name: [n for n, each in enumerate(earthquakes) if each.family == name] for name in sources}
    for name, source in sources.items():
        members = [earthquakes[n] for n in families[name]]
        places = np.array([[each.x, each.y, each.z] for each in members])
        for number, site in enumerate(sites.values()):
            rng = np.random.default_rng([seed, source.number, number])
            spectra, starts = seismograms(rng, source, site, members, places)
            velocity = irfft(spectra, LENGTH)
            for n, start, trace in zip(families[name], starts, velocity, strict=True):
                end = min(start + LENGTH, SAMPLES)
                motion[number, :, start:end] += trace[:, : end - start]
                ratios[n, number] = 1 / level[number, start]
            filtered = irfft(spectra * smooth_band(F, *BAND), LENGTH)
            ratios[families[name], number] *= np.abs(filtered).max(axis=(1, 2))
            amplitudes[families[name], number] = local_magnitudes(spectra, site, places)
    magnitudes, ratio = np.median(amplitudes, axis=1), np.sort(ratios, axis=1)[:, -4]
    return motion, [
        replace(each, magnitude=float(magnitude), signal_to_noise=float(snr))
        for each, magnitude, snr in zip(earthquakes, magnitudes, ratio, strict=True)
    ]


def seismograms(
    rng: np.random.Generator, source: Source, site: Site, members: list[Earthquake], places: FloatArray
) -> tuple[FloatArray, list[int]]:
    """Spectra of velocity of the events of a family at a station, (events, 3, frequencies), and first samples."""
    station = np.array([site.x, site.y, -site.elevation])
    moved = (places - source.place) / 250.0
    weights = np.concatenate([np.ones((len(members), 1)), moved], axis=1)
    times = travel_time(places, station)
    arrivals = {"P": times, "S": RATIO * times}
    responses = impulse_responses(rng, source, site)
    origins = np.array([each.time for each in members])
    starts = np.floor((origins + arrivals["P"]) * RATE).astype(int) - ONSET
    brune = np.stack([each.moment / (1 + 1j * F / each.corner) ** 2 for each in members])
    total = np.zeros((len(members), 3, F.size), dtype=np.complex128)
    for phase, times in arrivals.items():
        delay = origins + times - (starts + ONSET) / RATE
        shift = np.exp(-2j * np.pi * F * delay[:, None])
        total += (
            np.tensordot(weights[:, : len(responses[phase])], responses[phase], 1) * (shift * brune)[:, None]
        )
    return total * (2j * np.pi * F) * RATE, [int(start) for start in starts]


def local_magnitudes(velocity: FloatArray, site: Site, places: FloatArray) -> FloatArray:
    """Local magnitude of each event at a station (Hutton & Boore 1987, gain 2080 as IASPEI 2013 has it)."""
    s = 2j * np.pi * F
    poles = np.array([-5.49779 + 5.60886j, -5.49779 - 5.60886j])
    instrument = 2080.0 * s / ((s - poles[0]) * (s - poles[1]))  # from velocity to mm takes 1000 more
    amplitude = 1000 * np.abs(irfft(velocity[:, :2] * instrument, LENGTH)).max(axis=2)
    distance = np.linalg.norm(places - [site.x, site.y, -site.elevation], axis=1) / 1000
    correction = 1.110 * np.log10(distance / 100) + 0.00189 * (distance - 100) + 3.0
    return np.asarray(np.log10(amplitude).mean(axis=1) + correction)


def band_level(background: FloatArray) -> FloatArray:
    """Root mean square of the noise in ``BAND`` over 30 s, mean of the components, (stations, samples)."""
    band = smooth_band(rfftfreq(SAMPLES, 1 / RATE), *BAND)
    result = np.empty((background.shape[0], SAMPLES))
    for number, traces in enumerate(background):
        energy = np.mean(irfft(rfft(traces) * band, SAMPLES) ** 2, axis=0)
        result[number] = np.sqrt(uniform_filter1d(energy, 3000, mode="nearest"))
    return result


def write_truth(path: Path, earthquakes: list[Earthquake], model: Model) -> Path:
    """Write what happened, a row an earthquake."""
    head = [
        "id",
        "origin_time",
        "latitude",
        "longitude",
        "depth_km",
        "magnitude",
        "moment_magnitude",
        "family",
    ]
    rows: list[list[Any]] = [[*head, "signal_to_noise", "visible"]]
    for number, each in enumerate(earthquakes, 1):
        latitude, longitude = model.projection.to_geographic(each.x, each.y)
        size = (np.log10(each.moment) - 9.1) / 1.5
        rows.append(
            [
                f"e{number:03d}",
                f"{START + each.time}",
                f"{latitude:.6f}",
                f"{longitude:.6f}",
                f"{each.z / 1000:.4f}",
                f"{each.magnitude:.2f}",
                f"{size:.2f}",
                each.family[0],
                f"{each.signal_to_noise:.2f}",
                "yes" if each.signal_to_noise >= VISIBLE else "no",
            ]
        )
    with publish(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return path
