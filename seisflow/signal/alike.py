"""Whether observed and synthetic seismograms can be compared."""

from __future__ import annotations

import numpy as np

from seisflow.domain import Gather
from seisflow.errors import InputError, PhysicsError

__all__ = ["check_alike", "check_not_identical"]

SAME = 1e-6
"""Largest relative difference at which two traces count as the same."""


def check_alike(observed: Gather, synthetic: Gather) -> None:
    """Refuse gathers that differ in stations, components, times or quantity.

    Raises
    ------
    InputError
        Naming the first difference.
    """
    if observed.stations != synthetic.stations or observed.components != synthetic.components:
        raise InputError(
            "observed and synthetic seismograms differ in stations or components: "
            f"{len(observed.stations)} x {' '.join(observed.components)} against "
            f"{len(synthetic.stations)} x {' '.join(synthetic.components)}; treat both alike"
        )
    for name, tolerance in (("start", 1e-3 * synthetic.interval), ("interval", 1e-6 * synthetic.interval)):
        found = getattr(observed, name), getattr(synthetic, name)
        if abs(found[0] - found[1]) > tolerance:
            raise InputError(
                f"{name} of observed ({found[0]:g} s) and synthetic ({found[1]:g} s) differ; "
                "bring both onto one time axis"
            )
    if observed.samples != synthetic.samples or observed.quantity != synthetic.quantity:
        raise InputError(
            f"observed holds {observed.samples} samples of {observed.quantity}, synthetic "
            f"{synthetic.samples} of {synthetic.quantity}; prepare both with the same settings"
        )


def check_not_identical(observed: Gather, synthetic: Gather) -> None:
    """Refuse observed seismograms that are the synthetic ones.

    Raises
    ------
    PhysicsError
        If every live trace equals its synthetic to a millionth of its largest value: then the gradient is
        zero and the starting model is in all likelihood the one that the observed seismograms were made
        with.
    """
    check_alike(observed, synthetic)
    difference = np.abs(observed.data - synthetic.data).max(axis=2, initial=0.0)
    size = np.abs(observed.data).max(axis=2, initial=0.0)
    live = np.asarray(observed.live) & (size > 0)
    if live.any() and np.all(difference[live] <= SAME * size[live]):
        raise PhysicsError(
            f"observed and synthetic are the same on all {np.count_nonzero(live)} live traces; check that "
            "the synthetics are not taken for recordings, and that the starting model is not the true one"
        )
