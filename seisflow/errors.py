"""The errors that seisflow raises.

Each says what was wrong, the value that was found and what to do. Each doubles as a built-in error, so that callers
who do not know seisflow can catch them too.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "InputError",
    "MissingError",
    "PhysicsError",
    "SeisflowError",
    "Stopped",
    "WorkError",
]


class SeisflowError(Exception):
    """Parent of all errors of seisflow.

    Attributes
    ----------
    exit_code : int
        What the command line returns: 1 the work failed, 2 the input was wrong.
    on_all_ranks : bool
        Whether all ranks of a run have raised it.
    """

    exit_code = 1
    on_all_ranks = False


class InputError(SeisflowError, ValueError):
    """A file or a value that the user gave cannot be used. Nothing was started."""

    exit_code = 2


class ConfigError(InputError):
    """The configuration is wrong; the message lists every fault at once."""


class MissingError(InputError, LookupError):
    """A file, an event, a station or an earlier iteration that is needed is not there."""


class PhysicsError(SeisflowError, ArithmeticError):
    """A result without physical meaning: no windows, NaN, a zero gradient, observed equal to synthetic."""


class WorkError(SeisflowError, RuntimeError):
    """Work that was started could not be finished."""


class Stopped(KeyboardInterrupt):
    """The process was told to stop (SIGTERM, as batch systems send it); the same command goes on.

    Jobs that it sent stay in the queue, and the next run takes them over.
    """

    keeps_jobs = True
