"""A finished iteration asked again: 1,000 events, a record of each, at many stations. Wanted: under 5 s.

    python benchmarks/finished.py PROJECT --events 1000 --stations 1000

PROJECT is a small one whose iteration 1 is done, such as that of `make demo`. It is copied; its events are multiplied
with their files, records and results, so that sums stay what they were. The first time all files are hashed, from then
on only looked at.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from seisflow.domain import Station
from seisflow.io.events import read_quakeml, write_quakeml
from seisflow.io.stations import write_stationxml
from seisflow.project import Project
from seisflow.steps.direction import direction_task
from seisflow.steps.event import EventStep
from seisflow.steps.update import trial_task, update_task


def multiply(root: Path, events: int, stations: int) -> int:
    """Make a project with many events of a small one; how many there are."""
    project = Project.open(root)
    old = project.event_ids
    trials = sorted(
        int(path.name[1:]) for path in project.iteration_folder(1).glob("s??") if path.name != "s00"
    )
    templates = {
        (step, name): project.record_of(f"i01/s{step:02d}/{name}") for step in (0, *trials) for name in old
    }
    later = {
        name: project.record_of(f"i01/{name}")
        for name in ("direction", "update", *(f"s{step:02d}" for step in trials))
    }
    config = root / "seisflow.yaml"
    held = list(project.held_out)
    times = max(1, events // len(old))
    names = {name: [f"{name}x{number:04d}" for number in range(times)] for name in old}
    text = re.sub(r"(?m)^pictures:.*\n", "", config.read_text())
    text += "\npictures: false\n"  # those of the new events are not there
    for name in held:
        text = text.replace(f"[{name}]", f"[{', '.join(names[name])}]")
    config.write_text(text)
    for number in range(stations - len(project.station_files())):
        code = f"Q{number:03d}"
        station = Station("QQ", code, project.config.region.latitude, project.config.region.longitude)
        write_stationxml(project.station_path(station.id), [station])
    for name in old:
        event = read_quakeml(project.event_path(name))[0]
        for copy in names[name]:
            write_quakeml(project.events_folder / f"{copy}.xml", replace(event, id=copy))
            shutil.copy(project.observed_path(name), project.observed_path(copy))
            for step in (0, *trials):
                for path in project.step_folder(1, step).glob(f"{name}.*"):
                    if path.suffix in (".h5", ".nc"):
                        shutil.copy(path, path.with_name(path.name.replace(name, copy, 1)))
        project.imported_event_path(name).unlink()
    keep_records(Project.open(root), names, templates, later)
    return len(Project.open(root).event_ids)


def keep_records(project: Project, names: dict[str, list[str]], templates: dict, later: dict) -> None:
    """Records of all steps with the files as they are, and the results of the small project."""
    root = project.root
    for (step, name), template in templates.items():
        for copy in names[name] if template else ():
            task = EventStep(project, 1, step, copy).task
            outputs = [root / path.replace(name, copy) for path in template["outputs"]]
            project.record(task, outputs, template["results"], project.begin(task))
    tasks = {"direction": direction_task(project, 1, 0)}
    for name, record in later.items():
        if name.startswith("s"):
            tasks[name] = trial_task(project, 1, 0, int(name[1:]), record["settings"]["length"])
    tasks["update"] = update_task(project, 1, later["update"]["settings"]["trial"])
    results = later["direction"]["results"]
    results["events"] = [copy for name in results["events"] for copy in names[name]]
    for name, task in tasks.items():
        outputs = [root / path for path in later[name]["outputs"]]
        project.record(task, outputs, later[name]["results"], project.begin(task))


def ask(root: Path) -> tuple[float, float, str]:
    """The command in a process of its own: s of wall and processor time, what it said."""
    began = time.monotonic()
    words = [sys.executable, "-m", "seisflow", "iterate", "-i", "1", "-p", str(root)]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.monotonic() - began
        said.seek(0)
        text = said.read()
    if status or "is done" not in text:
        raise SystemExit(f"{' '.join(words)} ended with {status}: {text}")
    return took, usage.ru_utime + usage.ru_stime, text


def main() -> int:
    """Multiply and ask."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", type=Path)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--stations", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "project"
        shutil.copytree(asked.project, root)
        count = multiply(root, asked.events, asked.stations)
        record = next((root / "iterations" / "i01" / "s00").glob("*.json"))
        size = record.stat().st_size / 1000
        print(f"{count} events, {asked.stations} station files, a record of {size:.1f} kB")
        for what in ("first", "again", "again"):
            took, cpu, _ = ask(root)
            print(f"{what}: {took:.1f} s, {cpu:.1f} s of processor time", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
