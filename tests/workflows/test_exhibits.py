"""What the pages of Prefect show: tables and pictures as text that needs no other server."""

from __future__ import annotations

import base64
import re

import numpy as np
from matplotlib.figure import Figure
from seisflow.workflows.exhibits import of_catalog, of_iteration

from seisflow.project import Project
from seisflow.report import write_png


def test_an_iteration_shows_its_misfits_and_its_pictures(done):
    project = Project.open(done)
    folder = project.picture_folder(1)
    folder.mkdir(parents=True)
    for name in ("waveforms_a1", "model_vs", "kernel_vs"):
        figure = Figure()
        figure.subplots().plot(np.arange(3))
        write_png(figure, folder / f"{name}.png")
    found = {each.key: each for each in of_iteration(project, 1)}
    assert set(found) == {"tiny-i01-misfits", "tiny-i01-waveforms", "tiny-i01-model", "tiny-i01-kernels"}
    table = found["tiny-i01-misfits"].text
    assert "| a1 | used |" in table and "| h1 | held out |" in table and re.search(r"\(-\d+\.\d %\)", table)
    match = re.search(r"!\[waveforms_a1\]\(data:image/png;base64,([^)]+)\)", found["tiny-i01-waveforms"].text)
    assert base64.b64decode(match[1]) == (folder / "waveforms_a1.png").read_bytes()
    assert not re.search(r"\]\(https?:", "".join(each.text for each in found.values()))


def test_pictures_that_are_too_much_for_a_database_are_named_instead(done, monkeypatch):
    from seisflow.workflows import exhibits

    monkeypatch.setattr(exhibits, "_MOST_BYTES", 10)
    project = Project.open(done)
    folder = project.picture_folder(1)
    folder.mkdir(parents=True)
    (folder / "waveforms_a1.png").write_bytes(b"x" * 11)
    text = next(each.text for each in of_iteration(project, 1) if each.key.endswith("waveforms"))
    assert "base64" not in text and "waveforms_a1.png" in text


def test_a_catalog_shows_its_events(network_done):
    project = Project.open(network_done)
    results = {"events": 12, "beam": 6, "template": 6}
    (only,) = of_catalog(project, results, network_done / "none.html")
    assert only.key == "network-catalog" and "12 events" in only.text and "2026-02-28" in only.text
    page = network_done / "page.html"
    page.write_text('<img src="data:image/png;base64,iVBORw0=">')
    pictures = of_catalog(project, results, page)[1]
    assert (
        pictures.key == "network-catalog-pictures"
        and "![picture 1](data:image/png;base64,iVBORw0=)" in pictures.text
    )
