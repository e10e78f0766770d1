"""Pickers: whatever gives the probability of an arrival per station, phase and time, such as a trained network."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from seisflow.domain import FloatArray
from seisflow.errors import InputError, MissingError

__all__ = ["PickAxis", "Picker", "PickerConfig", "load_picker"]


@dataclass(frozen=True)
class PickAxis:
    """Where probabilities are wanted.

    Parameters
    ----------
    stations : tuple of str
        ``NET.STA``, length ns.
    phases : tuple of str
        Length np.
    start : float
        Time of the first sample, s since 1970-01-01 UTC.
    interval : float
        s.
    samples : int
        nt.
    """

    stations: tuple[str, ...]
    phases: tuple[str, ...]
    start: float
    interval: float
    samples: int


Picker = Callable[[Any, PickAxis], FloatArray]
"""From raw recordings (obspy.Stream) and an axis to probabilities (ns, np, nt), 0 to 1; NaN where nothing is known."""


@dataclass(frozen=True)
class PickerConfig:
    """A picker that takes part in the features.

    Parameters
    ----------
    kind : {"function", "seisbench"}
        A Python function, or a model of SeisBench (Woollam et al. 2022), which is installed apart.
    name : str
        ``package.module:function``, see ``Picker``; or the class of the model, such as ``PhaseNet``.
    path : str, optional
        Of a model of SeisBench, as its ``save`` writes it, without ``.pt``; relative to the project.
    weight : float
        Of the probabilities against the feature, 0 to 1.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["function", "seisbench"]
    name: str
    path: str | None = None
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise InputError(f"picker: weight = {self.weight:g} must lie in 0 to 1")
        if self.kind == "function" and self.name.count(":") != 1:
            raise InputError(f"picker: name = {self.name!r} must be package.module:function")
        if self.kind == "seisbench" and self.path is None:
            raise InputError(f"picker: {self.name} of SeisBench needs `path`, where its weights were saved")


@lru_cache(maxsize=4)
def load_picker(config: PickerConfig, root: Path) -> Picker:
    """Load a picker; the last ones are remembered.

    Parameters
    ----------
    config : PickerConfig
    root : Path
        Folder that its path is relative to.

    Raises
    ------
    MissingError
        If the function, SeisBench or the weights are not there.
    """
    if config.kind == "function":
        module, _, name = config.name.partition(":")
        try:
            found: Picker = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise MissingError(
                f"picker: {config.name} cannot be imported ({error}); it must be on the Python path"
            ) from error
        return found
    return _seisbench(config.name, root / str(config.path))


def _seisbench(name: str, path: Path) -> Picker:
    """A model of SeisBench."""
    try:
        models = import_module("seisbench.models")
        kind = getattr(models, name)
    except ImportError as error:
        raise MissingError(
            f"picker: SeisBench is not installed ({error}); `pip install seisbench`, or leave the picker out"
        ) from error
    except AttributeError as error:
        raise MissingError(f"picker: SeisBench has no model {name!r}") from error
    if not path.with_name(path.name + ".pt").is_file():
        raise MissingError(f"picker: {path}.pt is not there; save the model with `model.save({str(path)!r})`")
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # weights are numbers; a pickle would run its code
    import_module("torch").set_num_threads(1)  # the same bits whatever the number of cores
    model = kind.load(str(path))
    model.eval()

    def pick(stream: Any, axis: PickAxis) -> FloatArray:
        return on_axis(model.annotate(stream), axis)

    return pick


def on_axis(annotations: Any, axis: PickAxis) -> FloatArray:
    """Probabilities from annotations, traces whose channels end in ``_P``, ``_S``: the largest about each sample.

    Parameters
    ----------
    annotations : obspy.Stream
    axis : PickAxis

    Returns
    -------
    ndarray (ns, np, nt)
        NaN where there is no annotation.
    """
    result = np.full((len(axis.stations), len(axis.phases), axis.samples), np.nan)
    rows = {name: number for number, name in enumerate(axis.stations)}
    columns = {phase: number for number, phase in enumerate(axis.phases)}
    times = axis.start + axis.interval * np.arange(axis.samples)
    for trace in annotations:
        row = rows.get(f"{trace.stats.network}.{trace.stats.station}")
        column = columns.get(trace.stats.channel.rpartition("_")[2])
        if row is None or column is None or len(trace.data) < 2:
            continue
        step = float(trace.stats.delta)
        start = trace.stats.starttime.timestamp
        values = np.asarray(trace.data, dtype=np.float64)
        wide = max(0, round(0.5 * axis.interval / step))
        if wide:  # coarser than the annotations: the largest of those that a sample stands for
            padded = np.pad(values, wide, mode="edge")
            values = np.lib.stride_tricks.sliding_window_view(padded, 2 * wide + 1).max(axis=1)
        inside = (times >= start) & (times <= start + step * (values.size - 1))
        found = np.interp(times[inside], start + step * np.arange(values.size), np.clip(values, 0, 1))
        result[row, column, inside] = np.fmax(result[row, column, inside], found)
    return result
