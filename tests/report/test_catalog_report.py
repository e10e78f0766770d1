"""Pictures and page of a catalog."""

import base64
import dataclasses
import html.parser
import io
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.image import imread
from test_report import check_png, texts, visible_inside

from seisflow.detection.compare import compare
from seisflow.domain import (
    Arrival,
    Beam,
    Catalog,
    Continuous,
    Detection,
    Grid,
    Magnitude,
    Projection,
    Station,
)
from seisflow.errors import InputError
from seisflow.report import (
    CatalogPage,
    draw_beam,
    draw_beam_snapshot,
    draw_catalog,
    draw_catalog_comparison,
    draw_event_waveforms,
    draw_magnitude_frequency,
    draw_seismicity,
    write_catalog_page,
)
from seisflow.report.catalog import duration
from seisflow.report.catalog_page import catalog_html, false_alarm_table
from seisflow.report.views import box_of

PROJECTION = Projection(-78.15, -83.9)
START = 1232510400.0
STATIONS = tuple(
    Station("YG", f"ST{n:02d}", *PROJECTION.to_geographic(900.0 * n - 3500, 700.0 * (n % 4) - 1000), 300.0)
    for n in range(9)
)


def made_up(count, magnitudes=True, errors=True):
    rng = np.random.default_rng(7)
    found = []
    for number, time in enumerate(np.sort(rng.uniform(0, 2 * 86400, count))):
        spread = rng.normal(size=(4, 4)) * [[300.0], [200.0], [500.0], [0.1]]
        found.append(
            Detection(
                f"e{number}",
                START + time,
                *(rng.normal(size=3) * [4e3, 3e3, 700] + [0, 0, 2e3]),
                method="beam",
                value=9.0 + rng.exponential(),
                threshold=8.0,
                false_alarm_rate=10.0 ** rng.uniform(-4, 1),
                covariance=spread @ spread.T if errors else None,
                magnitude=Magnitude(rng.exponential(0.43) - 0.5, 0.1, "ML", 5) if magnitudes else None,
                remark="<b>P & S</b>" if number == 0 else "",
            )
        )
    return Catalog(PROJECTION, tuple(found), START, START + 2 * 86400, 1.9)


@pytest.fixture
def catalog():
    return made_up(150)


@pytest.fixture
def recordings():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(9, 3, 600)).astype(np.float32)
    live = np.ones(data.shape, bool)
    live[2] = False
    live[4, :, 100:200] = False
    data[3, 1] *= 5
    return Continuous(STATIONS, ("E", "N", "Z"), data, live, START - 0.5, 0.01)


def detection(**more):
    found = Detection(
        "e1", START, 500.0, -300.0, 1900.0, "beam", 9.0, 8.0, 0.1, np.diag([150.0, 90, 200, 0.02]) ** 2
    )
    return dataclasses.replace(found, **more)


# --- pictures of catalogs


def test_map_shows_every_event_on_three_panels(catalog, tmp_path):
    figure = draw_catalog(catalog, STATIONS, "somewhere")
    plan, along_y, along_x = figure.axes[:3]
    for axes, across, up in ((plan, 0, 1), (along_y, 2, 1), (along_x, 0, 2)):
        dots = next(each for each in axes.collections if isinstance(each, mpl.collections.PathCollection))
        shown = np.asarray(dots.get_offsets())
        wanted = catalog.places[:, [across, up]] / 1e3
        np.testing.assert_allclose(np.sort(shown, axis=0), np.sort(wanted, axis=0))
        ellipses = next(each for each in axes.collections if isinstance(each, EllipseCollection))
        assert len(ellipses.get_offsets()) == 150
        low, high = axes.get_xlim(), axes.get_ylim()
        assert min(low) <= shown[:, 0].min() and shown[:, 0].max() <= max(low)
        assert min(high) <= shown[:, 1].min() and shown[:, 1].max() <= max(high)
    assert along_x.get_ylim()[0] > along_x.get_ylim()[1], "depth goes down"
    assert plan.get_xlim() == along_x.get_xlim() and plan.get_ylim() == along_y.get_ylim()
    box, (width, height) = plan.get_position(), figure.get_size_inches()
    scales = box.width * width / np.ptp(plan.get_xlim()), box.height * height / np.ptp(plan.get_ylim())
    assert scales[0] == pytest.approx(scales[1]), "the map is at true scale"
    told = texts(figure)
    assert "somewhere" in told and "68 % error" in told and "station" in told
    assert any(text.startswith("hours after") or text.startswith("days after") for text in told)
    visible_inside(figure)
    check_png(figure, tmp_path / "a.png")


