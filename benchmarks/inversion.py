"""Thirty iterations of the shipped example, from long periods to short, and the same thirty in the shortest band only.

Both start from the same model and see the same recordings. Told are, for the start model and the last one: the energy
of the residual over whole seismograms of 4.5 to 15 s, above that of the true model, for events that were used and for
those held out; correlation and amplitude of what was recovered where at least three rays cross; and what it cost.

Run ``python benchmarks/inversion.py FOLDER`` (about 40 minutes on 2 cores; killed, it goes on). With ``--draw`` the
pictures of docs/checkerboard.md are made anew.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

from seisflow.workflows import iterate as flow
from seisflow.workflows.gain import gain
from seisflow.workflows.running import Quiet

from seisflow.io.models import read_model
from seisflow.project import Project
from seisflow.steps.create import create_project
from seisflow.steps.gain import truth_path
from seisflow.steps.inputs import model_of
from seisflow.steps.pictures import misfit_rows

TARGETS = {"used": 0.10, "held out": 0.20, "correlation": 0.80, "amplitude": 0.60, "simulations": 2.3}
ITERATIONS = 30
WINDOWS = """
    windows:
      travel_times: velocities
      min_velocity: 2300
      max_velocity: 6500
      min_correlation: 0.75
      min_signal_to_noise: 3
"""
SCHEDULES = {
    "stages": [
        ("[8, 15]", 4, "{kind: cc_traveltime}", "[9000, 9000, 5000]"),
        ("[6, 15]", 6, "{kind: cc_traveltime}", "[7000, 7000, 4000]"),
        ("[4.5, 15]", 9, "{kind: cc_traveltime}", "[5000, 5000, 3000]"),
        ("[4.5, 15]", 11, "{kind: waveform, normalise: true}", "[5000, 5000, 3000]"),
    ],
    "short": [("[4.5, 15]", 30, "{kind: waveform, normalise: true}", "[5000, 5000, 3000]")],
}


class Printer(Quiet):
    """Prints what is worth a line."""

    def say(self, text: str) -> None:
        """Print it."""
        print(text, flush=True)


def make(root: Path, schedule: str) -> None:
    """The example with another list of stages."""
    if root.is_dir():
        return
    create_project(root, "checkerboard")
    path = root / "seisflow.yaml"
    text = path.read_text()
    head, tail = text[: text.index("stages:")], text[text.index("solver:") :]
    stages = "stages:\n"
    for periods, iterations, misfit, smoothing in SCHEDULES[schedule]:
        stages += f"  - periods: {periods}\n    iterations: {iterations}\n    misfit: {misfit}"
        stages += f"{WINDOWS}    smoothing: {smoothing}\n"
    tail = tail.replace(
        "parameters: [vp, vs]",
        "parameters: [vs, vp_vs]\n  weights: {vp_vs: 0.3}   # varies less in the crust\n  line_search_events: 2",
    )
    path.write_text(f"{head}{stages}\npictures: false\n\n{tail}")


def residuals(root: Path, folder: Path) -> dict[str, list[float]]:
    """Residual over data energy of start, last and true model, for used and held-out events."""
    content = gain(root, ITERATIONS)
    true = folder / f"{root.name}_true"
    if not true.is_dir():
        shutil.copytree(
            root, true, ignore=shutil.ignore_patterns("iterations", "models", "pictures", ".seisflow")
        )
        (true / "models").mkdir()
        shutil.copy(truth_path(Project.open(root)), true / "models" / "m00.nc")
        text = (true / "seisflow.yaml").read_text()
        last = SCHEDULES["short"][0]
        start = (
            text[: text.index("stages:")] + f"stages:\n  - periods: {last[0]}\n    iterations: 1{WINDOWS}\n"
        )
        (true / "seisflow.yaml").write_text(start + text[text.index("solver:") :])
        shutil.copy(true / "models" / "m00.nc", true / "models" / "m01.nc")
    of_truth = gain(true, 1)
    return {kind: [*content[kind], of_truth[kind][0]] for kind in ("used", "held_out")} | {
        "truth": content["truth"]
    }


def report(name: str, root: Path, folder: Path) -> dict[str, Any]:
    """Print the table of one schedule."""
    project = Project.open(root)
    found = residuals(root, folder)
    records = [project.record_of(f"i{n:02d}/update") for n in range(1, ITERATIONS + 1)]
    cost = sum(record["results"]["simulations"] for record in records if record) / ITERATIONS
    figures: dict[str, Any] = {}
    print(f"\n{name}")
    for label, kind in (("used", "used"), ("held out", "held_out")):
        start, last, true = found[kind]
        figures[label] = (last - true) / (start - true)
        print(
            f"  residual energy, events {label:9} {start:.4f} -> {last:.4f}, true model {true:.4f}: "
            f"{100 * (1 - figures[label]):.1f} % of what lies above the true model is gone"
        )
    for parameter, numbers in found["truth"].items():
        print(
            f"  {parameter}: correlation {numbers['correlation']:.3f}, amplitude {100 * numbers['amplitude']:.0f} %"
        )
    figures |= {key: found["truth"]["vs"][key] for key in ("correlation", "amplitude")}
    figures["simulations"] = cost
    print(f"  {cost:.2f} simulations an event and iteration")
    return figures


def draw(folder: Path, target: Path) -> None:
    """Make the pictures of docs/checkerboard.md."""
    from seisflow.report import Overlay, draw_comparison, draw_misfit, perturbation_field, write_png
    from seisflow.steps.inputs import event_of, stations_of
    from seisflow.steps.slices import places

    fields = []
    for name in (name for name in SCHEDULES if (folder / name).is_dir()):
        project = Project.open(folder / name)
        rows = misfit_rows(project, ITERATIONS)
        write_png(draw_misfit(rows, f"checkerboard, {name}"), target / f"checkerboard30_{name}.png")
        start = model_of(project.model_path(0))
        if not fields:
            truth = read_model(truth_path(project))
            fields.append(("true", perturbation_field(truth, start, "vs", "vs against the start")))
        last = model_of(project.model_path(ITERATIONS))
        label = "30 iterations in stages" if name == "stages" else "30 in the shortest band"
        fields.append((label, perturbation_field(last, start, "vs")))
    depths, lines = places(start.grid)
    overlay = Overlay(
        start.projection, [event_of(project, e) for e in project.event_ids], stations_of(project)
    )
    figure = draw_comparison(fields, depths[1], lines[0], overlay, "checkerboard")
    write_png(figure, target / "checkerboard30.png")


def main() -> int:
    """Run both, and compare with the targets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draw", type=Path, metavar="PICTURES")
    parser.add_argument("--only", choices=SCHEDULES)
    options = parser.parse_args()
    figures = {}
    for name in SCHEDULES if options.only is None else (options.only,):
        root = options.folder / name
        make(root, name)
        began = time.perf_counter()
        flow.iterate(root, 1, ITERATIONS, Printer())
        print(f"{name}: {time.perf_counter() - began:.0f} s")
        figures[name] = report(name, root, options.folder)
    if options.draw is not None:
        draw(options.folder, options.draw)
    if "stages" not in figures:
        return 0
    good = True
    for key, target in TARGETS.items():
        value = figures["stages"][key]
        met = value >= target if key in ("correlation", "amplitude") else value <= target
        good &= met
        print(f"{key:12} {value:.3f}, target {target:g}: {'met' if met else 'missed'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
