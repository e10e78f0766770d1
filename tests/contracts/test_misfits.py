"""What holds for every misfit: run over the members of the union, a new one is tested by its one line."""

from dataclasses import fields, replace
from typing import get_args

import numpy as np
import pytest

from seisflow.domain import Gather, Station, Window
from seisflow.errors import InputError, MissingError, PhysicsError
from seisflow.misfits import MisfitConfig, create, measure_gather
from seisflow.misfits.base import PerWindow

START, INTERVAL, SAMPLES = -4.0, 0.25, 480
TIMES = START + INTERVAL * np.arange(SAMPLES)
STATIONS = (Station("XX", "A", 0.0, 0.0), Station("XX", "B", 0.0, 1.0))
WINDOWS = (
    Window("XX.A", "R", 10.0, 40.0),
    Window("XX.A", "R", 30.0, 70.25, weight=2.5),  # overlaps the first
    Window("XX.A", "Z", 5.0, 100.0),
    Window("XX.A", "T", 20.0, 61.0),
    Window("XX.B", "R", 11.0, 42.0),
    Window("XX.B", "R", 31.0, 71.5, weight=0.7),
    Window("XX.B", "T", 20.5, 60.0, weight=0.3),
    Window("XX.B", "Z", 7.0, 101.0),
)
TWO = (Window("XX.A", "R", 10.0, 40.0), Window("XX.B", "R", 11.0, 41.0))
"""A window and its like at the other station, which misfits of station pairs need."""


@pytest.fixture(params=get_args(MisfitConfig), ids=lambda config: config().kind)
def misfit(request):
    return create(request.param())


def smooth(seed, scale=1.0):
    """Random traces of periods over about 4 s, of amplitudes like seismograms in m; those of B come 1.3 s after A."""
    rng = np.random.default_rng(seed)
    data = np.zeros((2, 3, SAMPLES))
    for component in range(3):
        for frequency in np.linspace(0.03, 0.24, 12):
            size, phase = rng.standard_normal(), rng.random()
            for station, late in enumerate((0.0, 1.3)):
                turns = frequency * (TIMES - late) + phase + 0.05 * station
                data[station, component] += size * np.cos(2 * np.pi * turns)
    return gather(data * scale)


def free(seed):
    """Random traces of no likeness, a direction to go into."""
    parts = smooth(seed, 1e-6), smooth(seed + 1000, 1e-6)
    return np.stack([parts[0].data[0], parts[1].data[1]])


def gather(data):
    return Gather(STATIONS, ("R", "T", "Z"), data, START, INTERVAL, "displacement")


def pair():
    """Observed, and a synthetic that is like it but neither only shifted nor only scaled."""
    synthetic = smooth(1, 1e-6)
    delayed = np.array([[np.interp(TIMES - 0.83, TIMES, trace) for trace in row] for row in synthetic.data])
    return gather(1.3 * delayed + 0.35 * free(2)), synthetic


def test_adjoint_is_the_derivative_by_finite_differences(misfit):
    observed, synthetic = pair()
    adjoint = measure_gather(misfit, observed, synthetic, WINDOWS).adjoint
    for seed in (10, 11, 12):
        direction = free(seed)

        def value(step, direction=direction):
            moved = synthetic.with_data(synthetic.data + step * direction)
            return measure_gather(misfit, observed, moved, WINDOWS).value

        predicted = np.sum(adjoint.data * direction) * INTERVAL
        # Fourth order, so that the step may be large against rounding.
        h = 2e-4
        found = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
        assert found == pytest.approx(predicted, rel=1e-7)


def test_taylor_remainder_falls_with_the_square_of_the_step(misfit):
    observed, synthetic = pair()
    direction = free(20)
    base = measure_gather(misfit, observed, synthetic, WINDOWS)
    slope = np.sum(base.adjoint.data * direction) * INTERVAL
    rest = []
    for step in (2e-3, 1e-3, 5e-4):
        moved = synthetic.with_data(synthetic.data + step * direction)
        rest.append(abs(measure_gather(misfit, observed, moved, WINDOWS).value - base.value - step * slope))
    assert rest[0] / rest[1] == pytest.approx(4, rel=0.1)
    assert rest[1] / rest[2] == pytest.approx(4, rel=0.1)


