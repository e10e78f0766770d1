"""A user's session: windows dropped and set by hand, that last through iterations and frozen windows."""

import pytest
import tiny

from seisflow.io.event_file import read_event
from seisflow.project import Project
from seisflow.steps.by_hand import next_iteration


@pytest.fixture
def done(tiny_done_source, tmp_path):
    return tiny.copy(tiny_done_source, tmp_path / "project")


def windows_of(root, iteration, event):
    content = read_event(Project.open(root).event_file(iteration, 0, event), waveforms=False)
    return content.windows, content.rejections


def test_windows_changed_by_hand_last(done, run):
    before, _ = windows_of(done, 1, "a1")
    dropped, replaced = before[0], next(w for w in before if w.station != before[0].station)
    start, end = (round(t / 0.6) * 0.6 for t in (replaced.start + 1.2, replaced.end - 1.2))
    place = ("-p", done, "--event", "a1", "--by", "A. Person")
    code, out, err = run(
        "windows", "edit", dropped.station, dropped.component, "--drop", "--why", "a glitch", *place
    )
    assert code == 0 and "from: 2" in out and "why: a glitch" in out, err
    span = (f"{start:.1f}", f"{end:.1f}")
    code, out, err = run(
        "windows",
        "edit",
        replaced.station,
        replaced.component,
        "--set-span",
        *span,
        "--why",
        "one phase",
        *place,
    )
    assert code == 0, err
    assert run("iterate", "-i", 1, "-p", done)[1].startswith("iteration 1 is done")  # it stays as it is
    assert "windows changed by hand: 2 entries, from iteration 2 on" in run("status", "-p", done)[1]
    assert "setting by_hand" in run("why", "i02/s00/a1", "-p", done)[1]
    code, _, err = run("iterate", "-i", 2, "-p", done)
    assert code == 0, err
    windows, rejections = windows_of(done, 2, "a1")
    assert not [w for w in windows if (w.station, w.component) == (dropped.station, dropped.component)]
    (mine,) = (w for w in windows if w.by_hand)
    assert (mine.start, mine.end) == pytest.approx((float(span[0]), float(span[1])), abs=0.31)
    assert mine.by_hand == "set: one phase (A. Person)" and 0 < mine.correlation <= 1
    lost = [row for row in rejections if row.stage == "by hand"]
    assert {row.reason for row in lost} == {
        "dropped: a glitch (A. Person)", "another window is set: one phase (A. Person)"
    }  # fmt: skip
    others = {w for w in windows if w.station not in (dropped.station, replaced.station)}
    assert others == {w for w in before if w.station not in (dropped.station, replaced.station)}
    assert not [w for w in windows_of(done, 2, "a2")[0] if w.by_hand]
    out = run("windows", "list", "-p", done)[1]
    assert "1 windows in iteration 2" in out or "1 windows in iteration 3" in out
    told = "(by_hand is not null or rejected_by = 'by hand')"
    sql = f"select count(*) as n from measurements where iteration = 2 and {told}"
    assert run("query", sql, "-p", done)[1].split()[-1] == str(1 + len(lost))
    assert run("windows", "show", "a1", "-p", done, "-i", 2)[1].count("A. Person") == 1 + len(lost)


def test_the_next_iteration_is_the_first_that_is_not_done(done, tiny_source):
    assert next_iteration(Project.open(done)) == 2
    assert next_iteration(Project.open(tiny_source)) == 1


def test_how_windows_were_chosen_is_drawn(done, run, tmp_path):
    station = windows_of(done, 1, "a1")[0][0].station
    picture = tmp_path / "choice.png"
    code, out, err = run("windows", "show", "a1", station, "-p", done, "-i", 1, "--to", picture)
    assert code == 0, err
    assert picture.read_bytes()[:4] == b"\x89PNG" and station in out
    assert run("windows", "show", "a1", "XX.NO", "-p", done)[0] == 2
    assert run("windows", "show", "nobody", "-p", done)[0] == 2


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("- {station: XX.NO, drop: all, why: w}", "entry 1: there is no station XX.NO"),
        ("- {station: STATION, event: nobody, drop: all, why: w}", "there is no event nobody"),
        ("- {station: STATION, component: Q, drop: all, why: w}", "there is no component Q"),
        ("- {station: STATION, component: Z, set: [1, 999], why: w}", "leaves the seismograms"),
        ("- {station: STATION, drop: all, why: w, periods: [1, 2]}", r"no band has the periods"),
        ("- {station: STATION, drop: all}", "`why` is missing"),
        ("- {station: STATION, dorp: all, why: w}", "did you mean 'drop'"),
        ("- {station: STATION, drop: [5, 4], why: w}", "two rising numbers in s, or all"),
        ("- {station: STATION, set: [4, 5], why: w}", "`set` needs `component`"),
        ("station: STATION", "must be a list"),
        ("- [", "is not YAML"),
    ],
)
def test_what_cannot_be_done_is_said_before_work_starts(done, run, entry, words):
    station = windows_of(done, 1, "a1")[0][0].station
    (done / "windows.yaml").write_text(entry.replace("STATION", station) + "\n")
    for command in (("check",), ("iterate", "-i", 2)):
        code, _, err = run(*command, "-p", done)
        assert code == 2 and words in err.replace("\n", " ") and "windows.yaml" in err


def test_an_entry_of_a_person_keeps_its_text(done, run):
    text = "# my notes\n- station: {}  # noisy\n  drop: all\n  why: noise\n"
    station = windows_of(done, 1, "a1")[0][0].station
    (done / "windows.yaml").write_text(text.format(station))
    code, _, err = run(
        "windows", "edit", station, "Z", "--drop-span", 3, 9, "--why", "a: b", "--by", "", "-p", done
    )
    assert code == 0, err
    content = (done / "windows.yaml").read_text()
    assert (
        content.startswith(text.format(station))
        and "drop: [3.0, 9.0]" in content
        and "why: 'a: b'" in content
    )
    assert run("windows", "edit", "-p", done)[1].endswith("2 entries, all can be applied\n")
    code, _, err = run("windows", "edit", station, "--drop", "-p", done)
    assert code == 2 and "the reason is missing" in err


def test_windows_of_the_stage_before_can_be_carried_over(tiny_done_source, tmp_path, run):
    root = tiny.copy(tiny_done_source, tmp_path / "project")
    tiny.change_config(root, "iterations: 3", "iterations: 1")
    tiny.change_config(root, "    iterations: 2", "    iterations: 2\n    carry_over: true")
    code, _, err = run("iterate", "-i", 2, "-p", root)
    assert code == 0, err
    before, after = (windows_of(root, n, "a1")[0] for n in (1, 2))
    spans = {(w.station, w.component, w.start, w.end) for w in before}
    assert after and {(w.station, w.component, w.start, w.end) for w in after} <= spans
    assert {w.shift for w in after} != {w.shift for w in before}
    tiny.change_config(root, "  - periods: [6, 20]", "  - periods: [6, 20]\n    carry_over: true")
    assert "no stage comes before the first" in run("check", "-p", root)[2]


def test_status_tells_of_entries_that_cannot_be_used(done, run):
    assert "by hand" not in run("status", "-p", done)[1]
    (done / "windows.yaml").write_text("- {station: XX.NONE, drop: all, why: dead}\n")
    code, out, _ = run("status", "-p", done)
    assert code == 0 and "there is no station XX.NONE" in out and "iter" in out
