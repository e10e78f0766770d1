"""Where heavy work runs: decided once, here."""

from __future__ import annotations

from seisflow.native.cuda import open_device
from seisflow.native.device import Device
from seisflow.project import Project

__all__ = ["device_of"]


def device_of(project: Project) -> Device | None:
    """The GPU that a project uses, or None for the processor.

    Raises
    ------
    MissingError
        If ``compute.device`` is gpu and none can be used.
    """
    return open_device(project.config.compute.device)