def test_derivative_with_respect_to_a_single_sample(misfit):
    observed, synthetic = pair()
    adjoint = measure_gather(misfit, observed, synthetic, TWO).adjoint.data[0, 0]
    for sample in (63, 100, 151, 170):
        values = []
        for sign in (1, -1):
            data = synthetic.data.copy()
            data[0, 0, sample] += sign * 1e-9
            values.append(measure_gather(misfit, observed, gather(data), TWO).value)
        found = (values[0] - values[1]) / 2e-9 / INTERVAL
        assert found == pytest.approx(adjoint[sample], rel=1e-5, abs=1e-6 * np.abs(adjoint).max())


def test_identical_traces_have_no_misfit(misfit):
    synthetic = smooth(1)
    measured = measure_gather(misfit, synthetic, synthetic, WINDOWS)
    assert measured.value < 1e-25
    assert np.abs(measured.adjoint.data).max() < 1e-12


def test_adjoint_is_zero_outside_the_windows_and_not_within(misfit):
    observed, synthetic = pair()
    adjoint = measure_gather(misfit, observed, synthetic, WINDOWS).adjoint.data
    allowed = np.zeros(adjoint.shape, dtype=bool)
    for window in WINDOWS:
        trace = ["XX.A", "XX.B"].index(window.station), "RTZ".index(window.component)
        allowed[trace] |= (window.start <= TIMES) & (window.end >= TIMES)
    assert np.all(adjoint[~allowed] == 0)
    assert np.count_nonzero(adjoint) > 0.9 * np.count_nonzero(allowed)


def test_value_and_adjoint_scale_with_the_weight(misfit):
    observed, synthetic = pair()
    once = measure_gather(misfit, observed, synthetic, TWO)
    thrice = measure_gather(misfit, observed, synthetic, [replace(window, weight=3.0) for window in TWO])
    assert thrice.value == pytest.approx(3 * once.value)
    assert np.allclose(thrice.adjoint.data, 3 * once.adjoint.data)


def test_windows_that_overlap_add_up(misfit):
    if not isinstance(misfit, PerWindow):
        pytest.skip("its windows depend on each other")
    observed, synthetic = pair()
    both = measure_gather(misfit, observed, synthetic, WINDOWS[:2])
    single = [measure_gather(misfit, observed, synthetic, [window]) for window in WINDOWS[:2]]
    assert both.value == single[0].value + single[1].value
    assert np.array_equal(both.adjoint.data, single[0].adjoint.data + single[1].adjoint.data)


def test_the_misfit_is_smooth_in_the_delay(misfit):
    """Delays of parts of a sample at one station, and growing with them, give a misfit without steps."""

    def pulse(delay):
        t = TIMES - 40 - delay
        return np.exp(0.2 * delay - (t / 5) ** 2) * np.cos(2 * np.pi * t / 12)

    synthetic, values = gather(np.tile(pulse(0.0), (2, 3, 1))), []
    windows = Window("XX.A", "R", 10.0, 70.0), Window("XX.B", "R", 10.0, 70.0)
    for delay in np.arange(0.5, 1.5, 0.05):
        late = synthetic.data.copy()
        late[0] = pulse(delay)
        values.append(measure_gather(misfit, gather(late), synthetic, windows).value)
    assert np.all(np.diff(values) > 0)
    assert np.ptp(np.diff(values, 2)) < 0.2 * np.mean(np.diff(values))


def test_a_descent_step_lowers_the_misfit(misfit):
    observed, synthetic = pair()
    before = measure_gather(misfit, observed, synthetic, WINDOWS)
    step = 0.01 * before.value / (np.sum(before.adjoint.data**2) * INTERVAL)
    after = synthetic.with_data(synthetic.data - step * before.adjoint.data)
    change = measure_gather(misfit, observed, after, WINDOWS).value / before.value - 1
    assert change == pytest.approx(-0.01, rel=0.1)