def test_error_ellipse_has_the_size_and_direction_of_the_covariance():
    covariance = np.zeros((4, 4))
    covariance[:2, :2] = 500.0**2 * np.array(
        [[3.25, 1.299038], [1.299038, 1.75]]
    )  # variances 4 and 1, 30 degrees
    covariance[2, 2] = 100.0**2
    figure = draw_catalog(made_up(1).with_detections((detection(covariance=covariance),)))
    ellipses = next(each for each in figure.axes[0].collections if isinstance(each, EllipseCollection))
    figure.draw_without_rendering()
    assert 2 * ellipses._widths[0] == pytest.approx(2 * np.sqrt(2.2789 * 4) * 0.5, rel=1e-3)
    assert 2 * ellipses._heights[0] == pytest.approx(2 * np.sqrt(2.2789 * 1) * 0.5, rel=1e-3)
    assert np.degrees(ellipses._angles)[0] % 180 == pytest.approx(30, abs=0.01)


def test_map_of_one_event_holds_its_error():
    figure = draw_catalog(
        made_up(1).with_detections((detection(covariance=np.diag([3e3, 2e3, 4e3, 1.0]) ** 2),))
    )
    reach = np.sqrt(2.2789) * np.array([3.0, 2.0, 4.0])
    for axes, across, up in zip(figure.axes[:3], (0, 2, 0), (1, 1, 2), strict=True):
        place = np.array([0.5, -0.3, 1.9])
        for side, axis in ((axes.get_xlim(), across), (axes.get_ylim(), up)):
            assert min(side) < place[axis] - reach[axis] and max(side) > place[axis] + reach[axis]


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("whole", [True, False])
def test_small_catalogs_are_drawn(count, whole, tmp_path):
    small = made_up(count, whole, whole)
    for draw in (draw_catalog, draw_seismicity, draw_magnitude_frequency):
        figure = draw(small)
        visible_inside(figure)
    nowhere = dataclasses.replace(small, start=float("nan"), end=float("nan"), live_days=float("nan"))
    draw_seismicity(nowhere)
    assert len(catalog_html(nowhere, CatalogPage("small"))) > 1000


def test_seismicity_counts_all(catalog, tmp_path):
    figure = draw_seismicity(catalog, "in time")
    bars = [patch.get_height() for patch in figure.axes[0].patches]
    assert sum(bars) == 150
    total = figure.axes[2].get_lines()[0].get_ydata()
    assert total[0] == 0 and total[-1] == 150 and np.all(np.diff(total) >= 0)
    assert figure.axes[1].get_ylabel() == "magnitude ML" and "in time" in texts(figure)
    check_png(figure, tmp_path / "a.png")
    assert draw_seismicity(made_up(20, magnitudes=False)).axes[1].get_ylabel() == "value over\nthreshold"


def test_magnitude_frequency_shows_line_and_completeness(tmp_path):
    figure = draw_magnitude_frequency(made_up(600), title="sizes")
    told = " ".join(texts(figure))
    assert re.search(r"b = \d\.\d\d ± 0\.\d\d", told) and "completeness" in told and "sizes" in told
    dots = next(line for line in figure.axes[0].get_lines() if line.get_label() == "this magnitude and above")
    assert dots.get_ydata()[0] == 600 and np.all(np.diff(dots.get_ydata()) <= 0)
    visible_inside(figure)
    check_png(figure, tmp_path / "a.png")
    assert "no magnitudes" in texts(draw_magnitude_frequency(made_up(5, magnitudes=False)))


def test_comparison_draws_pairs_missed_and_extra(catalog, tmp_path):
    rng = np.random.default_rng(1)
    moved = tuple(
        dataclasses.replace(each, x=each.x + rng.normal(0, 90), y=each.y + 50)
        for each in catalog.detections[20:]
    )
    result = compare(
        catalog.with_detections(moved), catalog.with_detections(catalog.detections[:140]), 1.0, 900.0
    )
    assert (len(result.pairs), result.missed.size, result.extra.size) == (120, 20, 10)
    figure = draw_catalog_comparison(result)
    told = texts(figure)
    for text in ("only found: 10", "missed: only in the reference: 20", "matched: 120"):
        assert text in told
    lines = next(each for each in figure.axes[0].collections if isinstance(each, LineCollection))
    assert len(lines.get_segments()) == 120
    assert sum(patch.get_height() for patch in figure.axes[1].patches) == 120
    visible_inside(figure)
    check_png(figure, tmp_path / "a.png")
    nothing = compare(catalog.with_detections(()), catalog.with_detections(()), 1.0, 1.0)
    assert "no pairs" in texts(draw_catalog_comparison(nothing))


