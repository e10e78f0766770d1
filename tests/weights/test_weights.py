"""Weights: geography, categories, noise; windows that stand apart."""

from __future__ import annotations

import numpy as np
import pytest

from seisflow.domain import Station, Window
from seisflow.errors import InputError
from seisflow.weights import (
    QualityConfig,
    WeightConfig,
    condition_curve,
    density_weights,
    geographic_weights,
    outliers,
    pair_distances,
    reference_distance,
    weigh,
)
from seisflow.weights.geographic import POINTS

DEGREE = 6371e3 * np.pi / 180


def network() -> tuple[Station, ...]:
    """Twelve stations within 10 km, and six alone, 100 km apart and more."""
    rng = np.random.default_rng(3)
    near = [(38 + a, 22 + b) for a, b in 0.05 * rng.standard_normal((12, 2))]
    far = [(38 + 1.5 * np.sin(a), 22 + 1.9 * np.cos(a)) for a in np.arange(6) * np.pi / 3]
    return tuple(Station("XX", f"S{n:02d}", *place) for n, place in enumerate([*near, *far]))


STATIONS = {station.id: station for station in network()}
PLACES = tuple((station.latitude, station.longitude) for station in network())


def windows(*components: str, names=tuple(STATIONS)) -> list[Window]:
    return [Window(name, component, 10.0, 20.0) for name in names for component in components]


def test_distances_are_those_along_the_sphere():
    found = pair_distances(((0.0, 10.0), (0.0, 11.0), (90.0, 0.0)))
    assert found[0, 1] == pytest.approx(DEGREE, rel=1e-9) and found[0, 2] == pytest.approx(
        90 * DEGREE, rel=1e-9
    )
    assert np.array_equal(found, found.T) and not np.diag(found).any()


def test_two_at_one_place_weigh_half_of_one_alone():
    distances = pair_distances(((0.0, 0.0), (0.0, 0.0), (0.0, 5.0)))
    weights = density_weights(distances, 1000.0)
    assert weights == pytest.approx([0.75, 0.75, 1.5]) and weights.mean() == pytest.approx(1)


def test_weights_are_the_published_sum_of_gaussians():
    """Ruan et al. 2019: 1 / sum over all points of exp(-(D / D0)^2), written out."""
    distances, reference = pair_distances(PLACES), 40e3
    plain = [
        1 / sum(np.exp(-((distances[i, j] / reference) ** 2)) for j in range(len(PLACES)))
        for i in range(len(PLACES))
    ]
    assert density_weights(distances, reference) == pytest.approx(np.array(plain) / np.mean(plain), rel=1e-12)


def test_condition_number_rises_from_one_and_falls_to_one():
    references, numbers = condition_curve(pair_distances(PLACES))
    assert len(references) == POINTS and numbers[0] < 1.01 and numbers[-1] < 1.2
    assert numbers.max() == pytest.approx(12, rel=0.15)  # of twelve close together against one alone


def test_the_reference_distance_is_a_third_of_the_way_up():
    distances = pair_distances(PLACES)
    chosen, (references, numbers) = reference_distance(distances), condition_curve(distances)
    weights = density_weights(distances, chosen)
    wanted = 1 + (numbers.max() - 1) / 3
    assert weights.max() / weights.min() == pytest.approx(wanted, rel=0.03)
    assert chosen < references[np.argmax(numbers)]
    assert np.all(numbers[references < 0.95 * chosen] < wanted)


@pytest.mark.parametrize("places", [(), ((1.0, 2.0),), ((1.0, 2.0),) * 3, ((0.0, 0.0), (0.0, 1.0))])
def test_without_uneven_density_all_weights_are_one(places):
    assert geographic_weights(places, "auto") == pytest.approx([1.0] * len(places))


def test_nothing_set_leaves_windows_as_they_are():
    found = windows("Z", "R")
    assert weigh(found, STATIONS, WeightConfig()) == tuple(found)


