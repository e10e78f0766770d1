"""The parts of an event's step in their order, each as a stage that a flow may make a task of its own of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from seisflow.errors import PhysicsError
from seisflow.records import Begun
from seisflow.steps.event import EventStep

__all__ = ["Stage", "at_once", "run_event"]

_LOG = logging.getLogger(__name__)

Stage = Callable[[str, Callable[[], None]], None]
"""Runs one named part of a step; a flow makes a task of its own of it."""


def at_once(name: str, part: Callable[[], None]) -> None:
    """A stage that is nothing but its part."""
    part()


def run_event(step: EventStep, stage: Stage = at_once, ahead: EventStep | None = None) -> dict[str, Any]:
    """Run one event at one model, unless its record holds.

    Parameters
    ----------
    step : EventStep
    stage : callable
        Runs the parts by name.
    ahead : EventStep, optional
        What the next iteration does first if the model of this trial is taken. It takes over the forward run, and
        is recorded as done: a trial that is taken has then cost no simulation beyond its own and the adjoint run.

    Returns
    -------
    dict
        ``misfit`` (sum over windows), ``windows``, ``rejected``, ``shifts``.
    """
    done = step.project.done(step.task)
    if done is None:
        begun = step.project.begin(step.task)
        begun_ahead = step.project.begin(ahead.task) if ahead is not None else begun
        if ahead is not None and ahead.stations == step.stations:
            stage("simulate", ahead.simulate)
            step.take_forward(ahead.forward)
            ahead.runs = 0
            step.runs = 2 if ahead.with_kernel else 1  # all simulations of both count here
        else:
            ahead = None
            stage("simulate", step.simulate)
        stage("select windows", step.select_windows)
        stage("measure", step.measure)
        if step.with_kernel:
            stage("adjoint", step.adjoint)
        done = step.finish(begun)
        if ahead is not None:
            _finish_ahead(ahead, stage, begun_ahead)
    step.progress(1.0)
    return done


def _finish_ahead(step: EventStep, stage: Stage, begun: Begun) -> None:
    """All but the simulation of the next iteration's first evaluation; what it cannot do, it will say itself."""
    try:
        stage("select windows", step.select_windows)
        stage("measure", step.measure)
        if step.with_kernel:
            stage("adjoint", step.adjoint)
        step.runs = 0
        step.finish(begun)
    except PhysicsError as error:
        _LOG.info("event %s is not measured ahead: %s", step.event, error)
