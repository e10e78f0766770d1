"""The eikonal solver against its slow twin."""

from __future__ import annotations

import eikonal_twin
import numpy as np

from seisflow.detection.eikonal import first_arrivals
from seisflow.native.eikonal import Medium


def test_agrees_with_the_slow_twin_to_first_order():
    differences = []
    for spacing, count in ((2e3, 6), (1e3, 12)):
        middle = (np.arange(count) + 0.5) * spacing
        x, y, z = np.meshgrid(middle, middle, middle, indexing="ij")
        cells = 1 / (4000 + 0.05 * z + 300 * np.sin(x / 4e3) * np.cos(y / 5e3))
        medium = Medium.of(cells, (spacing,) * 3, 0.5)
        source = (4e3, 4e3, 2e3)
        found = first_arrivals(cells, medium, np.array(source))
        corners = np.indices(found.shape) * spacing - np.array(source)[:, None, None, None]
        near = np.argwhere(np.sqrt((corners**2).sum(axis=0)) < 4.5e3)
        seeds = {tuple(place): found[tuple(place)] for place in near}
        slow = eikonal_twin.first_arrivals(medium.nodes, medium.spacing, seeds)
        differences.append(float(np.sqrt(np.mean((slow - found) ** 2))))
    assert differences[1] < 0.7 * differences[0] < 0.15
