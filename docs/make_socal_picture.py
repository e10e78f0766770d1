"""Draw docs/pictures/socal_misfits.png: models of docs/socal.md by several misfits, side by side.

Run ``python docs/make_socal_picture.py ITERATION PROJECT...``, each project with the misfit of its first stage.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from seisflow.project import Project
from seisflow.report import Overlay, draw_comparison, perturbation_field, write_png
from seisflow.steps.inputs import event_of, model_of, stations_of
from seisflow.steps.slices import places

PICTURE = Path(__file__).parent / "pictures" / "socal_misfits.png"


def main() -> None:
    """Draw, and tell how alike the models are."""
    number = int(sys.argv[1])
    fields, changes = [], {}
    for root in sys.argv[2:]:
        project = Project.open(Path(root))
        start, last = (model_of(project.model_path(n)) for n in (0, number))
        kind = project.config.stages[0].misfit.kind
        fields.append(
            (kind, perturbation_field(last, start, "vs", "vs against the start" if not fields else ""))
        )
        changes[kind] = np.log(last.vs / start.vs).ravel()
    _, lines = places(start.grid)
    used = {name for event in project.event_ids for name in _recorded(project, event)}
    stations = [station for station in stations_of(project) if station.id in used]
    overlay = Overlay(start.projection, [event_of(project, each) for each in project.event_ids], stations)
    figure = draw_comparison(fields, 10e3, lines[0], overlay, f"noise correlations, {number} iterations")
    write_png(figure, PICTURE, dots_per_inch=80)
    first = next(iter(changes))
    for kind, change in changes.items():
        alike = np.corrcoef(changes[first], change)[0, 1]
        print(
            f"{kind}: largest change {100 * np.abs(change).max():.1f} %, correlation with {first} {alike:.3f}"
        )


def _recorded(project: Project, event: str) -> set[str]:
    from seisflow.io.event_file import read_event

    rows = read_event(project.event_file(1, 0, event), waveforms=False).measurements
    return {row.window.station for row in rows}


if __name__ == "__main__":
    main()