# --- pictures of detections


def test_waveforms_stand_by_distance_with_their_arrivals(recordings, tmp_path):
    picks = (
        Arrival("YG.ST03", "P", START + 1.0),
        Arrival("YG.ST03", "S", START + 1.9),
        Arrival("XX.NO", "P", START),
    )
    predicted = [
        Arrival(each.id, phase, START + t) for each in STATIONS for phase, t in (("P", 1.1), ("S", 2.0))
    ]
    figure = draw_event_waveforms(recordings, detection(arrivals=picks), PROJECTION, predicted)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    distances = [float(label.split()[1]) for label in labels]
    assert distances == sorted(distances) and len(labels) == 9
    told = texts(figure)
    assert told.count("no recording") == 2 and "P predicted" in told and "S picked" in told
    row = next(n for n, label in enumerate(labels) if label.startswith("YG.ST03"))
    beside = [text for text in figure.axes[1].texts if text.get_position()[1] == row]
    assert [text.get_text() for text in beside] == ["N"], "the larger horizontal component"
    marks = [each for each in figure.axes[0].collections if isinstance(each, LineCollection)]
    assert len(marks) == 2 * 9 + 2
    for line in figure.axes[0].get_lines():
        data = np.asarray(line.get_ydata(), dtype=float)
        assert data.size == 2 or np.nanmax(abs(data - np.round(np.nanmean(data)))) <= 0.4201
    visible_inside(figure)
    check_png(figure, tmp_path / "a.png")
    one = dataclasses.replace(
        recordings, components=("Z",), data=recordings.data[:, :1], live=recordings.live[:, :1]
    )
    assert len(draw_event_waveforms(one, detection(), PROJECTION).axes) == 1
    none = Continuous((), ("Z",), np.zeros((0, 1, 5), np.float32), np.zeros((0, 1, 5), bool), START, 0.01)
    with pytest.raises(InputError, match="no recordings to draw"):
        draw_event_waveforms(none, detection(), PROJECTION)


