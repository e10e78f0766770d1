"""Whether stated errors hold the truth: earthquakes, stations and noise that are new with every seed.

usage: python benchmarks/calibration.py [--seeds 101 102 ...] [--kind single families] [--keep FOLDER]

Each seed makes an hour of another network like that of the example ``swarm`` (data/make_swarm.py): other stations,
sites, mechanisms, codas, noise. ``single``: 80 earthquakes that share nothing, for places of the beam, in noise of
half, the same and twice the strength of that of the example in turn. ``families``: a swarm like that of the example,
for matches and relocated events. What the members of a family share is one sample, however many they are, so every
family has one vote: the mean of its members.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from scipy.stats import chi2

LOUDNESS = (0.5, 1.0, 2.0)
SEEDS = {"single": range(101, 106), "families": range(101, 107)}
REGIONS = {
    "place": (0, 1, 2),
    "epicentre": (0, 1),
    "depth": (2,),
    "time": (3,),
    "place and time": (0, 1, 2, 3),
}


@dataclass(frozen=True, eq=False)
class Sample:
    """An earthquake that was found: what it shares, how it was found, and errors over what is stated."""

    group: str
    method: str
    squared: dict[str, float]
    error: np.ndarray
    stated: np.ndarray


def make_project(folder, kind, seed):
    """Make a project of another network."""
    from seisflow.data.make_swarm import Scenario, make

    loudness = LOUDNESS[seed % len(LOUDNESS)] if kind == "single" else 1.0
    few = {"families": {}, "singles": 80, "least": -0.3, "apart": 15.0, "loudness": loudness}
    make(folder, Scenario(seed, **few) if kind == "single" else Scenario(seed))
    import seisflow.data

    settings = yaml.safe_load((Path(seisflow.data.__file__).parent / "swarm" / "seisflow.yaml").read_text())
    settings["pictures"] = False
    if kind == "single":
        for name in ("matching", "amplitudes", "relocation"):
            settings["detection"].pop(name)
    else:  # what tells false alarms takes most of the time and moves no event
        settings["detection"]["matching"]["matches"] |= {
            "reversed_templates": False,
            "shifted_stations": False,
        }
    (folder / "seisflow.yaml").write_text(yaml.safe_dump(settings))


def samples(folder, seed):
    """Errors of what was found, against the truth."""
    from seisflow.detection.compare import compare
    from seisflow.io.catalog_files import load_catalog, read_catalog
    from seisflow.project import Project

    project = Project.open(folder)
    found = load_catalog(folder / "detection" / "catalog.h5")
    truth = read_catalog(folder / "truth.csv", project.config.region.projection())
    with (folder / "truth.csv").open(encoding="utf-8") as file:
        families = [row["family"] for row in csv.DictReader(file)]
    pairs = compare(found, truth, 1.0, 5000.0)
    result = []
    for one, other in pairs.pairs:
        event, family = found.detections[one], families[other]
        if event.covariance is None or "edge" in event.remark:
            continue
        error = np.array([*event.place, event.time])
        error -= [*pairs.reference_places[other], truth.times[other]]
        squared = {
            name: float(
                error[list(axes)] @ np.linalg.solve(event.covariance[np.ix_(axes, axes)], error[list(axes)])
            )
            for name, axes in REGIONS.items()
        }
        group = f"{seed} {other}" if family.startswith("-") else f"{seed} {family}"
        kind = {"beam": "beam", "template": "templates alone"}[event.method]
        if kind == "beam" and "relocated" in event.remark:
            kind = "beam, relocated"
        result.append(Sample(group, kind, squared, error, np.sqrt(np.diag(event.covariance))))
    return result


def table(title, found):
    """Shares within the regions of 68 percent, each group with one vote."""
    groups = defaultdict(list)
    for each in found:
        groups[each.group].append(each)
    print(f"\n{title}: {len(found)} events of {len(groups)} independent places")
    print("  region of 68 %    share of events   of places   median error over stated")
    for name, axes in REGIONS.items():
        limit = chi2.ppf(0.68, len(axes))
        shares = [np.mean([each.squared[name] <= limit for each in group]) for group in groups.values()]
        ratio = np.sqrt(np.median([each.squared[name] for each in found]) / chi2.ppf(0.5, len(axes)))
        inside = np.mean([each.squared[name] <= limit for each in found])
        spread = np.std(shares) / np.sqrt(max(1, len(shares) - 1))
        print(f"  {name:16s}  {inside:14.2f}  {np.mean(shares):6.2f} +- {spread:.2f}  {ratio:10.2f}")
    errors, stated = np.array([e.error for e in found]), np.array([e.stated for e in found])
    bias, spread = np.median(errors, axis=0), np.median(np.abs(errors), axis=0)
    for axis, (name, unit) in enumerate((("east", "m"), ("north", "m"), ("depth", "m"), ("time", "ms"))):
        factor = 1e3 if unit == "ms" else 1
        print(
            f"  {name:6s} median {factor * bias[axis]:7.1f} {unit}, of sizes {factor * spread[axis]:6.1f}, "
            f"stated {factor * np.median(stated[:, axis]):6.1f}"
        )


def main():
    """Print shares within stated errors."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--kind", nargs="+", choices=list(SEEDS), default=list(SEEDS))
    parser.add_argument(
        "--keep", type=Path, help="folder of the projects, which are searched again if they are there"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or Path(temporary)
        for kind in options.kind:
            found = []
            for seed in options.seeds or SEEDS[kind]:
                folder = root / f"{kind}_{seed}"
                if not (folder / "seisflow.yaml").is_file():
                    make_project(folder, kind, seed)
                words = [sys.executable, "-m", "seisflow", "detect", "-p", str(folder), "--pictures", "0"]
                subprocess.run(words, check=True, capture_output=True)
                found += samples(folder, seed)
            for method in sorted({each.method for each in found}):
                table(f"{kind}, {method}", [each for each in found if each.method == method])


if __name__ == "__main__":
    main()
