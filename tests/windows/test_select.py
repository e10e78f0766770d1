"""Window selection: against a slow twin, against the formulas, and its account of what was rejected."""

import numpy as np
import pytest

from seisflow.domain import Event, Force, Gather, Station, Window
from seisflow.errors import InputError, PhysicsError
from seisflow.windows import WindowConfig, check_not_identical, select
from seisflow.windows.arrivals import expected_arrivals
from seisflow.windows.given import Pair, carried_over
from seisflow.windows.schedule import best_schedule
from seisflow.windows.stalta import extrema, short_over_long
from tests.reference import ref_windows

EVENT = Event("ev", 0.0, 0.0, 0.0, 10e3, Force(1.0, 0.0, 0.0))
STATION = Station("XX", "A", 0.0, 3.0)  # 334 km
BAND = (10.0, 40.0)
START, INTERVAL, SAMPLES = -60.0, 1.0, 400
TIMES = START + INTERVAL * np.arange(SAMPLES)


def seismogram(delay=0.0, amplitude=1.0, noise=0.0, seed=0):
    """A body wave at 60 s and a dispersed surface wave of 15 to 30 s around 120 s, for the station above."""
    time = TIMES - delay
    body = 0.3 * np.exp(-(((time - 60) / 10) ** 2)) * np.cos(2 * np.pi * (time - 60) / 12)
    phase = 2 * np.pi * ((time - 120) / 20 + ((time - 120) / 110) ** 2)
    surface = np.exp(-(((time - 120) / 25) ** 2)) * np.cos(phase)
    rough = np.random.default_rng(seed).standard_normal(SAMPLES)
    smooth = np.convolve(rough, np.hanning(12), "same") / 2.5
    return amplitude * (body + surface) + noise * smooth


def gather(*traces, components=("R", "T", "Z"), live=None):
    data = np.array(traces).reshape(-1, len(components), SAMPLES)
    stations = tuple(Station("XX", "ABCDEFGH"[n], 0.0, 3.0) for n in range(len(data)))
    return Gather(stations, components, data, START, INTERVAL, "displacement", live)


def config(**changes):
    usual = {"max_shift": 10.0, "max_time_before_arrival": 50.0, "min_velocity": 1500.0}
    return WindowConfig(**({"travel_times": "velocities"} | usual | changes))


def three(trace):
    return gather(trace, trace, trace)


def test_good_seismograms_give_windows_around_the_waves():
    windows, _ = select(three(seismogram(1.0, 1.2, 0.01)), three(seismogram()), EVENT, config(), BAND)
    assert {w.component for w in windows} == {"R", "T", "Z"}
    ours = [w for w in windows if w.component == "R"]
    assert any(w.start <= 120 <= w.end for w in ours)
    for w in ours:
        assert w.correlation > 0.9 and w.shift == pytest.approx(1.0, abs=1.0)
        assert w.dlna == pytest.approx(np.log(1.2), abs=0.1)
        assert (w.start - START) / INTERVAL == round((w.start - START) / INTERVAL)
        assert w.end - w.start >= 1.5 * BAND[0]


def messy(seed):
    """A synthetic, and an observed trace that fits it the worse the higher the seed."""
    synthetic = seismogram(noise=0.15, seed=seed)
    observed = seismogram(1.7 + seed, 0.8 - 0.15 * seed, 0.1 + 0.15 * seed, seed + 50)
    observed += 0.3 * seismogram(0, 1 - 0.3 * seed, 0.5, seed + 99)
    return observed * np.where(TIMES < 40, 0.35, 1.0), synthetic


CONFIGS = [
    {},
    {"water_level": 0.12, "prominence": 0.1, "separation_height": 1.0, "separation_time": 2.0},
    {"curtail_left": 0.5, "curtail_right": 1.0, "min_length": 2.5, "interior_minima": 0.7},
    {"min_correlation": 0.85, "max_shift": 5.0, "max_dlna": 0.8, "shift_reference": 1.0},
    {"min_velocity": 3400.0, "max_velocity": 5000.0, "max_time_before_arrival": 5.0},
]


