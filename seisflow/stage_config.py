"""The stages of a tomography: which bands are compared, in which windows, and what counts how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from seisflow.misfits import MisfitConfig
from seisflow.weights import QualityConfig, WeightConfig
from seisflow.windows import WindowConfig

__all__ = ["Band", "BandConfig", "GuardConfig", "Positive", "Section", "StageConfig"]

Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GuardConfig(Section):
    """When a stage is held back, because its windows could be off by a cycle.

    A window is unsafe when its lag exceeds half the shortest period, and so is a trace that was refused for its lag
    or its correlation. They are counted on the model that the stage would start from.

    Parameters
    ----------
    max_unsafe : float
        Largest share of unsafe windows, 0 to 1; above it the stage before goes on for an iteration.
    at_most : int
        How often it goes on; then the stage begins, whatever the share.
    """

    max_unsafe: Annotated[float, Field(ge=0, le=1)]
    at_most: Annotated[int, Field(ge=1)] = 3


class BandConfig(Section):
    """One of several period bands that are compared in the same simulation.

    Parameters
    ----------
    periods : tuple of 2 float
        Shortest and longest period in s.
    misfit : MisfitConfig, optional
        What is measured; that of the stage, if left out.
    windows : WindowConfig, optional
        How windows are selected; as in the stage, if left out.
    weight : float
        Factor of all that is measured in the band; with ``weights.balance`` its share.
    """

    periods: tuple[Positive, Positive]
    misfit: Annotated[MisfitConfig, Field(discriminator="kind")] | None = None
    windows: WindowConfig | None = None
    weight: Positive = 1.0


@dataclass(frozen=True)
class Band:
    """A band of a stage with all that the stage says of it."""

    number: int
    periods: tuple[float, float]
    misfit: MisfitConfig
    windows: WindowConfig
    weight: float


class StageConfig(Section):
    """Some iterations in one period band, or in several at once.

    Parameters
    ----------
    periods : tuple of 2 float, optional
        Shortest and longest period in s; left out where there are ``bands``.
    bands : tuple of BandConfig
        Several bands, each with windows and misfit of its own; one simulation for the shortest period serves all, and
        their adjoint sources are summed.
    iterations : int
        How many.
    misfit : MisfitConfig
        What is measured in the windows.
    windows : WindowConfig
        How windows are selected.
    carry_over : bool
        Begin with the windows of the stage before, measured anew in this one's band and held to its limits on noise and
        fit, rather than select; not for the first stage.
    reselect : int
        Windows are selected anew every so many iterations of the stage, and frozen between.
    quality : QualityConfig
        Which windows are left out because they stand apart from the others of their event.
    weights : WeightConfig
        What windows count beside each other.
    smoothing : tuple of 3 float, optional
        Instead of ``inversion.smoothing``.
    guard : GuardConfig, optional
        Hold the stage back while too many of its windows could be off by a cycle. Not for the first stage.
    """

    periods: tuple[Positive, Positive]
    bands: tuple[BandConfig, ...] = ()
    iterations: Annotated[int, Field(ge=1)] = 5
    misfit: Annotated[MisfitConfig, Field(discriminator="kind")] = TypeAdapter(
        Annotated[MisfitConfig, Field(discriminator="kind")]
    ).validate_python({"kind": "cc_traveltime"})
    windows: WindowConfig = WindowConfig()
    quality: QualityConfig = QualityConfig()
    weights: WeightConfig = WeightConfig()
    carry_over: bool = False
    reselect: Annotated[int, Field(ge=1)] = 3
    smoothing: tuple[float, float, float] | None = None
    guard: GuardConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _span(cls, values: Any) -> Any:
        """Periods of a stage of several bands: from the shortest of all to the longest."""
        if not isinstance(values, dict) or not values.get("bands") or "periods" in values:
            return values
        try:
            spans = [band["periods"] if isinstance(band, dict) else band.periods for band in values["bands"]]
            return values | {"periods": (min(low for low, _ in spans), max(high for _, high in spans))}
        except (KeyError, TypeError, ValueError):
            return values | {"periods": (1.0, 2.0)}  # the band itself is refused

    @model_validator(mode="after")
    def _one_way(self) -> StageConfig:
        spans = [band.periods for band in self.bands] or [self.periods]
        if self.periods != (min(low for low, _ in spans), max(high for _, high in spans)):
            raise ValueError("periods: are given by `bands`; leave them out here")
        return self

    @property
    def compared(self) -> tuple[Band, ...]:
        """The bands, with misfit and windows of the stage where they have none of their own."""
        if not self.bands:
            return (Band(0, self.periods, self.misfit, self.windows, 1.0),)
        return tuple(
            Band(number, each.periods, each.misfit or self.misfit, each.windows or self.windows, each.weight)
            for number, each in enumerate(self.bands)
        )
