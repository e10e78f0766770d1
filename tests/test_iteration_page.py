"""The page of an iteration: complete, alone, and true to the records."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import tiny

from seisflow.io.event_file import read_event
from seisflow.project import Project
from seisflow.report import IterationPage, PageTable, WindowTraces, draw_window_traces, write_iteration_page


class Page(HTMLParser):
    """Tables by id, addresses, and sources of pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.links, self.pictures, self.open = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if tag == "table":
            self.rows = self.tables[named["id"]] = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.open = True
        elif tag == "a":
            self.links.append(named["href"])
        elif tag == "img":
            self.pictures.append(named["src"])
        assert tag not in ("script", "link", "iframe")

    def handle_endtag(self, tag):
        self.open = self.open and tag not in ("td", "th")

    def handle_data(self, data):
        if self.open:
            self.rows[-1][-1] += data


def number(text: str) -> float:
    return float(text.replace("−", "-"))


@pytest.fixture
def written(run, done):
    """The text of the page, and its tables."""
    tiny.change_config(done, "hold_out: [h1]", "hold_out: [h1, XX.S2]")
    pictures = done / "iterations" / "i01" / "pictures"
    pictures.mkdir(exist_ok=True)
    (pictures / "overview.png").write_bytes(b"")
    code, out, error = run("report", "--iteration", 1, "-p", done)
    assert (code, error) == (0, "")
    assert out.strip() == "iterations/i01/report.html"
    text = (done / "iterations" / "i01" / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_misfits_of_what_is_used_and_held_out_stand_apart(written, done):
    rows = {row[0]: row for row in written[1].tables["misfit"][1:]}
    assert list(rows) == ["used", "held-out stations", "held-out events"]
    results = Project.open(done).record_of("i01/update")["results"]
    before, after = results["held_out"]  # of the event h1 alone when it ran
    assert number(rows["held-out events"][3]) == pytest.approx(before, rel=1e-3)
    assert number(rows["held-out events"][4]) == pytest.approx(after, rel=1e-3)
    values = {"used": [], "held-out stations": []}
    for event in tiny.EVENTS[:3]:
        for row in read_event(done / "iterations/i01/s00" / f"{event}.h5", waveforms=False).measurements:
            values["held-out stations" if row.window.station == "XX.S2" else "used"].append(row.value)
    for name, found in values.items():
        assert int(rows[name][1]) == int(rows[name][2]) == len(found) > 0
        assert number(rows[name][3]) == pytest.approx(np.mean(found), rel=1e-3)
        assert number(rows[name][5]) < 0
    heads, *found = written[1].tables["categories"]
    assert {row[0] for row in found} == {"6-20 s"} and [row[2] for row in found] == ["R", "T", "Z"]
    assert sum(int(row[3]) for row in found) == len(values["used"])
    for column in (4, 5):  # shares of weight and misfit
        assert heads[column].endswith("(%)") and sum(number(row[column]) for row in found) == pytest.approx(
            100, abs=0.2
        )
    assert "None seems reversed, late, or wrong in its gain" in written[0]


def test_what_was_dropped_is_counted_and_listed(written, done):
    counts: dict[str, int] = {}
    listed = 0
    for event in tiny.EVENTS:
        for row in read_event(done / "iterations/i01/s00" / f"{event}.h5", waveforms=False).rejections:
            counts[row.stage] = counts.get(row.stage, 0) + row.count
            listed += 1
    tables = written[1].tables
    assert {row[0]: int(row[1]) for row in tables["dropped"][1:]} == counts
    assert len(tables["refused"]) - 1 == listed


def test_the_largest_misfits_come_first_and_events_are_all_there(written):
    tables = written[1].tables
    largest = [number(row[4]) for row in tables["largest"][1:]]
    assert largest == sorted(largest, reverse=True) and len(largest) == 20
    assert [row[0] for row in tables["events"][1:]] == list(tiny.EVENTS)


def test_the_page_needs_no_network_and_its_links_lead_to_pictures(written, done):
    text, page = written
    assert not re.search(r"(src|href)=.?\s*(https?:)?//|@import|url\(", text)
    assert len(page.pictures) == 5  # misfit, map, histograms, best, worst
    for source in page.pictures:
        kind, _, data = source.partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG") and len(data) > 10_000
    assert page.links == ["pictures/", "pictures/overview.png"]
    assert all((done / "iterations" / "i01" / link).exists() for link in page.links)


def test_the_last_iteration_that_is_done_is_taken_and_the_same_bytes_come_again(
    written, run, done, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, _, _ = run("report", "-p", done, "--to", tmp_path / "page.html")
    assert code == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.tables == written[1].tables and page.pictures == written[1].pictures
    assert (tmp_path / page.links[1]).resolve() == done / "iterations/i01/pictures/overview.png"


@pytest.mark.parametrize(
    ("iteration", "told"), [(3, "nothing was measured"), (9, "iteration 9"), (None, "nothing was measured")]
)
def test_an_iteration_without_measurements_is_refused(run, done, project, iteration, told):
    root, more = (project, []) if iteration is None else (done, ["--iteration", iteration])
    code, out, error = run("report", "-p", root, *more)
    assert (code, out) == (2, "")
    assert told in error and error.count("\n") == 1


def test_texts_of_the_page_are_escaped_and_what_is_left_out_is_told(tmp_path):
    empty = PageTable(("a", "b"), [])
    refused = PageTable(("reason", "count"), [("<script>1 < 2</script>", -3), ("-5 s", None)])
    page = IterationPage(
        "a & b",
        [("x", "<i>")],
        *[empty] * 4,
        [],
        PageTable(("s", "n"), [("shift", 2)]),
        refused,
        empty,
        7,
    )
    write_iteration_page(tmp_path / "a.html", page)
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<script>" not in text and "<i>" not in text and "a &amp; b" in text
    assert Page(text).tables["refused"][1:] == [["<script>1 < 2</script>", "−3"], ["-5 s", ""]]
    assert "7 more are not shown" in text


def test_windows_are_drawn_with_both_traces_on_one_scale():
    times = np.linspace(0, 60, 601)
    panels = [
        WindowTraces(f"e{n}", "told", times, np.sin(times), 3 * np.sin(times), (20.0, 30.0), n == 1)
        for n in range(4)
    ]
    axes = [each for each in draw_window_traces(panels).axes if each.axison]
    assert len(axes) == 4
    for each in axes:
        lines = {line.get_label(): line for line in each.lines}
        assert set(lines) == {"observed", "synthetic"}
        assert lines["observed"].get_xdata().min() == pytest.approx(14)
        assert lines["synthetic"].get_xdata().max() == pytest.approx(36)
        assert each.get_ylim()[1] == pytest.approx(1.15 * 3 * np.abs(np.sin(times[140:361])).max())