@pytest.mark.parametrize("changes", CONFIGS)
@pytest.mark.parametrize("seed", range(4))
def test_candidates_are_those_of_the_slow_twin(changes, seed):
    settings = config(**changes)
    observed, synthetic = messy(seed)
    arrivals = expected_arrivals(EVENT, (STATION,), settings)[0]
    twins = ref_windows.candidates(
        observed, synthetic, START, INTERVAL, BAND, arrivals.first, arrivals.last, settings
    )
    windows, rejections = select(three(observed), three(synthetic), EVENT, settings, BAND)
    ours = [w for w in windows if w.component == "Z"]
    overlapping = sum(r.count for r in rejections if r.stage == "overlap" and r.component == "Z")
    assert len(ours) + overlapping == len(twins)
    by_span = {(START + a * INTERVAL, START + b * INTERVAL): rest for a, b, *rest in twins}
    for window in ours:
        assert (window.shift, window.correlation, window.dlna) == pytest.approx(
            by_span[window.start, window.end]
        )
    values = [(b - a) * INTERVAL / BAND[0] * correlation for a, b, _, correlation, _ in twins]
    if len(twins) <= 14:
        best, _ = ref_windows.best_schedule([t[0] for t in twins], [t[1] for t in twins], values)
        assert sum((w.end - w.start) / BAND[0] * w.correlation for w in ours) == pytest.approx(best)


def test_the_twin_comparison_saw_windows_and_rejections_of_every_kind():
    stages, count = set(), 0
    for changes in CONFIGS:
        for seed in range(4):
            observed, synthetic = (three(trace) for trace in messy(seed))
            found = select(observed, synthetic, EVENT, config(**changes), BAND)
            count += len(found[0])
            stages |= {r.stage for r in found[1]}
    assert count > 20
    assert stages >= {
        "travel time", "length", "interior minima", "prominence", "phase separation", "signal to noise",
        "shift", "amplitude", "correlation", "overlap",
    }  # fmt: skip


def test_short_over_long_is_the_recursion_and_starts_steady():
    trace = seismogram(noise=0.05)
    assert short_over_long(trace, 1.0, 10.0) == pytest.approx(
        ref_windows.short_over_long(trace, 1.0, 10.0), rel=1e-9
    )
    # The padding of peers is counted in samples, and too short at fine sampling.
    fine, coarse = (np.exp(-(((np.arange(0, 80, dt) - 50) / 4) ** 2)) for dt in (0.01, 0.1))
    assert short_over_long(fine, 0.01, 5.0) == pytest.approx(
        ref_windows.short_over_long(fine, 0.01, 5.0), rel=1e-9
    )
    later = short_over_long(fine, 0.01, 5.0)[2000::10], short_over_long(coarse, 0.1, 5.0)[200:]
    assert later[0] == pytest.approx(later[1], rel=0.03)


def test_extrema_take_the_first_sample_of_a_plateau_and_no_ends():
    peaks, troughs = extrema(np.array([5.0, 1, 2, 2, 2, 1, 1, 3, 0, 0, -1, 4, 4]))
    assert peaks.tolist() == [2, 7] and troughs.tolist() == [1, 5, 10]
    values = np.random.default_rng(1).integers(0, 5, 500).astype(float)
    expected = ref_windows.extrema(values)
    assert [found.tolist() for found in extrema(values)] == [list(e) for e in expected]
    assert [len(found) for found in extrema(np.ones(5))] == [0, 0]


def test_the_schedule_is_the_best_of_all_subsets():
    chosen = best_schedule(np.array([0, 3]), np.array([5, 7]), np.array([10.0, 1.0]))
    assert chosen.tolist() == [0]  # peers return the other one
    rng = np.random.default_rng(7)
    for _ in range(60):
        left = rng.integers(0, 20, 9)
        right = left + rng.integers(1, 9, 9)
        value = rng.random(9)
        chosen = best_schedule(left, right, value)
        assert value[chosen].sum() == pytest.approx(ref_windows.best_schedule(left, right, value)[0])
        assert np.all(right[chosen][:-1] <= left[chosen][1:])
    touching = best_schedule(np.array([0, 5]), np.array([5, 9]), np.ones(2))
    assert touching.tolist() == [0, 1]
    assert best_schedule(np.zeros(0, int), np.zeros(0, int), np.zeros(0)).tolist() == []


