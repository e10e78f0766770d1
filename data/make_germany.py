"""Make the example ``germany`` of what the package qopen carries. Called by ``seisflow init``."""

from __future__ import annotations

from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path

import yaml

from seisflow.config import RegionConfig
from seisflow.domain.layers import layered_model
from seisflow.errors import MissingError
from seisflow.io.atomic import publish
from seisflow.io.layers import read_layers
from seisflow.io.models import write_model

__all__ = ["make"]

COPIES = {
    "example_data.mseed": "waveforms/qopen.mseed",
    "example_inventory.xml": "stations/GR.xml",
    "example_events.xml": "reference.xml",
}


def make(folder: Path) -> list[Path]:
    """Copy recordings, instruments and origins of qopen into a folder, and make a model.

    Parameters
    ----------
    folder : Path
        Of the project.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    MissingError
        If qopen is not installed, or a version of it does not carry its example. Nothing is written.
    """
    contents = _carried()
    written = []
    for name, content in contents.items():
        written.append(folder / name)
        with publish(written[-1]) as path:
            path.write_bytes(content)
    here = files("seisflow.data") / "germany"
    settings = yaml.safe_load((here / "seisflow.yaml").read_text(encoding="utf-8"))
    region = RegionConfig(**settings["region"])
    with as_file(here / "models" / "crust.txt") as path:
        layers = read_layers(path)
    written.append(folder / "models" / "m00.nc")
    write_model(written[-1], layered_model(layers, region.grid(), region.projection()))
    return written


def _carried() -> dict[str, bytes]:
    """Files of qopen by their names in the project; qopen itself is not imported."""
    spec = find_spec("qopen")
    if spec is None or not spec.submodule_search_locations:
        raise MissingError(
            "example germany: its recordings come with the package qopen, which is not installed; "
            "run `pip install qopen` (or `pip install 'seisflow[examples]'`) and repeat the command"
        )
    example = Path(spec.submodule_search_locations[0]) / "example"
    missing = [name for name in COPIES if not (example / name).is_file()]
    if missing:
        raise MissingError(
            f"example germany: {example} has no {', '.join(missing)}; run `pip install --upgrade qopen` and repeat"
        )
    return {target: (example / name).read_bytes() for name, target in COPIES.items()}
