"""Write docs/settings.md, all keys of seisflow.yaml, from the docstrings of the settings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from seisflow.config import (
    ComputeConfig,
    Config,
    CorrectionConfig,
    DataConfig,
    RegionConfig,
    SourceConfig,
    StageConfig,
)
from seisflow.detection.backprojection import BackprojectionConfig
from seisflow.detection.correlation import MatchedFilterConfig
from seisflow.detection.double_difference import ErrorConfig
from seisflow.detection.features import FeatureConfig
from seisflow.detection.location import LocationConfig
from seisflow.detection.magnitude import LocalMagnitudeConfig, RelativeMagnitudeConfig
from seisflow.detection.matches import MatchConfig
from seisflow.detection.relocation import RelocationConfig, RelocationStage
from seisflow.detection.templates import PhaseWindow, TemplateConfig
from seisflow.detection.threshold import ThresholdConfig
from seisflow.detection.travel_times import TravelTimeConfig
from seisflow.detection_config import DetectionConfig, MatchingConfig, NeighbourConfig, SearchConfig
from seisflow.inversion import InversionConfig
from seisflow.misfits import MisfitConfig
from seisflow.schedulers.config import BatchRun, DaskRun, Resources, ResourcesByKind, StartedWorkers
from seisflow.signal import SignalConfig
from seisflow.signal.amplitude import AmplitudeConfig
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.signal.pickers import PickerConfig
from seisflow.solvers import Elastic3DConfig
from seisflow.stage_config import BandConfig, GuardConfig
from seisflow.weights import QualityConfig, WeightConfig
from seisflow.windows import LevelConfig, WindowConfig

PAGE = Path(__file__).parent / "settings.md"
SECTIONS: list[tuple[str, type]] = [
    ("(top level)", Config),
    ("region", RegionConfig),
    ("data", DataConfig),
    ("data: corrections, each", CorrectionConfig),
    ("source", SourceConfig),
    ("stages, a list of", StageConfig),
    ("stages: bands, a list of", BandConfig),
    ("stages: windows", WindowConfig),
    ("stages: windows: a limit that may change", LevelConfig),
    ("stages: quality", QualityConfig),
    ("stages: weights", WeightConfig),
    *((f"stages: misfit, kind: {kind().kind}", kind) for kind in get_args(MisfitConfig)),
    ("stages: guard", GuardConfig),
    ("solver, kind: elastic3d", Elastic3DConfig),
    ("inversion", InversionConfig),
    ("compute", ComputeConfig),
    ("run, a batch system", BatchRun),
    ("run, system: dask", DaskRun),
    ("run: start", StartedWorkers),
    ("run: resources", ResourcesByKind),
    ("run: resources: event, day, driver", Resources),
    ("detection", DetectionConfig),
    ("detection: search", SearchConfig),
    ("detection: phases, each", FeatureConfig),
    ("detection: picker", PickerConfig),
    ("detection: travel_times", TravelTimeConfig),
    ("detection: backprojection", BackprojectionConfig),
    ("detection: threshold, and that of matching: matches", ThresholdConfig),
    ("detection: location", LocationConfig),
    ("detection: matching", MatchingConfig),
    ("detection: matching: recordings", ContinuousConfig),
    ("detection: matching: templates", TemplateConfig),
    ("detection: matching: templates: windows, each", PhaseWindow),
    ("detection: matching: filter", MatchedFilterConfig),
    ("detection: matching: matches", MatchConfig),
    ("detection: amplitudes", AmplitudeConfig),
    ("detection: magnitude", LocalMagnitudeConfig),
    ("detection: relative_magnitude", RelativeMagnitudeConfig),
    ("detection: relocation", RelocationConfig),
    ("detection: relocation: stages, a list of", RelocationStage),
    ("detection: relocation: errors", ErrorConfig),
    ("detection: neighbours", NeighbourConfig),
]
HEAD = """# All keys of seisflow.yaml

Made by `python docs/make_settings.py` from the program itself; a test holds it to that. Lengths are in metres, times
and periods in seconds, speeds in m/s, angles in degrees. Unknown keys are refused, with the nearest known one.
"""


def described(kind: type) -> dict[str, str]:
    """Text of each parameter in the docstring of a class."""
    found: dict[str, str] = {}
    names: list[str] = []
    lines = inspect.cleandoc(kind.__doc__ or "").splitlines()
    start = lines.index("Parameters") + 2 if "Parameters" in lines else len(lines)
    for line in lines[start:]:
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(" : ")[0].split(",")]
        elif line.strip():
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found


def defaults(kind: type) -> Iterator[tuple[str, Any]]:
    """Keys of a class in their order, each with its default or ``...``."""
    if issubclass(kind, BaseModel):
        for name, info in kind.model_fields.items():
            found = info.get_default(call_default_factory=True)
            yield name, ... if found is PydanticUndefined else found
    elif is_dataclass(kind):
        for field in fields(kind):
            value = field.default if field.default is not MISSING else ...
            yield field.name, {} if field.default_factory is not MISSING else value


def shown(value: Any) -> str:
    """A default as YAML would have it."""
    if value is ...:
        return "required"
    if value is None:
        return "left out"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(shown(each) for each in value)}]"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, BaseModel) or is_dataclass(value):
        return "see below"
    return str(value)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    shared = described(SignalConfig)
    for title, kind in SECTIONS:
        texts = described(kind)
        sections = {name for name, hint in get_type_hints(kind).items() if is_dataclass(hint)}
        rows = []
        for name, value in defaults(kind):
            text = texts.get(name, "")
            if "SignalConfig" in text:
                text = shared.get(name, text)
            text = text.replace("``", "`").replace("|", "\\\\|")
            if name in sections:
                text = text or "A section of its own."
                value = "see below" if value == {} else value
            rows.append(f"| `{name}` | {shown(value)} | {text} |")
        parts.append(f"\n## {title}\n\n| key | default | |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
