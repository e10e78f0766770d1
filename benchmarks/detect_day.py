"""Time and memory of detection by part on a stretch of a dense network, extrapolated to a day.

usage: python benchmarks/detect_day.py [--minutes 20 40] [--threads 1] [--templates 200] [--folder KEPT]

Made from a seed: 10 stations of 3 components at 1000 Hz, features and templates at 250 Hz, about 20,000 nodes, an
event every 6 s. The steps of ``seisflow detect`` run as they are, each length in a process of its own. Seconds are of
processor time. What grows with the number of events (location, arrivals and magnitudes of matches) is not extrapolated.
With ``--folder`` the project (of the first length) is kept, and a run that was stopped goes on after the last step that
ended.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RATE, START, EVERY = 1000, 1577836800.0, 6.0
CONFIG = """\
name: dense network
region: {{latitude: 0.0, longitude: 0.0, width: 12000, height: 12000, depth: 4000, spacing: [250, 250, 250]}}
pictures: false
compute: {{cores: {threads}}}
detection:
  archive: [waveforms]
  search: {{depth: [1000, 2400], spacing: [200, 200, 200], width: 10000, height: 10000}}
  sampling: 0.004
  interval: 0.004
  phases:
    P: {{components: [Z], band: [10, 90], short: 0.04, long: 0.5}}
    S: {{components: [E, N], band: [10, 90], short: 0.096, long: 0.5}}
  threshold: {{mad: 8, window: 300}}
  separation: 0.5
  location: {{window: 0.03}}
  matching:
    recordings: {{interval: 0.004, band: [10, 90]}}
    templates:
      windows:
        P: {{components: [Z], before: 0.05, length: 0.4}}
        S: {{components: [E, N], before: 0.1, length: 0.6}}
      most: {templates}
"""


def make(folder, minutes, threads, templates):
    """Make a project: stations, a homogeneous model, recordings of noise and events."""
    import obspy
    from obspy.core.inventory import Inventory, Network, Station

    from seisflow.domain import Grid, Model
    from seisflow.io.models import write_model
    from seisflow.project import Project

    (folder / "seisflow.yaml").write_text(CONFIG.format(threads=threads, templates=templates))
    for name in ("stations", "models", "waveforms"):
        (folder / name).mkdir()
    projection = Project.open(folder).config.region.projection()
    grid = Grid((-6000.0, -6000.0, 0.0), (250.0, 250.0, 250.0), (49, 49, 17))
    values = [np.full(grid.shape, value) for value in (3800.0, 1950.0, 1000.0)]
    write_model(folder / "models" / "m00.nc", Model(grid, projection, *values))
    rng = np.random.default_rng(4)
    places = np.c_[rng.uniform(-4500, 4500, (10, 2)), np.zeros(10)]
    count = round(60 * minutes * RATE)
    times = np.arange(2.0, 60 * minutes - 8.0, EVERY)
    sources = np.c_[rng.uniform(-4000, 4000, (times.size, 2)), rng.uniform(1200, 2200, times.size)]
    decay = np.exp(-np.arange(400) / 60)
    for number, place in enumerate(places):
        latitude, longitude = projection.to_geographic(*place[:2])
        site = Station(f"S{number:02d}", float(latitude), float(longitude), 0.0)
        inventory = Inventory([Network("XX", [site])], source="seisflow")
        inventory.write(str(folder / "stations" / f"XX.{site.code}.xml"), format="STATIONXML")
        far = np.linalg.norm(sources - place, axis=1)
        for component in "ENZ":
            data = rng.normal(0, 100, count)
            speed, height = (3800.0, 1500) if component == "Z" else (1950.0, 2500)
            for at in np.rint((times + far / speed) * RATE).astype(int):
                data[at : at + 400] += height * decay * rng.standard_normal(400)
            header = {"network": "XX", "station": site.code, "channel": f"HH{component}"}
            header |= {"sampling_rate": RATE, "starttime": obspy.UTCDateTime(START)}
            trace = obspy.Trace(data.astype(np.int32), header)
            trace.write(str(folder / "waveforms" / f"{trace.id}.mseed"), format="MSEED")


class Clock:
    """Processor time within functions, by name; what runs inside another one counts there only."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self.inside = False

    def watch(self, place, name, what):
        """Replace a function by one that is timed."""
        work = getattr(place, name)

        def timed(*args, **kwargs):
            if self.inside:
                return work(*args, **kwargs)
            self.inside, start = True, time.process_time()
            try:
                return work(*args, **kwargs)
            finally:
                self.inside = False
                self.seconds[what] = self.seconds.get(what, 0.0) + time.process_time() - start

        setattr(place, name, timed)