def test_noise_is_what_precedes_the_first_arrival_in_time():
    """A burst before the origin is noise, though its sample number is above the arrival time in seconds."""
    observed, synthetic = seismogram(), seismogram()
    burst = np.exp(-(((TIMES + 20) / 6) ** 2)) * 0.9
    windows, rejections = select(three(observed + burst), three(synthetic), EVENT, config(), BAND)
    assert windows == []
    stages = {r.stage: r for r in rejections}
    assert "under 1.5" in stages["signal to noise"].reason
    late = np.exp(-(((TIMES - 45) / 3) ** 2)) * 0.9  # after the first arrival: not noise
    assert select(three(observed + late), three(synthetic), EVENT, config(), BAND)[0]


def test_without_noise_samples_nothing_is_refused_for_noise():
    whole = three(seismogram(1.0)), three(seismogram())
    observed, synthetic = (g.with_data(g.data[..., 92:], start=32.0) for g in whole)
    windows, rejections = select(observed, synthetic, EVENT, config(), BAND)
    assert windows and "signal to noise" not in {r.stage for r in rejections}


def test_noisy_traces_can_be_refused_whole():
    noisy = three(seismogram(noise=0.7))
    windows, rejections = select(noisy, three(seismogram()), EVENT, config(check_trace=True), BAND)
    assert windows == [] and {r.stage for r in rejections} == {"trace quality"}
    clean = three(seismogram(noise=0.01))
    assert select(clean, three(seismogram()), EVENT, config(check_trace=True), BAND)[0]


def test_dead_nan_and_zero_traces_are_skipped_and_reported():
    live = np.ones((2, 3), dtype=bool)
    live[0, 1] = False
    observed = gather(*[seismogram(0.5)] * 6, live=live)
    observed.data[0, 2, 17] = np.nan
    synthetic = gather(*[seismogram()] * 6)
    synthetic.data[1, 0] = 0.0
    windows, rejections = select(observed, synthetic, EVENT, config(), BAND)
    lost = {
        (r.station, r.component): (r.stage, r.reason) for r in rejections if r.stage in ("dead", "not finite")
    }
    assert lost == {
        ("XX.A", "T"): ("dead", "no usable recording"),
        ("XX.A", "Z"): ("not finite", "observed holds NaN or infinite samples"),
        ("XX.B", "R"): ("dead", "synthetic is zero"),
    }
    assert {(w.station, w.component) for w in windows} == {("XX.A", "R"), ("XX.B", "T"), ("XX.B", "Z")}


@pytest.mark.parametrize(
    ("observed", "changes", "stage", "words"),
    [
        (seismogram(0.0, 9.0), {}, "amplitude", "dlnA 2.197, not within 1.3 of 0"),
        (seismogram(12.0), {}, "shift", "not within 10 s of 0 s"),
        (
            seismogram(0.0, 1.0, 0.5, 11),
            {"min_correlation": 0.99, "min_signal_to_noise": 0.0},
            "correlation",
            "under 0.99",
        ),
    ],
)
def test_rejections_name_stage_value_and_limit(observed, changes, stage, words):
    rejections = select(three(observed), three(seismogram()), EVENT, config(**changes), BAND)[1]
    found = {r.stage: r for r in rejections if r.component == "R"}[stage]
    assert words in found.reason and found.count >= 1 and found.start < found.end


def test_geographic_components_and_no_travel_times_work():
    observed = gather(*[seismogram(0.5)] * 3, components=("E", "N", "Z"))
    synthetic = gather(*[seismogram()] * 3, components=("E", "N", "Z"))
    windows, _ = select(observed, synthetic, EVENT, config(travel_times="none"), BAND)
    assert {w.component for w in windows} == {"E", "N", "Z"}


def test_waves_slower_than_the_slowest_get_no_window():
    slow = three(seismogram(140.0))  # the surface wave comes at 260 s: 1.3 km/s
    windows, _ = select(slow, slow, EVENT, config(min_velocity=3000.0, max_time_before_arrival=1.0), BAND)
    assert all(w.start <= 334e3 / 3000 + BAND[1] for w in windows)
    assert not any(w.start <= 260 <= w.end for w in windows)


