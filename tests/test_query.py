"""Questions to all measurements, from the command line to the Parquet files."""

import csv
import io
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
from seisflow.workflows.iterate import iterate

from seisflow.domain import STAGES, WindowEdit
from seisflow.io.event_candidates import read_candidates
from seisflow.io.event_file import read_event
from seisflow.io.window_edits import add_edit
from seisflow.project import Project
from seisflow.steps.candidate_tables import candidate_tables
from seisflow.steps.measurement_tables import measurement_tables
from seisflow.steps.query import TABLES
from seisflow.steps.query import ask as query
from seisflow.steps.window_choice import chosen_windows

DOCUMENT = Path(__file__).parent.parent / "docs" / "measurements.md"


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


@pytest.fixture
def ask(run, done):
    """Rows of the answer to a question to the project with one iteration."""

    def call(sql: str) -> list[dict[str, str]]:
        code, out, error = run("query", sql, "-p", done)
        assert code == 0, error
        return table(out)

    return call


def test_every_measurement_and_every_refusal_is_a_row_with_its_values(run, done, tmp_path):
    code, _, error = run("query", "from measurements", "-p", done, "--parquet", tmp_path / "all.parquet")
    assert code == 0, error
    rows = [row for row in pq.read_table(tmp_path / "all.parquet").to_pylist() if row["iteration"] == 1]
    expected = []
    for event in tiny.EVENTS:
        held, content = event == "h1", read_event(done / "iterations" / "i01" / "s00" / f"{event}.h5")
        for row in content.measurements:
            each = row.window
            place = event, each.station, each.component, each.start, each.end
            expected.append((*place, row.value, each.shift, held, True, None, None, 1))
        for each in content.rejections:
            place = event, each.station, each.component, each.start, each.end
            expected.append((*place, None, None, held, False, each.stage, each.reason, each.count))
    names = "event station component window_start window_end misfit selected_shift held_out kept rejected_by reason"
    assert [tuple(row[name] for name in (*names.split(), "candidates")) for row in rows] == expected
    assert any(row["kept"] for row in rows) and any(not row["kept"] for row in rows)


def test_sums_before_and_after_are_those_that_the_iteration_told(ask, done):
    results = Project.open(done).record_of("i01/update")["results"]
    for held, key in (("no", "misfit"), ("yes", "held_out")):
        found = ask(
            "select held_out, printf('%.15g', avg(misfit)) b, printf('%.15g', avg(misfit_after)) a, max(step) step"
            " from measurements where kept and iteration = 1 group by held_out"
        )
        (row,) = [row for row in found if row["held_out"] == held]
        assert [float(row["b"]), float(row["a"])] == pytest.approx(results[key], rel=1e-12)
        assert int(row["step"]) == results["trial"]


def test_tables_are_made_once_and_again_when_the_events_change(done):
    project = Project.open(done)
    (path, *_) = measurement_tables(project)
    stamp, content = path.stat().st_mtime_ns, path.read_bytes()
    measurement_tables(Project.open(done))
    assert path.stat().st_mtime_ns == stamp
    tiny.change_config(done, "hold_out: [h1]", "hold_out: [h1, XX.S2]")
    measurement_tables(Project.open(done))
    changed = pq.read_table(path)
    held = {row["station"] for row in changed.to_pylist() if row["held_out"] and row["event"] != "h1"}
    assert held == {"XX.S2"}
    tiny.change_config(done, "hold_out: [h1, XX.S2]", "hold_out: [h1]")
    path.unlink()
    measurement_tables(Project.open(done))
    assert path.read_bytes() == content


