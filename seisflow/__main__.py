"""``python -m seisflow``."""

from __future__ import annotations

from seisflow.cli import main

main()