def test_receivers_count_by_density_and_the_sum_of_weights_stays():
    given = windows("Z", "T") + windows("R", names=["XX.S00", "XX.S13"])
    found = weigh(given, STATIONS, WeightConfig(receivers="auto"))
    assert sum(window.weight for window in found) == pytest.approx(len(given))
    by_station = {window.station: window.factors.receiver for window in found}
    expected = geographic_weights(PLACES, "auto")
    ratios = np.array(list(by_station.values())) / expected
    assert ratios == pytest.approx(ratios[0]) and by_station["XX.S13"] > 3 * min(by_station.values())
    assert all(window.weight == window.factors.product == window.factors.receiver for window in found)


def test_each_category_contributes_as_it_is_told_however_many_windows_it_has():
    given = windows("Z") + windows("T", names=["XX.S00", "XX.S13"])
    given += [Window(each.station, "Z", each.start, each.end, band=1) for each in windows("Z")[:7]]
    config = WeightConfig(receivers="auto", components={"T": 2.0}, balance=True, balance_limit=100)
    found = weigh(given, STATIONS, config, source=0.5, bands={1: 0.25})
    share = {}
    for window in found:
        share[window.band, window.component] = share.get((window.band, window.component), 0) + window.weight
    whole = 0.5 * len(given)
    expected = {(0, "Z"): 1 / 3.25, (0, "T"): 2 / 3.25, (1, "Z"): 0.25 / 3.25}
    assert share == pytest.approx({key: whole * value for key, value in expected.items()})
    plain = weigh(given, STATIONS, WeightConfig(components={"T": 2.0}), bands={1: 0.25})
    assert {(w.band, w.component): w.weight for w in plain} == {(0, "Z"): 1, (0, "T"): 2, (1, "Z"): 0.25}


def test_a_single_window_does_not_carry_the_part_of_a_category():
    given = windows("Z", "R") + windows("T", names=["XX.S00"])
    found = weigh(given, STATIONS, WeightConfig(balance=True))
    weights = {component: [w.weight for w in found if w.component == component] for component in "ZRT"}
    assert weights["T"] == [pytest.approx(3.0)]
    assert sum(weights["Z"]) == pytest.approx(sum(weights["R"])) == pytest.approx((len(given) - 3) / 2)
    free = weigh(given, STATIONS, WeightConfig(balance=True, balance_limit=1000))
    assert free[-1].weight == pytest.approx(len(given) / 3)
    equal = weigh(given, STATIONS, WeightConfig(balance=True, balance_limit=1))
    assert [w.weight for w in equal] == pytest.approx([1.0] * len(given))
    assert sum(w.weight for w in found) == pytest.approx(len(given))


def test_noisy_windows_count_less_and_unknown_noise_does_not():
    given = [Window("XX.S00", "Z", 0, 9, signal_to_noise=noise) for noise in (2.0, 5.0, 20.0, None)]
    found = weigh(given, STATIONS, WeightConfig(signal_to_noise=5.0))
    assert [window.weight for window in found] == [0.4, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "settings",
    [
        {"receivers": -1.0},
        {"sources": float("nan")},
        {"components": {"Q": 1.0}},
        {"phases": {"P": 0.0}},
        {"balance_limit": 0.5},
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        WeightConfig(**settings)


def test_windows_that_stand_apart_are_named_with_the_numbers():
    rng = np.random.default_rng(5)
    given = [
        Window(name, "Z", 10, 20, shift=1.0 + 0.2 * rng.standard_normal(), dlna=0.1 * rng.standard_normal())
        for name in STATIONS
    ]
    odd = [Window("XX.S00", "T", 10, 20, shift=3.0), Window("XX.S01", "T", 10, 20, shift=1.0, dlna=-1.2)]
    config = QualityConfig(max_shift_deviation=5, max_dlna_deviation=5)
    kept, lost = outliers([*given, *odd], config, shortest_period=4.0)
    assert kept == given and [(row.station, row.stage) for row in lost] == [
        ("XX.S00", "outlier"),
        ("XX.S01", "outlier"),
    ]
    assert lost[0].reason.startswith("lag 3 s, the event has 0.96") and "dlnA -1.2" in lost[1].reason
    assert outliers([*given, *odd], QualityConfig(), 4.0) == ([*given, *odd], [])
    assert outliers(odd, config, 4.0) == (odd, [])  # too few for statistics