def test_every_candidate_is_a_row_with_the_stage_and_the_value_that_refused_it(run, done, tmp_path):
    out = tmp_path / "all.parquet"
    code, _, error = run("query", "from candidates where iteration = 1", "-p", done, "--parquet", out)
    assert code == 0, error
    rows = pq.read_table(out).to_pylist()
    project = Project.open(done)
    expected, many = [], {}
    for event in tiny.EVENTS:
        choice = chosen_windows(project, event, 1)
        table, seen = choice.selection.candidates, choice.observed
        used = {(each.station, each.component, each.start, each.end) for each in choice.windows}
        for n in range(len(table)):
            trace = seen.stations[table.station[n]].id, seen.components[table.component[n]]
            peak, *span = (
                seen.start + seen.interval * int(each[n]) for each in (table.peak, table.left, table.right)
            )
            stage = STAGES[table.stage[n]]
            if stage == "kept" and (*trace, *span) not in used:
                stage = "misfit"  # or any other that comes later
            numbers = [None if np.isnan(each[n]) else float(each[n]) for each in (table.value, table.limit)]
            refused = None if stage == "kept" else stage
            expected.append((event, *trace, peak, *span, refused is None, refused, *numbers))
        for lost in choice.rejections:
            many[event, lost.station, lost.component, lost.stage] = lost.count
    names = "event station component peak window_start window_end kept rejected_by value threshold"
    found = [tuple(row[name] for name in names.split()) for row in rows]
    assert found == expected
    assert {"kept": True, "band": "6-20 s"}.items() <= next(row for row in rows if row["kept"]).items()
    counts = Counter((row[0], row[1], row[2], row[7]) for row in found if row[7] not in (None, "duplicate"))
    assert len(counts) > 10 and {key[3] for key in counts} > {"overlap", "interior minima"}
    assert counts == {key: count for key, count in many.items() if key in counts}


def test_candidates_stay_with_the_iteration_that_selected_and_are_made_when_asked_for(done):
    project = Project.open(done)
    with query(project, "select sum(candidates) from measurements"):
        pass
    assert not project.candidates_path(1).is_file()
    with query(project, "select count(*) as n from candidates") as answer:
        (row,) = answer.read_all().to_pylist()
    assert row["n"] == pq.read_table(project.candidates_path(1)).num_rows > 40
    project.candidates_path(1).unlink()
    event = project.event_file(1, 0, "a1")
    assert read_candidates(event)[0].table.stage.size > 5
    iterate(done, 2, 2)
    project = Project.open(done)
    assert read_candidates(project.event_file(2, 0, "a1")) == {}
    assert candidate_tables(project) == [project.candidates_path(1)]


def test_what_people_drop_is_told_among_the_candidates(project):
    add_edit(project / "windows.yaml", [WindowEdit("XX.S2", event="a1", why="glitch")])
    iterate(project, 1, 1)
    sql = "select distinct event, station from candidates where rejected_by = 'by hand' and not kept"
    with query(Project.open(project), sql) as answer:
        assert answer.read_all().to_pylist() == [{"event": "a1", "station": "XX.S2"}]


def test_a_measurement_at_another_model_is_not_shown(done):
    project = Project.open(done)
    measurement_tables(project)
    model = project.model_path(0)
    model.write_bytes(project.model_path(1).read_bytes())
    (path, *_) = measurement_tables(Project.open(done))
    assert pq.read_table(path).num_rows == 0