def measure(folder):
    """Run the steps of a project; prints what they took."""
    from seisflow.detection import correlation
    from seisflow.project import Project
    from seisflow.steps.detect import day, match, survey, templates

    clock = Clock()
    clock.watch(survey.Survey, "recordings", "reading and filtering")
    clock.watch(day, "make_features", "features")
    clock.watch(day.Backprojector, "__call__", "kernel: backprojection")
    clock.watch(correlation, "matched_filter", "kernel: matched filter")
    clock.watch(match, "_peaks", "thresholds and peaks of correlations")
    project = Project.open(folder)
    found = survey.Survey.open(project, None, project.config.compute.cores_now())
    (only,), threads, config = found.days(), project.config.compute.cores_now(), found.config.matching
    steps = {
        "beam and places": lambda told: day.run_day(found, only, threads, told),
        "cutting": lambda told: templates.cut_day(found, config, survey.day_name(only), told),
        "families and stacks": lambda told: templates.make_templates(found, config, told),
        "templates over the day": lambda told: match.match_day(found, config, only, threads, told),
    }
    results, whole = {}, {}
    for name, step in steps.items():
        wall, used = time.perf_counter(), time.process_time()
        results[name] = step(lambda part, name=name: print(f"{name} {100 * part:.0f} %", file=sys.stderr))
        whole[name] = (time.process_time() - used, time.perf_counter() - wall, _peak())
        print(f"{name}: {whole[name][0]:.0f} s, peak {whole[name][2]:.0f} MB", file=sys.stderr, flush=True)
    counts = {
        "nodes": found.grid.size,
        "detections": results["beam and places"]["detections"],
        "templates": results["families and stacks"]["templates"],
        "matches": results["templates over the day"]["matches"],
    }
    print(json.dumps({"seconds": clock.seconds, "steps": whole, **counts}))


def _peak():
    """Largest memory of this process so far in MB; pages of mapped files count."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    """Print the figures of each length."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[20, 40])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--templates", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(Path(options.measure))
    elif options.folder:
        once(options.folder, options.minutes[0], options)
    else:
        for minutes in options.minutes:
            with tempfile.TemporaryDirectory() as name:
                once(Path(name), minutes, options)


def once(folder, minutes, options):
    """Measure one length and print it."""
    if not (folder / "made").exists():
        folder.mkdir(parents=True, exist_ok=True)
        make(folder, minutes, options.threads, options.templates)
        (folder / "made").touch()
    words = [sys.executable, __file__, "--measure", str(folder)]
    found = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
    counts = ", ".join(f"{found[key]} {key}" for key in ("nodes", "detections", "templates", "matches"))
    print(f"{minutes:g} minutes, {options.threads} threads: {counts}")
    for step, (seconds, wall, peak) in found["steps"].items():
        print(f"  {step:40s} {seconds:8.2f} s ({wall:.0f} s of wall clock), peak so far {peak:.0f} MB")
    for part, seconds in found["seconds"].items():
        print(f"  {part:40s} {seconds:8.2f} s, a day {seconds * 1440 / minutes:8.0f} s (extrapolated)")


if __name__ == "__main__":
    main()
