"""Windows and all misfits on the recordings of docs/bayarea.md in three bands, and what pyflex selects there.

Run ``python benchmarks/bayarea_windows.py FOLDER [--pyflex-python PATH] [--pictures FOLDER]`` with the folder of the
recordings; the peer's environment is that of ``windows.py``. One simulation in GIL7, on the grid of the page.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from windows import compare

from seisflow.domain import Event, Gather
from seisflow.errors import PhysicsError
from seisflow.io.asdf_reading import read_observed
from seisflow.misfits import MisfitConfig, create, measure_gather
from seisflow.project import Project
from seisflow.report import draw_waveforms, write_png
from seisflow.signal import Pipeline, TimeAxis, prepare_observed
from seisflow.solvers import create as create_solver
from seisflow.steps.create import create_project
from seisflow.steps.importing import import_files
from seisflow.steps.inputs import event_of, model_of, simulation_of, stations_of
from seisflow.windows import WindowConfig, select_all

PAGE = Path(__file__).parents[1] / "docs" / "bayarea.md"
BANDS = ((20.0, 50.0), (15.0, 40.0), (10.0, 30.0))


def project_of(folder: Path, root: Path) -> Project:
    """The project of the page, with three bands."""
    create_project(root)
    (settings,) = re.findall(r"```yaml\n(name:.*?)```", PAGE.read_text(), re.DOTALL)
    rows = "".join(f"      - periods: [{band[0]:g}, {band[1]:g}]\n" for band in BANDS)
    settings = re.sub(
        r"  - periods:.*?\n\n", f"  - bands:\n{rows}    iterations: 1\n\n", settings, flags=re.DOTALL
    )
    (root / "seisflow.yaml").write_text(settings)
    import_files(Project.open(root), [folder])
    return Project.open(root)


def pairs(project: Project) -> tuple[Event, list[tuple[Gather, Gather]]]:
    """The event, and treated recordings and synthetics in each band."""
    config, (name,) = project.config, project.event_ids
    event, stations = event_of(project, name), stations_of(project)
    simulation = simulation_of(config, model_of(project.model_path(0)), event, stations, 0)
    raw = create_solver(config.solver, threads=1).forward(simulation).gather
    stream, inventory = read_observed(project.observed_path(name))
    found = []
    for number in range(len(BANDS)):
        signal = config.signal(0, number)
        observed, lost = prepare_observed(stream, inventory, event, stations, config.axis(), signal)
        if lost:
            raise PhysicsError(f"recordings were refused: {lost}")
        pipeline = Pipeline(signal, TimeAxis.of(raw), TimeAxis.of(observed), event, stations)
        found.append((observed, pipeline.apply(raw)))
    return event, found


def main() -> None:
    """Print a line a figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pyflex-python", type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        event, gathers = pairs(project_of(options.folder.resolve(), Path(scratch) / "bay"))
        for band, pair in zip(BANDS, gathers, strict=True):
            config = WindowConfig(max_shift=band[0] / 2)
            found = select_all(*pair, event, config, band)
            name = f"{band[0]:g}-{band[1]:g} s"
            refused = Counter(row.stage for row in found.rejections for _ in range(row.count))
            print(json.dumps({
                "band": name, "windows": len(found.windows), "candidates": len(found.candidates),
                "traces": len({(each.station, each.component) for each in found.windows}),
                "by component": Counter(each.component for each in found.windows), "refused": refused,
                "median lag": float(np.median([each.shift for each in found.windows])),
                "median correlation": float(np.median([each.correlation for each in found.windows])),
            }))  # fmt: skip
            for kind in get_args(MisfitConfig):
                measured = measure_gather(create(kind(), band), *pair, found.windows, strict=False)
                mean = measured.value / max(len(measured.rows), 1)
                print(json.dumps({
                    "band": name, "misfit": kind().kind, "mean": float(f"{mean:.4g}"), "windows": len(measured.rows),
                }))  # fmt: skip
            if options.pictures:
                figure = draw_waveforms(event, *pair, found.windows, band=band, note="start model")
                write_png(figure, options.pictures / f"bayarea_windows_{band[0]:g}s.png", dots_per_inch=110)
            if options.pyflex_python:
                peer = Path(scratch), options.pyflex_python
                compare(f"recordings, {name}", pair, event, config, band, peer)


if __name__ == "__main__":
    main()