@pytest.mark.parametrize("number", range(7))
def test_the_questions_of_the_documentation_are_answered(ask, number):
    questions = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(questions) == 7
    rows = ask(questions[number])
    assert len(rows) > 1
    told = [float(row["share"]) for row in rows] if number == 6 else []
    assert told == sorted(told, reverse=True)
    if number == 0:
        assert all(not row["fault"] and 0.5 < float(row["gain"]) < 2 for row in rows)
        assert {row["component"] for row in rows} == {"E", "N", "Z"}
    if number == 2:
        assert {row["held_out"] for row in rows} == {"yes", "no"}
        assert all(float(row["percent"]) < 0 for row in rows)
    if number == 3:
        assert all(row["example"] and int(row["candidates"]) > 0 for row in rows)
    if number == 4:
        assert {"overlap", "interior minima"} < {row["rejected_by"] for row in rows}
    if number == 5:
        assert all(float(row["ratio"]) > 0 for row in rows)
    if number == 6:
        assert all(0 < float(row["km"]) < 60 for row in rows)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("selec 1", "syntax error"),
        ("select shft from measurements", "shift"),
        ("select * from stationz", "stations"),
        ("select 1; select 2", "2 statements"),
        (" ", "0 statements"),
        ("select 'a'::int", "convert"),
        ("select sum(station) from stations", "sum"),
        ("copy events to '{}/a.csv'", "COPY"),
        ("create table a as select 1", "CREATE"),
        ("drop view measurements", "DROP"),
        ("set threads = 2", "SET"),
        ("attach '{}/a.db'", "ATTACH"),
        ("select * from '{}/seisflow.yaml'", "seisflow.yaml"),
        ("select * from read_text('{}/seisflow.yaml')", "no file"),
        ("select * from read_parquet('{}/iterations/*/*.parquet')", "no file"),
        ("select a.range + b.range as n from range(100000) a, range(100000) b order by n", "memory"),
    ],
)
def test_a_wrong_question_gets_one_sentence_and_touches_nothing(run, done, sql, told, monkeypatch):
    monkeypatch.setattr("seisflow.steps.query._MEMORY", "50MB")
    monkeypatch.chdir(done)
    measurement_tables(Project.open(done))
    before = sorted(done.rglob("*"))
    code, out, error = run("query", sql.format(done), "-p", done)
    assert (code, out) == (2, "")
    assert error.startswith("error: query ") and error.count("\n") == 1
    assert told.lower() in error.lower()
    assert sorted(done.rglob("*")) == before


def test_python_of_the_caller_is_not_seen(run, done):
    rows = [1]  # noqa: F841 - DuckDB would take it for a table
    code, _, error = run("query", "select * from rows", "-p", done)
    assert code == 2 and "rows" in error


def test_answers_become_files(run, done, tmp_path):
    sql = "select event, time, magnitude, held_out from events order by event"
    assert run("query", sql, "-p", done, "--csv", tmp_path / "a.csv")[0] == 0
    assert run("query", sql, "-p", done, "--parquet", tmp_path / "a.parquet")[0] == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert [row["event"] for row in rows] == list(tiny.EVENTS)
    again = pq.read_table(tmp_path / "a.parquet").to_pylist()
    np.testing.assert_allclose(
        [float(row["magnitude"]) for row in rows], [row["magnitude"] for row in again], rtol=1e-12
    )
    assert again[0]["time"].isoformat() == "2023-11-14T22:13:20"
    assert run("query", sql, "-p", done, "--csv", "a", "--parquet", "b")[0] == 2
    assert run("query", "-p", done, "--csv", "a")[0] == 2


def test_without_a_question_tables_and_columns_are_listed(run, project):
    code, out, _ = run("query", "-p", project)
    assert code == 0
    assert [(row["table"], row["column"]) for row in table(out)] == [
        (name, column) for name, columns in TABLES.items() for column in columns
    ]
    code, _, error = run("query", "from measurements", "-p", project)
    assert code == 2 and "nothing was measured yet" in error


def test_two_columns_may_have_one_name_and_null_is_empty(run, done):
    code, out, _ = run("query", "select 1 as a, 2 as a, true as b, null as c", "-p", done)
    assert (code, out) == (0, "a\ta\tb\tc\n1\t2\tyes\t\n")


def test_a_terminal_gets_a_table_and_is_told_what_it_does_not_show(run, done, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, error = run("query", "select range as n, '[b]x' as t from range(600)", "-p", done)
    assert code == 0 and "100 more rows" in error
    lines = [line.split() for line in out.splitlines() if "[b]x" in line]
    assert lines == [[str(n), "[b]x"] for n in range(500)]


def test_columns_are_what_the_listing_tells(ask):
    for name, columns in TABLES.items():
        assert [row["column_name"] for row in ask(f"describe {name}")] == list(columns)
