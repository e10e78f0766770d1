"""Layered half-spaces: independent seismograms by pyprop8, and the same problem for elastic3d."""

from __future__ import annotations

import warnings
from contextlib import ExitStack, contextmanager

import numpy as np
from scipy.interpolate import CubicSpline

from seisflow.domain import Event, Grid, Model, MomentTensor, Projection, SourceTimeFunction, Station
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation

CORNER = 3.0
"""At the shortest period the spectrum of the source is exp(-CORNER) of its largest value."""
EQUATOR = Projection(0.0, 0.0)  # no meridian convergence to speak of
STRIKE_SLIP = MomentTensor(0, 0, 0, 0, 0, -1e18)
GENERAL = MomentTensor(mrr=0.6e18, mtt=-0.7e18, mpp=0.5e18, mrt=0.4e18, mrp=-0.5e18, mtp=0.6e18)


@contextmanager
def lossy(layers, reference):
    """Within it pyprop8 has complex moduli of a constant Q: layers are (..., qkappa, qmu), speeds at ``reference`` Hz.

    c(w) = c0 (1 + ln(i w / w0) / (pi Q)), Aki & Richards (2002), eq. 5.94, continued to complex frequencies; for the
    bulk and the shear modulus. pyprop8 asks for the moduli once, so they are exchanged at each frequency.
    """
    from pyprop8 import _core

    matrices, vector, now = _core.compute_H_matrices, _core.sourceVector, [1.0]
    known = {round(rho * vs**2 / 1e9, 6): q for _, vp, vs, rho, *q in layers}

    def moduli(omega, sigma, mu):
        pairs = []
        for stiff, shear in zip(np.atleast_1d(sigma), np.atleast_1d(mu), strict=True):
            qkappa, qmu = known[round(float(shear), 6)]
            change = [
                (1 + np.log(1j * omega / (2 * np.pi * reference)) / (np.pi * q)) ** 2 for q in (qkappa, qmu)
            ]
            pairs.append(((stiff - 4 / 3 * shear) * change[0] + 4 / 3 * shear * change[1], shear * change[1]))
        return np.array(pairs).T

    def with_loss(k, omega, dz, sigma, mu, *rest, **named):
        now[0] = omega
        return matrices(k, omega, dz, *moduli(omega, sigma, mu), *rest, **named)

    def source_with_loss(tensor, force, k, sigma, mu):
        return vector(tensor, force, k, *moduli(now[0], sigma, mu)[:, 0])

    _core.compute_H_matrices, _core.sourceVector = with_loss, source_with_loss
    try:
        yield
    finally:
        _core.compute_H_matrices, _core.sourceVector = matrices, vector


def truth(layers, tensor, depth, places, width, duration, shape=lambda w: 1.0, reference=None):
    """Times and velocity E, N, Z at the surface for a gaussian moment rate exp(-(t/width)^2).

    Layers are (thickness, vp, vs, rho) in m, m/s, kg/m3; ``shape`` multiplies the spectrum. With ``reference``, a
    frequency in Hz, they also have qkappa and qmu.
    """
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        if reference is not None:
            stack.enter_context(lossy(layers, reference))
        import pyprop8

        structure = pyprop8.LayeredStructureModel(
            [(d / 1e3, vp / 1e3, vs / 1e3, rho / 1e3) for d, vp, vs, rho, *_ in layers]
        )
        m = tensor
        mxyz = np.array([[m.mpp, -m.mtp, m.mrp], [-m.mtp, m.mtt, -m.mrt], [m.mrp, -m.mrt, m.mrr]]) / 1e18
        source = pyprop8.PointSource(0, 0, depth / 1e3, mxyz, np.zeros((3, 1)), 0.0)
        x, y = (np.array([p[i] for p in places]) / 1e3 for i in (0, 1))
        delay = 5 * width

        def spectrum(w):
            return 1j * w * shape(w) * np.exp(-((0.5 * w * width) ** 2) - 1j * w * delay)

        interval = 0.25 * width
        shortest = width * min(layer[2] for layer in layers) / 1e3  # km
        most = max(12 / shortest, 12e3 / depth)  # evanescent waves of shallow sources reach far
        receivers = pyprop8.ListOfReceivers(x, y)

        def seismograms(interval):
            return pyprop8.compute_seismograms(
                structure, source, receivers, int((duration + delay) / interval), interval,
                source_time_function=spectrum, show_progress=False, squeeze_outputs=False,
                stencil_kwargs={"kmin": 0, "kmax": most, "nk": int(40 * most) + 600},
            )  # fmt: skip

        times, coarse = seismograms(interval)
        _, fine = seismograms(interval / 2)
    # its error is of second order in the interval (measured), so two intervals leave one of fourth order
    return times - delay, 1e3 * (4 * fine[0][..., ::2][..., : times.size] - coarse[0]) / 3