def made_up_beam(count):
    values = np.random.default_rng(3).gamma(9, 0.1, count).astype(np.float32)
    node, live = np.zeros(count, np.int32), np.ones(count, np.float32)
    node[count // 4 : count // 3], live[count // 4 : count // 3] = -1, 0
    values[count // 2] = 20.0
    return Beam(START - 5.0, 0.02, values, node, live)


@pytest.mark.parametrize("count", [500, 40000])
def test_beam_keeps_its_peaks(count, tmp_path):
    beam = made_up_beam(count)
    peak = detection(time=START - 5.0 + 0.02 * (count // 2))
    figure = draw_beam(beam, 2.6, [peak, detection(time=START - 9999)], "a piece")
    line = figure.axes[0].get_lines()[0]
    data = np.asarray(line.get_ydata(), dtype=float)
    assert np.nanmax(data) == 20.0 and np.isnan(data).any() and data.size <= 8002
    told = texts(figure)
    assert "1 detection" in told and "a piece" in told and "threshold" in told
    marker = figure.axes[0].get_lines()[2]
    assert marker.get_ydata()[0] == 20.0
    visible_inside(figure)
    check_png(figure, tmp_path / "a.png")


def test_beam_and_threshold_must_fit():
    beam = made_up_beam(50)
    draw_beam(beam, np.full(50, 2.0))
    with pytest.raises(InputError, match="threshold of shape"):
        draw_beam(beam, np.full(49, 2.0))


def test_snapshot_cuts_through_the_maximum(tmp_path):
    grid = Grid((-4e3, -3e3, -500.0), (400.0, 400.0, 250.0), (21, 16, 14))
    values = np.random.default_rng(2).random(grid.shape)
    values[7, 5, 9] = 3.0
    values[0, 0, 0] = np.nan
    figure = draw_beam_snapshot(values, grid, detection(), PROJECTION, STATIONS)
    parts = [
        next(each for each in axes.collections if isinstance(each, mpl.collections.QuadMesh)).get_array()
        for axes in figure.axes[:3]
    ]
    np.testing.assert_allclose(np.asarray(parts[0]), values[:, :, 9].T)
    np.testing.assert_allclose(np.asarray(parts[1]), values[7])
    np.testing.assert_allclose(np.asarray(parts[2]), values[:, 5].T)
    told = texts(figure)
    assert {"location", "68 % error", "best node", "station", "beam"} <= set(told)
    visible_inside(figure)
    check_png(figure, tmp_path / "a.png")
    with pytest.raises(InputError, match="give the beam on this grid"):
        draw_beam_snapshot(values[1:], grid, detection(), PROJECTION)


# --- the page


class Page(html.parser.HTMLParser):
    """What is in a page: tags with attributes, rows of the table, and whether tags close."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_page_is_whole_and_self_contained(catalog, recordings, tmp_path):
    panels = {"e1": [("seismograms", draw_event_waveforms(recordings, detection(), PROJECTION))]}
    page = CatalogPage(
        "Ice <stream> & more",
        STATIONS,
        {"threshold": "8 <MAD>"},
        [("Beam", "all of it", draw_beam(made_up_beam(500), 2.0))],
        panels,
        compare(catalog, catalog, 1.0, 100.0),
    )
    path = tmp_path / "page.html"
    write_catalog_page(path, catalog, page)
    text = path.read_text()
    found = Page(text)
    words = " ".join(found.words)
    for part in (
        "Ice <stream> & more",
        "8 <MAD>",
        "<b>P & S</b>",
        "b-value",
        "recall",
        "False alarms",
        "YG.ST00",
    ):
        assert part in words
    assert "<b>P" not in text, "what comes from files is escaped"
    for _, attributes in found.tags:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("data:image/png;base64,", "#"))
        assert not any(name.startswith("on") for name in attributes)
    pictures = [each["src"].split(",")[1] for tag, each in found.tags if tag == "img"]
    assert len(pictures) == 6
    for picture in pictures:
        assert imread(io.BytesIO(base64.b64decode(picture))).shape[1] > 400
    assert sum(tag == "tr" for tag, _ in found.tags) - 151 == len(false_alarm_table(catalog)) + 1
    targets = {each["id"] for tag, each in found.tags if "id" in each}
    links = {each["href"][1:] for tag, each in found.tags if tag == "a"}
    assert links == {"event-1"} and links <= targets
    assert "@import" not in text and "url(" not in text
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(InputError, match="pictures of detection e999"):
        catalog_html(catalog, dataclasses.replace(page, events={"e999": []}))


def test_page_of_the_same_catalog_is_the_same(catalog):
    page = CatalogPage("twice", STATIONS)
    assert catalog_html(catalog, page) == catalog_html(catalog, page)


def test_page_of_nothing():
    words = " ".join(Page(catalog_html(made_up(0), CatalogPage("nothing"))).words)
    assert "No events." in words and "No false-alarm rates" in words and "nan" not in words.lower()
    words = " ".join(Page(catalog_html(made_up(1, False, False), CatalogPage("one"))).words)
    assert "1 (1 by beam)" in words and "nan" not in words.lower()


def test_false_alarms_are_counted_by_hand():
    catalog = made_up(6)
    rates = (0.005, 0.05, 0.05, 5.0, float("nan"), 0.5)
    found = tuple(
        dataclasses.replace(each, false_alarm_rate=rate) for each, rate in zip(catalog, rates, strict=True)
    )
    rows = false_alarm_table(catalog.with_detections(found))
    assert [(row.rate, row.events) for row in rows] == [(10, 5), (1, 4), (0.1, 3), (0.01, 1), (0.001, 0)]
    assert [row.expected for row in rows] == pytest.approx([19, 1.9, 0.19, 0.019, 0.0019])


def test_durations_and_boxes_are_sensible():
    assert duration(3.25) == "3.25 days" and duration(1 / 72) == "20 minutes" and duration(0.0) == "0 s"
    assert duration(float("nan")) == "unknown length"
    box = box_of(np.array([[1.0, 2.0, 3.0]]))
    assert np.ptp(box.x) > 0 and np.ptp(box.z) > 0
