"""Catalogs on disk: what is written comes back, and faults are named."""

import dataclasses
import math
import re

import numpy as np
import pytest

from seisflow.domain import Arrival, Catalog, Detection, Magnitude, Projection
from seisflow.errors import InputError, MissingError
from seisflow.io.catalog_files import load_catalog, read_catalog, save_catalog
from seisflow.io.catalog_quakeml import why_kept, write_quakeml
from seisflow.io.catalog_table import (
    COLUMNS,
    catalog_rows,
    detection_names,
    iso_time,
    write_csv,
    write_parquet,
)
from seisflow.io.ellipsoids import (
    covariance_of,
    ellipsoid_of,
    horizontal_ellipse,
    to_geographic_axes,
    to_local_axes,
)

PROJECTION = Projection(-78.15, -83.9)
START = 1232510402.0


@pytest.fixture
def catalog():
    rng = np.random.default_rng(3)
    found = []
    for number in range(12):
        spread = rng.normal(size=(4, 4)) * [[300.0], [200.0], [500.0], [0.1]]
        time = START + 7.123457 * number
        onsets = tuple(
            Arrival(f"YG.ST{k:02d}", phase, time + 0.3 * k, 0.01 * (k - 2), [1.0, 0.25][k % 2])
            for k in range(number % 5)
            for phase in "PS"
        )
        found.append(
            Detection(
                id=f"20090121T0400{number:02d}.168" + ("b" if number == 3 else ""),
                time=time,
                x=rng.normal(0, 4e3),
                y=rng.normal(0, 4e3),
                z=rng.normal(1.5e3, 900),
                method=("beam", "template", "import")[number % 3],
                value=math.nan if number == 4 else 5.5 + number,
                threshold=math.nan if number % 4 == 0 else 5.0,
                false_alarm_rate=math.inf if number == 5 else 0.02 * number,
                covariance=None if number % 6 == 1 else spread @ spread.T,
                magnitude=None
                if number % 4 == 2
                else Magnitude(rng.normal(), math.nan if number == 7 else 0.1, "ML", 5),
                template="" if number == 6 else (f"t{number}" if number % 3 == 1 else None),
                arrivals=onsets,
                remark='Größe "unsicher",\nzwei Phasen & <so>' if number == 2 else "",
            )
        )
    return Catalog(PROJECTION, tuple(found), START - 2.0, START + 86400.0, 0.87)


