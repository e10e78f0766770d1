"""Memory of an iteration with 8 and with 80 events: it must not grow with their number.

The events of the example are taken again and again under other names, in periods of 8 to 15 s. Told is the peak
resident memory of the whole command, pictures included.

Run ``python benchmarks/memory_events.py``; about 5 minutes on 2 cores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from seisflow.io.events import read_quakeml, write_quakeml
from seisflow.steps.create import create_project

COUNTS = (8, 80)
MOST_GROWTH = 1.15
STAGES = """stages:
  - periods: [8, 15]
    iterations: 1
    windows:
      travel_times: velocities
      min_velocity: 2300
      max_velocity: 6500
      min_correlation: 0.75

"""


def make(root: Path, count: int) -> None:
    """The example with so many events."""
    create_project(root, "checkerboard")
    sources = sorted((root / "events").glob("*.xml"))
    for number in range(count):
        source = sources[number % len(sources)]
        event = replace(read_quakeml(source)[0], id=f"n{number:03d}")
        write_quakeml(root / "events" / f"{event.id}.xml", event)
        shutil.copy(root / "observed" / f"{source.stem}.h5", root / "observed" / f"{event.id}.h5")
    for source in sources:
        source.unlink()
        (root / "observed" / f"{source.stem}.h5").unlink()
    path = root / "seisflow.yaml"
    text = path.read_text()
    text = text[: text.index("stages:")] + STAGES + text[text.index("solver:") :]
    path.write_text(text[: text.index("hold_out")] + "hold_out: []\n")


def peak(root: Path) -> float:
    """Largest resident memory of an iteration in MB."""
    command = [sys.executable, "-m", "seisflow", "iterate", "--iteration", "1", "-p", str(root)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
    return usage.ru_maxrss / 1024


def main() -> int:
    """Run both, and compare."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            root = Path(folder) / f"events{count}"
            make(root, count)
            peaks.append(peak(root))
            print(f"{count:3d} events: {peaks[-1]:.0f} MB", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.2f}, at most {MOST_GROWTH:g}")
    return 0 if peaks[1] <= MOST_GROWTH * peaks[0] else 1


if __name__ == "__main__":
    raise SystemExit(main())