def columns(layers, grid, reference=None):
    """A model that varies with depth only; a node on an interface takes harmonic moduli and arithmetic density.

    With ``reference``, a frequency in Hz, layers also have qkappa and qmu.
    """
    tops = np.cumsum([0.0] + [layer[0] for layer in layers[:-1]])
    fine = np.linspace(-0.5, 0.5, 101)[:, None] * grid.spacing[2] + grid.z
    which = np.searchsorted(tops, np.abs(fine), side="right") - 1
    vp, vs, rho = (np.array([layer[i] for layer in layers])[which] for i in (1, 2, 3))
    mu, kappa, density = rho * vs**2, rho * (vp**2 - 4 / 3 * vs**2), rho.mean(axis=0)
    mu, kappa = 1 / (1 / mu).mean(axis=0), 1 / (1 / kappa).mean(axis=0)
    spread = lambda a: np.broadcast_to(a, grid.shape).copy()  # noqa: E731
    quality = {}
    if reference is not None:
        losses = (np.array([1 / layer[i] for layer in layers])[which].mean(axis=0) for i in (4, 5))
        with np.errstate(divide="ignore"):
            quality = {name: spread(1 / each) for name, each in zip(Model.QUALITY, losses, strict=True)}
        quality["reference_frequency"] = reference
    return Model(
        grid,
        EQUATOR,
        spread(np.sqrt((kappa + 4 / 3 * mu) / density)),
        spread(np.sqrt(mu / density)),
        spread(density),
        **quality,
    )


def simulated(
    layers, tensor, depth, places, *, period, points, duration, bottom, margin, threads=1, fine=1, over=1.6, **config
):  # fmt: skip
    """The forward run that ``compare`` compares."""
    slowest = min(layer[2] for layer in layers)
    spacing = slowest * period / points
    width = np.sqrt(CORNER) * period / np.pi
    xs, ys = [0.0] + [p[0] for p in places], [0.0] + [p[1] for p in places]
    low = [np.floor((min(v) - margin) / spacing) * spacing for v in (xs, ys)]
    high = [max(v) + margin for v in (xs, ys)]
    shape = tuple(int(np.ceil((b - a) / spacing)) + 1 for a, b in zip(low, high, strict=True))
    deep = spacing / fine
    grid = Grid((low[0], low[1], 0.0), (spacing, spacing, deep), (*shape, int(np.ceil(bottom / deep)) + 1))
    model = columns(layers, grid)
    stations = tuple(Station("XX", f"S{i}", *EQUATOR.to_geographic(*p)) for i, p in enumerate(places))
    latitude, longitude = EQUATOR.to_geographic(0.0, 0.0)
    event = Event(
        "e", 0.0, latitude, longitude, depth, tensor, SourceTimeFunction(half_duration=1.628 * width)
    )
    simulation = Simulation(model, event, stations, duration, period / over)
    return Elastic3D(Elastic3DConfig(spacing=spacing, **config), threads=threads).forward(simulation)


def compare(
    layers,
    tensor,
    depth,
    places,
    *,
    period,
    points,
    duration,
    bottom,
    margin,
    threads=1,
    fine=1,
    over=1.6,
    **config,
):
    """Relative L2 error of all components, and the amplitude ratio, per station.

    ``period``: where the source spectrum is exp(-CORNER) of its largest; ``points`` per S wavelength there;
    ``fine`` nodes of the model a simulation point along z; ``over`` is ``period`` over the solver's shortest.
    """
    forward = simulated(
        layers, tensor, depth, places, period=period, points=points, duration=duration, bottom=bottom, margin=margin,
        threads=threads, fine=fine, over=over, **config,
    )  # fmt: skip
    width = np.sqrt(CORNER) * period / np.pi
    times, expected = truth(layers, tensor, depth, places, width, duration)
    errors = []
    for number in range(len(places)):
        found = CubicSpline(forward.gather.times, forward.gather.data[number], axis=1)(times)
        keep = times < duration
        a, b = found[:, keep], expected[number][:, keep]
        errors.append((np.linalg.norm(a - b) / np.linalg.norm(b), np.sum(a * b) / np.sum(b * b)))
    return np.array(errors), forward, (times, expected)