@pytest.mark.parametrize("model", ["ak135", "iasp91"])
def test_first_arrivals_are_those_of_taup(model):
    from obspy.taup import TauPyModel

    many = tuple(Station("XX", f"S{n}", 0.0, 1.0 + 0.3 * n) for n in range(100))
    found = expected_arrivals(EVENT, many, WindowConfig(travel_times=model))
    earth = TauPyModel(model)
    for number in (0, 7, 50, 99):
        degrees = (1.0 + 0.3 * number) * 111319.49 / 111194.93
        exact = min(a.time for a in earth.get_travel_times(10.0, degrees, ["P", "p", "Pn"]))
        assert found[number].first == pytest.approx(exact, abs=0.3)


def test_no_window_is_an_answer_not_an_error():
    flat = three(1e-9 * np.sin(TIMES * 2 * np.pi / 30))
    windows, rejections = select(flat, three(seismogram()), EVENT, config(), BAND)
    assert windows == [] and rejections


def test_a_station_whose_waves_are_beyond_the_record_gets_no_window():
    far = Event("far", 0.0, 0.0, 100.0, 10e3, Force(1.0, 0.0, 0.0))
    windows, rejections = select(three(seismogram(0.5)), three(seismogram()), far, config(), BAND)
    assert windows == [] and {r.stage for r in rejections} <= {"candidates", "travel time"}


def test_same_input_same_windows():
    pair = three(seismogram(0.7, noise=0.1)), three(seismogram(noise=0.1, seed=3))
    assert select(*pair, EVENT, config(), BAND) == select(*pair, EVENT, config(), BAND)


def test_observed_equal_to_synthetic_is_found():
    synthetic = three(seismogram())
    with pytest.raises(PhysicsError, match="the same on all 3 live traces"):
        check_not_identical(synthetic.with_data(synthetic.data * (1 + 1e-8)), synthetic)
    check_not_identical(three(seismogram(0.1)), synthetic)
    other = synthetic.data.copy()
    other[0, 0] *= 1.01
    check_not_identical(synthetic.with_data(other), synthetic)
    live = np.array([[False, True, True]])
    with pytest.raises(PhysicsError, match="2 live"):
        check_not_identical(synthetic.with_data(other * live[..., None], live=live), synthetic)


@pytest.mark.parametrize(
    "change",
    [
        {"water_level": 0.0},
        {"min_correlation": 1.5},
        {"max_velocity": 100.0},
        {"curtail_left": -1.0},
        {"max_shift": 0.0},
    ],
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        WindowConfig(**change)


def test_limits_left_out_follow_the_shortest_period():
    free = WindowConfig()
    assert (free.largest_shift(10.0), free.lead(10.0)) == (5.0, 15.0)
    settings = WindowConfig(travel_times="velocities", min_velocity=1500.0)
    first = expected_arrivals(EVENT, (STATION,), settings)[0].first
    windows, rejections = select(three(seismogram(6.0)), three(seismogram()), EVENT, settings, BAND)
    assert windows == [] and any("not within 5 s" in r.reason for r in rejections)
    windows, _ = select(three(seismogram(2.0)), three(seismogram()), EVENT, settings, BAND)
    assert windows and min(w.start for w in windows) >= first - 15


def test_a_reversed_band_is_refused():
    with pytest.raises(InputError, match="shortest, then the longest"):
        select(three(seismogram()), three(seismogram()), EVENT, config(), (40.0, 10.0))


def test_each_window_that_is_not_carried_over_is_listed_with_its_own_value():
    observed, synthetic = messy(0)[0], seismogram()
    pair = Pair(gather(observed, components=("Z",)), gather(synthetic, components=("Z",)), EVENT,
                config(min_correlation=0.999), BAND)  # fmt: skip
    spans = ((40.0, 80.0), (90.0, 150.0), (100.0, 160.0))
    kept, lost = carried_over([Window("XX.A", "Z", *span) for span in spans], pair)
    assert kept == [] and tuple((row.start, row.end) for row in lost) == spans
    assert all(row.count == 1 and row.stage == "correlation" for row in lost)
    assert len({row.reason for row in lost}) == 3