def same(a, b):
    """Equal to the last bit, with NaN equal to NaN."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=True)
    if dataclasses.is_dataclass(a):
        names = [field.name for field in dataclasses.fields(a)]
        return type(a) is type(b) and all(same(getattr(a, name), getattr(b, name)) for name in names)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and (a == b or (a != a and b != b))


def test_hdf5_gives_back_everything(catalog, tmp_path):
    save_catalog(tmp_path / "c.h5", catalog)
    assert same(load_catalog(tmp_path / "c.h5"), catalog)
    assert same(read_catalog(tmp_path / "c.h5", Projection(0, 0)), catalog)
    first = (tmp_path / "c.h5").read_bytes()
    save_catalog(tmp_path / "c.h5", catalog)
    assert (tmp_path / "c.h5").read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == ["c.h5"]


def test_empty_catalogs_in_every_format(catalog, tmp_path):
    empty = catalog.with_detections(())
    save_catalog(tmp_path / "c.h5", empty)
    write_quakeml(tmp_path / "c.xml", empty)
    write_csv(tmp_path / "c.csv", empty)
    write_parquet(tmp_path / "c.parquet", empty)
    assert same(load_catalog(tmp_path / "c.h5"), empty)
    assert same(read_catalog(tmp_path / "c.xml", PROJECTION), empty)
    assert len(read_catalog(tmp_path / "c.csv", PROJECTION)) == 0


def test_a_damaged_or_foreign_file_is_told(catalog, tmp_path):
    path = tmp_path / "c.h5"
    with pytest.raises(MissingError, match=r"c\.h5: there is no such file"):
        load_catalog(path)
    save_catalog(path, catalog)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b""
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"c\.h5"):
        load_catalog(path)
    import h5py

    with h5py.File(path, "w") as file:
        file["other"] = 1
    with pytest.raises(InputError, match="holds no catalog"):
        load_catalog(path)
    (tmp_path / "c.xml").write_text("<?xml version='1.0'?><nothing/>")
    with pytest.raises(InputError, match=r"c\.xml"):
        read_catalog(tmp_path / "c.xml", PROJECTION)


# --- QuakeML


def test_quakeml_is_valid_and_always_the_same(catalog, tmp_path):
    from obspy import read_events
    from obspy.io.quakeml.core import _validate

    path = tmp_path / "c.xml"
    write_quakeml(path, catalog)
    first = path.read_bytes()
    assert _validate(str(path), verbose=True)
    write_quakeml(path, catalog)
    assert path.read_bytes() == first
    assert not re.search(rb">\s*(nan|inf|-inf)\s*<", first, re.IGNORECASE)
    assert not re.search(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}", first), "a random identifier"
    names = re.findall(rb'publicID="([^"]*)"', first)
    assert len(names) == len(set(names))
    event = read_events(str(path))[8]
    found = catalog.detections[8]
    origin = event.preferred_origin()
    assert origin.depth == pytest.approx(found.z) and origin.time.ns == pytest.approx(
        found.time * 1e9, abs=1e3
    )
    assert len(event.picks) == len(origin.arrivals) == len(found.arrivals)
    assert event.comments[0].text == why_kept(found)
    assert event.preferred_magnitude().mag == found.magnitude.value
    assert origin.origin_uncertainty.max_horizontal_uncertainty == pytest.approx(
        found.horizontal_error, rel=1e-3
    )
    turned = to_geographic_axes(found.covariance, PROJECTION.convergence(origin.latitude, origin.longitude))
    metres = 111.7e3  # a degree of latitude there
    assert origin.latitude_errors.uncertainty == pytest.approx(np.sqrt(turned[1, 1]) / metres, rel=2e-3)


def test_quakeml_is_what_obspy_writes(catalog, tmp_path):
    """ObsPy understands every element: what it read, written again, is the same document."""
    from xml.etree.ElementTree import canonicalize

    from obspy import read_events

    from seisflow.io.events import NAMESPACE

    mine, theirs = tmp_path / "mine.xml", tmp_path / "theirs.xml"
    plain = tuple(dataclasses.replace(each, remark="plain") for each in catalog)
    write_quakeml(mine, catalog.with_detections(plain))
    read_events(str(mine)).write(str(theirs), "QUAKEML", nsmap={"seisflow": NAMESPACE})
    a, b = (canonicalize(from_file=str(path), strip_text=True) for path in (mine, theirs))
    assert a == b


def test_quakeml_gives_back_detections(catalog, tmp_path):
    write_quakeml(tmp_path / "c.xml", catalog)
    read = read_catalog(tmp_path / "c.xml", PROJECTION)
    assert (read.start, read.end, read.live_days) == (catalog.start, catalog.end, catalog.live_days)
    for a, b in zip(catalog, read, strict=True):
        assert (a.id, a.time, a.method, a.template, a.remark) == (
            b.id,
            b.time,
            b.method,
            b.template,
            b.remark,
        )
        np.testing.assert_allclose(a.place, b.place, atol=1e-3)
        assert same(a.value, b.value) and same(a.threshold, b.threshold) and same(a.magnitude, b.magnitude)
        assert (a.covariance is None) == (b.covariance is None)
        if a.covariance is not None:
            scale = np.sqrt(np.outer(np.diag(a.covariance), np.diag(a.covariance)))[:3, :3]
            assert np.max(np.abs(a.covariance - b.covariance)[:3, :3] / scale) < 1e-3
            assert b.covariance[3, 3] == pytest.approx(a.covariance[3, 3])
        for x, y in zip(a.arrivals, b.arrivals, strict=True):
            assert (x.station, x.phase, x.residual, x.weight) == (y.station, y.phase, y.residual, y.weight)
            assert abs(x.time - y.time) < 1e-6


def test_quakeml_survives_what_is_not_finite_and_odd_texts(catalog, tmp_path):
    from obspy.io.quakeml.core import _validate

    odd = dataclasses.replace(
        catalog.detections[0],
        id="a b/ä?~#\x01",
        covariance=np.full((4, 4), np.nan),
        magnitude=Magnitude(math.nan, math.nan, "ML", 0),
        value=math.nan,
        arrivals=(Arrival("NODOT", "P", math.nan), Arrival("", "", START, math.nan, math.inf)),
        remark="\x00 \ud7ff \uffff",
    )
    negative = dataclasses.replace(
        catalog.detections[1], id="a b/ä?%23", covariance=np.diag([1.0, -2.0, 3.0, -1.0])
    )
    write_quakeml(tmp_path / "c.xml", catalog.with_detections((odd, negative)))
    assert _validate(str(tmp_path / "c.xml"), verbose=True)
    read = read_catalog(tmp_path / "c.xml", PROJECTION)
    assert len(read) == 2 and read.detections[0].covariance is None and read.detections[0].magnitude is None
    write_csv(tmp_path / "c.csv", catalog.with_detections((odd, negative)))
    assert "nan" not in (tmp_path / "c.csv").read_text().lower()


def test_quakeml_of_others_needs_origins(tmp_path):
    from obspy import UTCDateTime
    from obspy.core import event as oe

    def event(name, **origin):
        return oe.Event(resource_id=f"smi:other/event/{name}", origins=[oe.Origin(**origin)])

    whole = {"time": UTCDateTime(START + 5), "latitude": -78.1, "longitude": -84.0, "depth": 1900.0}
    early = {**whole, "time": UTCDateTime(START)}
    oe.Catalog([event("b", **whole), event("a", **early)]).write(str(tmp_path / "c.xml"), "QUAKEML")
    read = read_catalog(tmp_path / "c.xml", PROJECTION)
    assert [each.id for each in read] == ["a", "b"] and {each.method for each in read} == {"import"}
    assert (read.start, read.end) == (START, START + 5) and read.live_days == pytest.approx(5 / 86400)
    del whole["depth"]
    oe.Catalog([event("a", **early), event("b", **whole)]).write(str(tmp_path / "c.xml"), "QUAKEML")
    with pytest.raises(InputError, match="event/b has no origin with time, latitude, longitude and depth"):
        read_catalog(tmp_path / "c.xml", PROJECTION)


# --- ellipsoids


def test_ellipsoid_of_known_axes():
    """A covariance with its long axis towards N30E, dipping 40 degrees, and its shortest one horizontal."""
    azimuth, plunge = np.radians([30.0, 40.0])
    along = np.array([np.sin(azimuth) * np.cos(plunge), np.cos(azimuth) * np.cos(plunge), np.sin(plunge)])
    level = np.array([np.cos(azimuth), -np.sin(azimuth), 0.0])
    rest = np.cross(along, level)
    covariance = np.zeros((4, 4))
    for axis, sigma in ((along, 900.0), (level, 100.0), (rest, 300.0)):
        covariance[:3, :3] += sigma**2 * np.outer(axis, axis)
    found = ellipsoid_of(covariance)
    scale = np.sqrt(3.505882)
    np.testing.assert_allclose(
        [found.major, found.minor, found.intermediate], scale * np.array([900, 100, 300]), rtol=1e-6
    )
    assert (found.azimuth, found.plunge) == (pytest.approx(30), pytest.approx(40))
    assert min(found.rotation, 180 - found.rotation) == pytest.approx(0, abs=1e-6)


def test_ellipsoid_and_covariance_are_inverse():
    rng = np.random.default_rng(5)
    for _ in range(50):
        spread = rng.normal(size=(3, 3)) * rng.uniform(1, 1000, (3, 1))
        covariance = np.zeros((4, 4))
        covariance[:3, :3] = spread @ spread.T
        covariance[3, 3] = 0.04
        back = covariance_of(ellipsoid_of(covariance), 0.2)
        np.testing.assert_allclose(back, covariance, atol=1e-8 * np.trace(covariance))
        turn = rng.uniform(-0.3, 0.3)
        np.testing.assert_allclose(
            to_local_axes(to_geographic_axes(covariance, turn), turn),
            covariance,
            atol=1e-8 * np.trace(covariance),
        )


def test_horizontal_ellipse_points_where_it_is_long():
    large, small, azimuth = horizontal_ellipse(np.array([[400.0, 300.0], [300.0, 400.0]]))
    assert azimuth == pytest.approx(45) and large / small == pytest.approx(np.sqrt(7))
    assert horizontal_ellipse(np.diag([np.nan, 1.0])) is None
    assert horizontal_ellipse(np.diag([-1.0, 1.0])) is None


def test_errors_are_turned_by_the_convergence():
    """Far from the central meridian the local axes are not east and north."""
    latitude, longitude = -78.15, -73.9
    turn = PROJECTION.convergence(latitude, longitude)
    x, y = PROJECTION.to_local(latitude, longitude)
    x1, y1 = PROJECTION.to_local(latitude + 1e-4, longitude)
    north = np.array([x1 - x, y1 - y, 0, 0])
    north /= np.linalg.norm(north)
    covariance = np.outer(north, north) * 100.0**2
    turned = to_geographic_axes(covariance, turn)
    assert turned[1, 1] == pytest.approx(1e4, rel=1e-6) and turned[0, 0] == pytest.approx(0, abs=1e-3)
    found = Detection("a", START, x, y, 0.0, "beam", covariance=covariance)
    row = catalog_rows(Catalog(PROJECTION, (found,), START, START, 0.0))[0]
    assert row["error_north_km"] == pytest.approx(0.1) and row["error_east_km"] == pytest.approx(0, abs=1e-5)


# --- tables


def test_csv_and_parquet_hold_the_same(catalog, tmp_path):
    import pyarrow.parquet as pq

    write_csv(tmp_path / "c.csv", catalog)
    write_parquet(tmp_path / "c.parquet", catalog)
    assert (tmp_path / "c.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    read = read_catalog(tmp_path / "c.csv", PROJECTION)
    table = pq.read_table(tmp_path / "c.parquet").to_pylist()
    for a, b, row in zip(catalog, read, table, strict=True):
        assert a.id == b.id == row["id"] and a.method == b.method
        assert (a.magnitude is None) == (b.magnitude is None) == (row["magnitude"] is None)
        assert abs(a.time - b.time) < 1e-6 and row["time"].timestamp() == pytest.approx(a.time, abs=1e-6)
        np.testing.assert_allclose(a.place, b.place, atol=0.02)
        assert row["depth_km"] == pytest.approx(a.z / 1e3, abs=1e-6) and row["n_arrivals"] == len(a.arrivals)
        assert same(a.value, b.value) and (row["value"] is None) == math.isnan(a.value)
        if a.covariance is not None:
            np.testing.assert_allclose(np.diag(b.covariance)[2:], np.diag(a.covariance)[2:], rtol=1e-2)
    assert pq.read_schema(tmp_path / "c.parquet").metadata[b"seisflow_live_days"] == b"0.87"


def test_times_are_written_to_the_microsecond():
    assert iso_time(1232510402.916) == "2009-01-21T04:00:02.916000Z"
    assert iso_time(-0.5) == "1969-12-31T23:59:59.500000Z"
    assert iso_time(1232510402.9999999) == "2009-01-21T04:00:03.000000Z"
    assert detection_names([1232510407.168, 1232510407.1683, 1232510407.1679]) == [
        "20090121T040007.168",
        "20090121T040007.168b",
        "20090121T040007.168c",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "origin_time,longitude,latitude,depth_km,coalescence,err_x_km,err_y_km,err_z_km\n"
        "2009-01-21T04:00:02.916000Z,-84.047685,-78.169565,2.135,6.426,0.0561,0.1275,0.1976\n",
        "#EventID | Time | Latitude | Longitude | Depth/km | MagType | Magnitude\n"
        "7 | 2009-01-21T04:00:02.916 | -78.169565 | 275.952315 | 2.135 | ML | 0.5\n",
        "\ufeffDate;Time;Lat;Lon;Depth_m\n\n2009/01/21;04:00:02.916;-78.169565;-84.047685;2135\n",
        "time,mag,latitude,longitude,depth,horizontalError,magType\n"
        "2009-01-21 05:00:02.916+01:00,0.5,-78.169565,-84.047685,2.135,0.3,ml\n",
    ],
)
def test_csv_of_others(tmp_path, text):
    (tmp_path / "c.csv").write_text(text, encoding="utf-8")
    (found,) = read_catalog(tmp_path / "c.csv", PROJECTION)
    assert found.time == 1232510402.916 and found.z == pytest.approx(2135) and found.method == "import"
    np.testing.assert_allclose(
        PROJECTION.to_geographic(found.x, found.y), (-78.169565, -84.047685), atol=1e-9
    )
    if "err_x" in text:
        assert found.value == 6.426 and found.vertical_error == pytest.approx(197.6)
        assert found.horizontal_error == pytest.approx(np.sqrt(2.28) * 127.5, rel=1e-3)
        assert math.isnan(found.covariance[3, 3])
    if "ag" in text:
        assert found.magnitude.value == 0.5 and found.magnitude.kind.lower() == "ml"


def test_faults_of_a_csv_are_named_with_line_and_column(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text(
        "time,lat,lon,depth\n"
        "2009-01-21T04:00:02Z,-78.1,-84.0,2\n"
        "2009-13-21T04:00:02Z,-78.1,-84.0,2\n"
        "2009-01-21T04:00:02Z,-98.1,-84.0,\n"
        "2009-01-21T04:00:02Z,-78.1,x,2\n"
        "2009-01-21T04:00:02Z,-78.1,-84.0,2,9,9\n"
        "2009-01-21T04:00:02Z,60,100,2\n"
    )
    with pytest.raises(InputError) as told:
        read_catalog(path, PROJECTION)
    lines = str(told.value).splitlines()
    assert len(lines) == 6
    for line, words in zip(
        lines,
        (
            "line 3, column time: '2009-13-21T04:00:02Z' is no time",
            "line 4, column lat: '-98.1' must lie between -90 and 90",
            "line 4, column depth: '' must be a number",
            "line 5, column lon: 'x' is no number",
            "line 6: has 2 cells more",
            "line 7: latitude 60, longitude 100 is too far",
        ),
        strict=True,
    ):
        assert words in line and str(path) in line
    path.write_text("time,lat,depth\n2009-01-21T04:00:02Z,-78.1,2\n")
    with pytest.raises(InputError, match="names no column for longitude"):
        read_catalog(path, PROJECTION)
    path.write_text("")
    with pytest.raises(InputError, match="is empty"):
        read_catalog(path, PROJECTION)
    path.write_bytes(b"time,\xff\xfe\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_catalog(path, PROJECTION)


def test_imported_rows_come_in_the_order_of_their_times(tmp_path):
    (tmp_path / "c.csv").write_text(
        "time,lat,lon,depth\n2009-01-21T04:00:09Z,-78.1,-84.0,2\n2009-01-21T04:00:02Z,-78.1,-84.0,1\n"
        "2009-01-21T04:00:02Z,-78.1,-84.0,3\n"
    )
    read = read_catalog(tmp_path / "c.csv", PROJECTION)
    assert [each.z for each in read] == [1000, 3000, 2000]
    assert [each.id for each in read] == [
        "20090121T040002.000",
        "20090121T040002.000b",
        "20090121T040009.000",
    ]
