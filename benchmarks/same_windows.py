"""First and last model of a project, measured in every band in the same windows.

The windows of an inversion change with the model and the band, so misfits of different iterations do not compare. Here
the windows of each stage are selected once, on the start model, and both models are measured in them.

Run ``python benchmarks/same_windows.py PROJECT FOLDER``; in FOLDER a copy of the project is made for each stage.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import yaml
from seisflow.workflows.iterate import evaluate
from seisflow.workflows.running import PlainRunner

from seisflow.project import Project
from seisflow.steps.objective import held_misfit, total_misfit


def one_stage(project: Project, number: int, root: Path, misfit: str | None) -> Project:
    """A copy of a project with one of its stages, for one iteration, perhaps with another misfit."""
    if not root.is_dir():
        root.mkdir(parents=True)
        for name in ("events", "stations", "observed"):
            (root / name).symlink_to(project.root / name)
        (root / "models").mkdir()
        shutil.copy(project.model_path(0), root / "models")
        settings = yaml.safe_load((project.root / "seisflow.yaml").read_text())
        stage = settings["stages"][number] | {"iterations": 1}
        stage.pop("guard", None)
        if misfit is not None:
            stage["misfit"] = {"kind": misfit}
        settings |= {"stages": [stage], "pictures": False}
        (root / "seisflow.yaml").write_text(yaml.safe_dump(settings))
    return Project.open(root)


def main() -> None:
    """Print a line for each band, and the means over all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=int, help="number of the model to compare; the newest, if left out")
    parser.add_argument("--misfit", help="measure by another misfit, as cc_traveltime")
    parser.add_argument("--stages", type=int, help="only so many, from the first; all, if left out")
    options = parser.parse_args()
    project = Project.open(options.project)
    last = options.model or max(n for n in range(project.iterations + 1) if project.model_path(n).is_file())
    sums = {"used": [0.0, 0.0, 0.0], "held out": [0.0, 0.0, 0.0]}
    for number, stage in enumerate(project.config.stages[: options.stages]):
        copy = one_stage(project, number, (options.folder / f"stage{number + 1}").resolve(), options.misfit)
        trial = copy.step_folder(1, 1) / "model.nc"
        trial.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project.model_path(last), trial)
        events = (*copy.used, *copy.held_out)
        for step in (0, 1):
            evaluate(copy, 1, step, events, PlainRunner())
        for kind in sums:
            found = [
                total_misfit(copy, 1, step, copy.used)
                if kind == "used"
                else held_misfit(copy, 1, step, events)
                for step in (0, 1)
            ]
            (first, windows, weight), (after, _, _) = found
            band = "{:g}-{:g} s".format(*stage.periods)
            print(f"{band}, {kind}: {windows} windows, {first:.4g} -> {after:.4g}", flush=True)
            for place, value in enumerate((first * weight, after * weight, weight)):
                sums[kind][place] += value
    for kind, (first, after, windows) in sums.items():
        if windows:
            ratio = after / first
            print(
                f"all bands, {kind}: {first / windows:.4g} -> {after / windows:.4g}, {100 * ratio:.0f} % of the first"
            )


if __name__ == "__main__":
    main()
