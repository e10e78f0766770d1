"""Settings of detection: the section ``detection`` of ``seisflow.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from seisflow.detection.backprojection import BackprojectionConfig
from seisflow.detection.correlation import MatchedFilterConfig
from seisflow.detection.features import FeatureConfig
from seisflow.detection.location import LocationConfig
from seisflow.detection.magnitude import LocalMagnitudeConfig, RelativeMagnitudeConfig
from seisflow.detection.matches import MatchConfig
from seisflow.detection.relocation import RelocationConfig
from seisflow.detection.templates import TemplateConfig
from seisflow.detection.threshold import ThresholdConfig
from seisflow.detection.travel_times import TravelTimeConfig
from seisflow.domain import Grid
from seisflow.errors import InputError
from seisflow.signal.amplitude import AmplitudeConfig
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.signal.pickers import PickerConfig

__all__ = ["DetectionConfig", "MatchingConfig", "NeighbourConfig", "SearchConfig"]


@dataclass(frozen=True)
class SearchConfig:
    """Where earthquakes are looked for.

    Parameters
    ----------
    depth : tuple of 2 float
        Shallowest and deepest node in m below sea level (negative above it).
    spacing : tuple of 3 float
        Distance of the nodes along x, y, z in m; the box is met as closely as it allows.
    width, height : float, optional
        Extent from west to east and from south to north in m, centred on the region; that of the region, if left out.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    depth: tuple[float, float]
    spacing: tuple[float, float, float]
    width: float | None = None
    height: float | None = None

    def __post_init__(self) -> None:
        if not self.depth[0] < self.depth[1] or min(self.spacing) <= 0:
            raise InputError(
                f"search: depth = {list(self.depth)} m must rise and spacing = {list(self.spacing)} m be positive"
            )
        for name in ("width", "height"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(
                    f"search: {name} = {value:g} m must be positive; leave it out for that of the region"
                )

    def grid(self, width: float, height: float) -> Grid:
        """The nodes that are searched in a region of that extent in m."""
        size = (self.width or width, self.height or height, self.depth[1] - self.depth[0])
        cells = [max(1, round(length / step)) for length, step in zip(size, self.spacing, strict=True)]
        steps = tuple(length / n for length, n in zip(size, cells, strict=True))
        origin = (-size[0] / 2, -size[1] / 2, self.depth[0])
        return Grid(origin, steps, tuple(n + 1 for n in cells))  # type: ignore[arg-type]


@dataclass(frozen=True)
class MatchingConfig:
    """Templates, and where they fit.

    Parameters
    ----------
    recordings : ContinuousConfig
        Interval and band of templates and of what they are run over.
    templates : TemplateConfig
    filter : MatchedFilterConfig
    matches : MatchConfig
    chunk : float
        Recordings are searched so many s at a time; less takes less memory.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    recordings: ContinuousConfig
    templates: TemplateConfig = field(default_factory=TemplateConfig)
    filter: MatchedFilterConfig = field(default_factory=MatchedFilterConfig)
    matches: MatchConfig = field(default_factory=MatchConfig)
    chunk: float = 21600.0


@dataclass(frozen=True)
class NeighbourConfig:
    """Which earthquakes are compared in the relocation.

    Parameters
    ----------
    max_distance : float
        m.
    most : int
        Nearest others of each.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    max_distance: float = 5000.0
    most: int = 10

    def __post_init__(self) -> None:
        if not self.max_distance > 0 or self.most < 1:
            raise InputError(
                f"max_distance = {self.max_distance:g} m and most = {self.most} must be positive"
            )


@dataclass(frozen=True)
class DetectionConfig:
    """From continuous recordings to a catalog.

    Parameters
    ----------
    archive : tuple of str
        Folders and files of continuous recordings, relative to the project.
    search : SearchConfig
    phases : mapping of str to FeatureConfig
        ``P`` and ``S``, or one of them: what becomes a feature, and how.
    picker : PickerConfig, optional
        A picker, such as a trained network, whose probabilities are mixed into the features.
    sampling : float
        Interval in s at which recordings are filtered for the features.
    interval : float
        Of features and beam in s, a multiple of ``sampling``.
    model : int, optional
        Number of the model that the travel times are computed in; the newest, if left out.
    chunk : float
        Recordings are read and treated so many s at a time; less takes less memory.
    travel_times : TravelTimeConfig
    backprojection : BackprojectionConfig
    threshold : ThresholdConfig
        Of the beam.
    separation : float
        Detections are at least so far apart in s.
    nulls : int
        How often the search is repeated with the stations shifted against each other: what that finds can be no
        earthquake, and tells the rate of false alarms.
    location : LocationConfig
    matching : MatchingConfig, optional
        Matched filtering; none, if left out.
    amplitudes : AmplitudeConfig, optional
        How amplitudes are measured for magnitudes; no magnitudes, if left out.
    magnitude : LocalMagnitudeConfig
    relative_magnitude : RelativeMagnitudeConfig
    relocation : RelocationConfig, optional
        Double differences; none, if left out.
    neighbours : NeighbourConfig
        Which earthquakes are relocated against each other.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    archive: tuple[str, ...]
    search: SearchConfig
    phases: Mapping[str, FeatureConfig]
    sampling: float
    interval: float
    picker: PickerConfig | None = None
    model: int | None = None
    chunk: float = 1800.0
    travel_times: TravelTimeConfig = field(default_factory=TravelTimeConfig)
    backprojection: BackprojectionConfig = field(default_factory=BackprojectionConfig)
    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    separation: float = 1.0
    nulls: int = 1
    location: LocationConfig = field(default_factory=LocationConfig)
    matching: MatchingConfig | None = None
    amplitudes: AmplitudeConfig | None = None
    magnitude: LocalMagnitudeConfig = field(default_factory=LocalMagnitudeConfig)
    relative_magnitude: RelativeMagnitudeConfig = field(default_factory=RelativeMagnitudeConfig)
    relocation: RelocationConfig | None = None
    neighbours: NeighbourConfig = field(default_factory=NeighbourConfig)

    def __post_init__(self) -> None:
        if not self.phases or not set(self.phases) <= {"P", "S"}:
            raise InputError(f"phases: {', '.join(self.phases) or 'none'} given; give P, S or both")
        if not self.archive:
            raise InputError("archive: name at least one folder or file of recordings")
        if self.separation <= 0 or self.chunk <= 0 or self.nulls < 0:
            raise InputError(
                f"separation = {self.separation:g} s and chunk = {self.chunk:g} s must be positive, nulls = "
                f"{self.nulls} not negative"
            )

        if self.threshold.kind == "rate" and self.nulls < 1:
            raise InputError("threshold: kind = 'rate' is measured on nulls; set nulls to at least 1")
        for phase in self.phases:
            self.recordings(phase)  # refuses a band that `sampling` does not hold
        factor = round(self.interval / self.sampling)
        if factor < 1 or abs(factor * self.sampling - self.interval) > 1e-6 * self.interval:
            raise InputError(
                f"interval = {self.interval:g} s: must be a multiple of sampling = {self.sampling:g} s"
            )
        self._check_matching()
        self._check_magnitude()

    def _check_matching(self) -> None:
        if self.matching is None:
            return
        for phase, window in self.matching.templates.windows.items():
            known = set(self.matching.recordings.components)
            if phase not in ("P", "S") or not set(window.components) <= known:
                raise InputError(
                    f"matching.templates.windows: {phase} on {', '.join(window.components)}; phases are P and S, and "
                    f"matching.recordings has the components {', '.join(sorted(known))}"
                )
        matches = self.matching.matches
        if matches.threshold.kind == "rate" and not matches.reversed_templates:
            raise InputError(
                "matching.matches: threshold by rate is measured on reversed_templates; set it to true"
            )
        if not self.matching.chunk > 0:
            raise InputError(f"matching.chunk = {self.matching.chunk:g} s: must be positive")

    def _check_magnitude(self) -> None:
        if self.amplitudes is not None and self.amplitudes.quantity not in (
            "counts",
            self.magnitude.quantity,
        ):
            raise InputError(
                f"amplitudes.quantity = {self.amplitudes.quantity}, magnitude.quantity = {self.magnitude.quantity}: "
                "the formula must be for what is measured; set both alike, with the terms that belong to it"
            )

    def recordings(self, phase: str) -> ContinuousConfig:
        """How recordings are treated for the feature of a phase."""
        config = self.phases[phase]
        return ContinuousConfig(
            interval=self.sampling,
            band=config.band,
            corners=config.corners,
            zero_phase=config.zero_phase,
            components=config.components,
        )
