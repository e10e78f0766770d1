"""LOH.3: LOH.1 with attenuation (SCEC; Day & Bradley 2001).

Qs of 40 and Qp of 120 in the layer, 69.3 and 155.9 below, constant, speeds given at 2.5 Hz; so the bulk modulus has no
loss. Reference: pyprop8 with complex moduli, at each frequency those of a constant Q (Aki & Richards 2002, eq. 5.94);
PyGRT 0.18 gives the same within 0.05 percent, with Q and without (tried once). The rest as in LOH.1. The last
column says what waves without attenuation would miss.
"""

from __future__ import annotations

import numpy as np
from common import Case, draw_traces, legend, misfits, new_figure, resampled
from layered_truth import STRIKE_SLIP, truth
from loh1 import BRUNE, DEPTH, DURATION, LAYERS, PERIOD, PLACE, WIDTH, simulate

REFERENCE = 2.5
LOSSY = [(*layer, np.inf, q) for layer, q in zip(LAYERS, (40.0, 69.3), strict=True)]


def expected(layers, reference):
    """Times and velocity of the wavenumber code."""
    return truth(
        layers, STRIKE_SLIP, DEPTH, [PLACE], WIDTH, DURATION,
        shape=lambda w: 1 / (1 + 1j * w * BRUNE) ** 2, reference=reference,
    )  # fmt: skip


def run(quick: bool = False) -> Case:
    """Both orders."""
    case = Case("", ("order", "spacing m", "points", "L2 %", "EM %", "PM %", "amplitude", "without Q: L2 %"))
    times, known = expected(LOSSY, REFERENCE)
    keep = times < DURATION
    known = known[0][:, keep]
    elastic = expected(LAYERS, None)[1][0][:, keep]
    other = 100 * np.linalg.norm(elastic - known) / np.linalg.norm(known)
    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    said = []
    for order, cells in ((8, 7.5),) if quick else ((4, 10.5), (8, 7.5)):
        spacing = 1000.0 / cells
        found = resampled(simulate(order, spacing, LOSSY, REFERENCE), 0, times[keep])
        values = misfits(found, known, times[1] - times[0], (PERIOD, 4 * PERIOD))
        case.rows.append((order, spacing, 2000 * PERIOD / spacing, *values, other))
        said.append(f"{values[0]:.1f} percent at order {order} with {spacing:.0f} m")
        if order == 8 and cells == 7.5:
            draw_traces(axes, times[keep], found, known, "ENZ", title="LOH.3, order 8, 133 m")
    legend(figure)
    case.figure = figure
    case.headline = "Relative L2 " + ", ".join(said) + f"; waves without attenuation differ by {other:.0f}."
    return case
