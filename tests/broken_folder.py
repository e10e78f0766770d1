"""A folder in which most files are broken, each in its own way, among good ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import obspy
from obspy import UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response, Site
from obspy.core.inventory import Station as ObspyStation

from seisflow.domain import Event, Grid, Model, MomentTensor, Projection
from seisflow.io.events import write_quakeml
from seisflow.io.models import write_model

EVENT = Event("good", 1.0e9, 37.9, -121.8, 1e4, MomentTensor(1e15, 0, -1e15, 0, 0, 0))
RESPONSE = Response.from_paz(
    zeros=[0j, 0j], poles=[-0.037 + 0.037j, -0.037 - 0.037j], stage_gain=1.2e9, input_units="M/S"
)
PLACES = {
    "A": (38.1, -121.9),
    "B": (37.5, -121.9),
    "P": (38.0, -121.5),
    "EP": (37.6, -121.5),
    "TWO": (37.7, -122.2),
}


def inventory(code: str, *, place=None, units: str | None = None, start="1990-01-01", end=None) -> Inventory:
    """A station with three channels."""
    latitude, longitude = place or PLACES[code]
    where = {"latitude": latitude, "longitude": longitude, "elevation": 0.0}
    response = RESPONSE
    if units:
        response = Response.from_paz([], [-1 + 0j], 1.0, input_units="M")
        response.instrument_sensitivity.input_units = units
    dates = {"start_date": UTCDateTime(start), "end_date": UTCDateTime(end) if end else None}
    channels = [
        Channel(
            name,
            "",
            depth=0.0,
            azimuth=azimuth,
            dip=dip,
            response=response,
            sample_rate=5.0,
            **where,
            **dates,
        )
        for name, azimuth, dip in (("BHE", 90, 0), ("BHN", 0, 0), ("BHZ", 0, -90))
    ]
    station = ObspyStation(code, site=Site(code), channels=channels, **where)
    return Inventory([Network("XX", stations=[station])], source="tests")


def trace(station: str, channel: str, start: float = -200.0, seconds: float = 600.0) -> obspy.Trace:
    """A recording that starts so many s after the origin."""
    count = round(seconds * 5) + 1
    seed = sum(map(ord, station + channel))
    samples = np.random.default_rng(seed).integers(-5000, 5000, count).astype(np.int32)
    header = {"network": "XX", "station": station, "channel": channel, "sampling_rate": 5.0}
    return obspy.Trace(samples, {**header, "starttime": UTCDateTime(EVENT.time) + start})


def good(folder: Path) -> None:
    """An event, two stations, five recordings and a start model."""
    write_quakeml(folder / "good_event.xml", EVENT)
    for code in ("A", "B"):
        inventory(code).write(str(folder / f"good_{code}.xml"), format="STATIONXML")
        for channel in ("BHE", "BHN", "BHZ"):
            if (code, channel) != ("B", "BHN"):
                path = folder / f"good.{code}.{channel}.mseed"
                trace(code, channel).write(str(path), format="MSEED")
    (folder / "good_layers.txt").write_text("20.0 5.0 2.8 2.6\n0.0 7.8 4.5 3.3\n")


def broken(folder: Path) -> dict[str, str]:
    """Add the broken files; returns a part of the sentence that each must get, by its name."""
    return {**_formats(folder), **_cut(folder), **_events(folder), **_stations(folder), **_recordings(folder)}


def _formats(folder: Path) -> dict[str, str]:
    (folder / "empty.mseed").write_bytes(b"")
    (folder / "empty.xml").write_text("")
    (folder / "page.html").write_text("<html><body>404 not found</body></html>")
    (folder / "notes.doc").write_text("a diary of the field trip\n")
    with zipfile.ZipFile(folder / "table.xlsx", "w") as file:
        file.writestr("sheet", "1,2,3")
    (folder / "bytes.sac").write_bytes(bytes(range(256)) * 8)
    grid = Grid((0.0, 0.0, 0.0), (1e4, 1e4, 1e4), (2, 2, 2))
    fields = [np.full(grid.shape, value) for value in (6.0, 3.4, 2.7)]
    write_model(folder / "km_per_s.nc", Model(grid, Projection(37.8, -121.8), *fields))
    return {
        "empty.mseed": "is empty",
        "empty.xml": "is empty",
        "page.html": "of no kind",
        "notes.doc": "not of a waveform format",
        "table.xlsx": "not of a waveform format|cannot be read",
        "bytes.sac": "not of a waveform format|cannot be read",
        "km_per_s.nc": "looks like km/s",
    }


def _cut(folder: Path) -> dict[str, str]:
    def half(source: str, target: str) -> None:
        content = (folder / source).read_bytes()
        (folder / target).write_bytes(content[: len(content) // 2 - 100])

    half("good_event.xml", "cut_event.xml")
    half("good_A.xml", "cut_station.xml")
    trace("A", "HHZ").write(str(folder / "cut.mseed"), format="MSEED", reclen=512)
    half("cut.mseed", "cut.mseed")
    return {
        "cut_event.xml": "damaged, cut short",
        "cut_station.xml": "damaged, cut short",
        "cut.mseed": "cut short, its last record is torn",
        "XX.A..HHZ": "too short",
    }


def _events(folder: Path) -> dict[str, str]:
    event = Event("other", EVENT.time + 9e4, 37.9, -121.8, 1e4, EVENT.source)
    write_quakeml(folder / "bad_no_tensor.xml", event)
    catalogue = obspy.read_events(str(folder / "bad_no_tensor.xml"))
    catalogue[0].focal_mechanisms, catalogue[0].extra = [], {}
    catalogue.write(str(folder / "bad_no_tensor.xml"), format="QUAKEML")
    write_quakeml(folder / "hurried.xml", Event("late", 4.0e9, 37.9, -121.8, 1e4, EVENT.source))
    write_quakeml(folder / "same_id.xml", Event("good", EVENT.time, 37.9, -121.8, 5e3, EVENT.source))
    (folder / "CMTSOLUTION_utm").write_text(
        " PDE 2011  8 23 17 51  4.60  37.9 -77.9 6.0 5.9 5.8 X\nevent name: utm\ntime shift: 0\nhalf duration: 1\n"
        "latitude: 4190000.0\nlongitude: 420000.0\ndepth: 12.0\n"
        + "".join(f"M{part}: 1e24\n" for part in ("rr", "tt", "pp", "rt", "rp", "tp"))
    )
    return {
        "bad_no_tensor.xml": "no moment tensor",
        "hurried.xml": "in the future",
        "same_id.xml": "event good is there already, and differs",
        "CMTSOLUTION_utm": "no degrees",
    }


def _stations(folder: Path) -> dict[str, str]:
    inventory("TWO").write(str(folder / "two_1.xml"), format="STATIONXML")
    inventory("TWO", place=(36.0, -120.0)).write(str(folder / "two_2.xml"), format="STATIONXML")
    inventory("P", units="PA").write(str(folder / "pascal.xml"), format="STATIONXML")
    inventory("EP", start="2015-01-01", end="2016-01-01").write(
        str(folder / "epoch.xml"), format="STATIONXML"
    )
    lines = [
        "S1 XX 37.9 -121.0 10.0 0.0",
        "S2 XX 95.0 -121.0 10.0 0.0",
        "S1 XX 37.9 -121.0 10.0 0.0",
        "S3 XX 37.0",
    ]
    (folder / "STATIONS").write_text("\n".join(lines) + "\n")
    for code in ("P", "EP"):
        trace(code, "BHZ").write(str(folder / f"{code}.BHZ.mseed"), format="MSEED")
    return {
        "two_1.xml": "XX.TWO is in two places",
        "two_2.xml": "XX.TWO is in two places",
        "XX.P..BHZ": "a response to PA",
        "XX.EP..BHZ": "2015-01-01 to 2016-01-01",
        "STATIONS, line 2": "no degrees",
        "STATIONS, line 3": "there twice",
        "STATIONS, line 4": "is not 'station network",
    }


def _recordings(folder: Path) -> dict[str, str]:
    future = trace("A", "HHE")
    future.stats.starttime = UTCDateTime(2099, 1, 1)
    future.write(str(folder / "future.mseed"), format="MSEED")
    trace("A", "HHN", start=-9000.0).write(str(folder / "nobodys.mseed"), format="MSEED")
    trace("NEW", "BHZ").write(str(folder / "unknown_station.mseed"), format="MSEED")
    trace("B", "HHE", seconds=210.0).write(str(folder / "short.mseed"), format="MSEED")
    names = {"dead": "LHE", "flat": "LHN", "nan": "LHZ", "clipped": "MHZ", "gap": "MHN"}
    made = {name: trace("B", channel) for name, channel in names.items()}
    made["dead"].data[:] = 0
    made["flat"].data[:] = 7
    made["nan"].data = made["nan"].data.astype(np.float64)
    made["nan"].data[1100] = np.nan
    made["clipped"].data = np.clip(np.repeat(made["clipped"].data[::10], 10)[:3001] * 3, -4000, 4000)
    gap = made.pop("gap")
    at = UTCDateTime(EVENT.time) + 50
    obspy.Stream([gap.slice(endtime=at), gap.slice(starttime=at + 10)]).write(
        str(folder / "gap.mseed"), format="MSEED"
    )
    for name, each in made.items():
        each.write(str(folder / f"{name}.mseed"), format="MSEED")
    twice = trace("A", "EHZ")
    twice.write(str(folder / "one_of_two.mseed"), format="MSEED")
    twice.data = twice.data + np.int32(1)
    twice.write(str(folder / "two_of_two.mseed"), format="MSEED")
    nameless = trace("B", "BHZ")
    nameless.stats.channel = ""
    nameless.write(str(folder / "nameless.sac"), format="SAC")
    return {
        "future.mseed": "starts in the future",
        "nobodys.mseed": "belong to no event",
        "XX.NEW": "no StationXML describes it",
        "XX.B..HHE": "too short",
        "XX.B..LHE": "dead",
        "XX.B..LHN": "flat",
        "XX.B..LHZ": "NaN",
        "XX.B..MHZ": "clipped",
        "XX.B..MHN": "gap",
        "XX.A..EHZ": "disagree",
        "nameless.sac": "no channel code",
    }
