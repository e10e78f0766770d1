"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seisflow.errors import MissingError, WorkError

__all__ = ["alive", "publish", "room_for", "sha256", "sweep", "temporary_path"]

_COUNTER = itertools.count()
_TEMPORARY = re.compile(r"^\..+\.(?P<host>[^.]+)\.(?P<pid>\d+)\.\d+\.part$")
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def temporary_path(path: str | os.PathLike[str]) -> Path:
    """Where this process may write what will become a file: beside it, hidden, named so that ``sweep`` knows it.

    Parameters
    ----------
    path : path

    Returns
    -------
    Path
    """
    target = Path(path)
    return target.parent / f".{target.name}.{_host()}.{os.getpid()}.{next(_COUNTER)}.part"


@contextmanager
def publish(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file so that others see the old one, or the whole new one, never a part.

    The folder is made if it is missing. The temporary file lies beside the target, its hidden name holds host
    and process; it is synced to the disk, renamed, and the folder is synced, so that a power cut keeps it
    too.

    Parameters
    ----------
    path : path
        The file to write.

    Yields
    ------
    Path
        Where to write instead. It does not exist yet.

    Raises
    ------
    WorkError
        If the disk is full (a quota and a file size limit count as full) or nothing was written. As with any
        other error inside, the old file stays and the temporary file is removed.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(target)
    try:
        with room_for(target):
            yield temporary
            if not temporary.exists():
                raise WorkError(f"{target}: nothing was written to it")
            _sync(temporary)
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(target.parent)


@contextmanager
def room_for(target: Path) -> Iterator[None]:
    """Say in a sentence that a disk is full.

    Parameters
    ----------
    target : Path
        The file that is written inside the context.

    Raises
    ------
    WorkError
        If no space is left; a quota and a file size limit count as well.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise WorkError(
            f"{target}: could not be written, no space is left for it ({os.strerror(error.errno)}); "
            "free space and run again, what was there before is unchanged"
        ) from error


def alive(pid: int) -> bool:
    """Whether a process of this host with that number lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sweep(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove what dead processes of this host left behind in a folder and below it.

    Temporary files of living processes and of other hosts stay.

    Parameters
    ----------
    folder : path
        Where to look; a folder that is not there has nothing to sweep.

    Returns
    -------
    list of Path
        What was removed, sorted.
    """
    removed = []
    for candidate in sorted(Path(folder).rglob(".*.part")):
        match = _TEMPORARY.match(candidate.name)
        if match is None or match["host"] != _host() or alive(int(match["pid"])):
            continue
        candidate.unlink(missing_ok=True)
        removed.append(candidate)
    return removed


def sha256(path: str | os.PathLike[str]) -> str:
    """Hash of the content of a file.

    Parameters
    ----------
    path : path

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.

    Raises
    ------
    MissingError
        If there is no such file.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise MissingError(f"{path}: there is no such file") from error