def test_axes_of_the_adjoint_are_those_of_the_synthetic(misfit):
    observed, synthetic = pair()
    measured = measure_gather(misfit, observed, synthetic, WINDOWS)
    adjoint = measured.adjoint
    assert (adjoint.stations, adjoint.components) == (synthetic.stations, synthetic.components)
    assert (adjoint.start, adjoint.interval, adjoint.samples) == (START, INTERVAL, SAMPLES)
    assert [row.window for row in measured.rows] == list(WINDOWS)


def test_no_windows_no_misfit(misfit):
    observed, synthetic = pair()
    measured = measure_gather(misfit, observed, synthetic, [])
    assert measured.rows == () and measured.value == 0 and not measured.adjoint.data.any()


def test_same_input_same_bits(misfit):
    observed, synthetic = pair()
    first, second = (measure_gather(misfit, observed, synthetic, WINDOWS) for _ in range(2))
    assert first.value == second.value
    assert first.adjoint.data.tobytes() == second.adjoint.data.tobytes()


def test_windows_off_the_gather_are_refused(misfit):
    observed, synthetic = pair()
    with pytest.raises(MissingError, match=r"XX\.C\.R"):
        measure_gather(misfit, observed, synthetic, [Window("XX.C", "R", 10.0, 40.0)])
    with pytest.raises(InputError, match="leaves the trace"):
        measure_gather(misfit, observed, synthetic, [Window("XX.A", "R", 10.0, 400.0)])


def test_traces_without_a_recording_are_refused(misfit):
    observed, synthetic = pair()
    live = np.ones((2, 3), dtype=bool)
    live[0, 0] = False
    with pytest.raises(InputError, match="no recording"):
        measure_gather(misfit, observed.with_data(observed.data, live=live), synthetic, WINDOWS)


def test_axes_that_differ_are_refused(misfit):
    observed, synthetic = pair()
    with pytest.raises(InputError, match="start of observed"):
        measure_gather(misfit, observed.with_data(observed.data, start=0.0), synthetic, WINDOWS)
    with pytest.raises(InputError, match="velocity"):
        measure_gather(misfit, observed.with_data(observed.data, quantity="velocity"), synthetic, WINDOWS)


@pytest.mark.parametrize("end", [10.0, 10.25])
def test_degenerate_windows_are_listed_and_leave_the_others(misfit, end):
    """One sample, two, NaN: each named, and what is left is as if they had never been there."""
    observed, synthetic = pair()
    observed.data[1, 1, 300] = np.nan
    bad = [Window("XX.A", "R", 10.0, end), Window("XX.B", "T", 20.0, 90.0)]
    found = measure_gather(misfit, observed, synthetic, [*bad, *TWO], strict=False)
    assert [row.window for row in found.rows] == list(TWO)
    reasons = [(row.station, row.component, row.stage, row.start) for row in found.rejections]
    assert reasons == [(w.station, w.component, "misfit", w.start) for w in bad]
    assert f"{round(4 * (end - 10)) + 1} samples" in found.rejections[0].reason
    assert "not finite" in found.rejections[1].reason
    alone = measure_gather(misfit, observed, synthetic, TWO)
    assert found.value == alone.value and np.array_equal(found.adjoint.data, alone.adjoint.data)
    with pytest.raises(PhysicsError, match="samples"):
        measure_gather(misfit, observed, synthetic, bad)


def test_nan_is_found(misfit):
    observed, synthetic = pair()
    synthetic.data[0, 0, 100] = np.nan
    with pytest.raises(PhysicsError):
        measure_gather(misfit, observed, synthetic, WINDOWS)


@pytest.mark.parametrize("config", get_args(MisfitConfig))
def test_unknown_settings_are_refused(config):
    from pydantic import TypeAdapter, ValidationError

    kind = config().kind
    assert TypeAdapter(MisfitConfig).validate_python({"kind": kind}) == config()
    with pytest.raises(ValidationError, match="tapper"):
        TypeAdapter(MisfitConfig).validate_python({"kind": kind, "tapper": 0.2})


@pytest.mark.parametrize("config", get_args(MisfitConfig))
def test_impossible_settings_are_refused(config):
    numbers = {field.name for field in fields(config) if isinstance(field.default, float)}
    assert numbers
    for name in numbers:
        with pytest.raises(InputError, match=f"{name} = -0.5"):
            config(**{name: -0.5})
