"""Pictures of shifts, coverage, and slices at any depth."""

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from test_report import check_png, texts, visible_inside

from seisflow.domain import Grid
from seisflow.errors import InputError
from seisflow.report import (
    Line,
    Overlay,
    ShiftRow,
    coverage,
    draw_map,
    draw_sections,
    draw_shift_histograms,
    draw_shift_map,
    kernel_field,
    perturbation_field,
)
from seisflow.report.shifts import spread


@pytest.fixture
def rows(events, stations):
    rng = np.random.default_rng(5)
    found = []
    for band, size in (("10-30 s", 1.0), ("6-30 s", 0.4)):
        for event in events:
            for station in stations[::2]:
                for component in "ZT":
                    before = rng.normal(0.5 * size, size)
                    after = 0.3 * before
                    held = event.id in ("e07", "e08")
                    found.append(ShiftRow(event.id, station.id, component, band, before, after, held))
    return found


def drawn(axes, number):
    """How many values one histogram of the axes holds: its area over the width of a bin."""
    x, y = [p for p in axes.patches if isinstance(p, mpl.patches.Polygon)][number].get_xy().T
    area = abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
    return area / (np.ptp(axes.get_xlim()) / 40)


def test_histograms_by_band_component_and_use(rows, tmp_path):
    rows[0] = dataclasses.replace(rows[0], before=25.0)
    figure = draw_shift_histograms(rows, "region, iteration 3", ("m02", "m03"))
    panels = figure.axes
    assert len(panels) == 4 * 2 and [a.get_title() for a in panels[:2]] == ["Z", "T"]
    assert [a.get_ylabel().split("\n")[:2] for a in panels[::2]] == [
        ["10-30 s", "used"],
        ["10-30 s", "held out"],
        ["6-30 s", "used"],
        ["6-30 s", "held out"],
    ]
    before, after = (
        np.array(
            [getattr(r, side) for r in rows if (r.band, r.component, r.held_out) == ("10-30 s", "Z", False)]
        )
        for side in ("before", "after")
    )
    told = [text.get_text() for text in panels[0].get_legend().get_texts()]
    assert told == [
        f"{name}: {np.median(values):+.2f} ± {spread(values):.2f} s"
        for name, values in (("m02", before), ("m03", after))
    ]
    assert f"{before.size} windows" in texts(figure)
    beyond = np.abs(before) > panels[0].get_xlim()[1]
    assert beyond.any()  # and yet nothing is lost
    assert [drawn(panels[0], n) for n in (0, 1)] == pytest.approx([before.size, after.size])
    visible_inside(figure)
    check_png(figure, tmp_path / "shifts.png")


def test_histograms_of_one_side_only_and_of_nothing(rows, tmp_path):
    first = [dataclasses.replace(row, after=None) for row in rows[:40]]
    figure = draw_shift_histograms(first)
    assert len(figure.axes[0].get_legend().get_texts()) == 1
    with pytest.raises(InputError, match="measures no lag"):
        draw_shift_histograms([dataclasses.replace(row, before=None) for row in first])


def test_spread_is_the_standard_deviation_of_a_normal_distribution():
    values = np.random.default_rng(1).normal(3.0, 2.0, 20000)
    assert spread(values) == pytest.approx(2.0, rel=0.03)
    assert spread(np.append(values, [1e6] * 10)) == pytest.approx(2.0, rel=0.03)


def test_map_colours_paths_by_their_mean_late_is_red(rows, events, stations, models, tmp_path):
    figure = draw_shift_map(rows, events, stations, model=models[0], title="region", names=("m02", "m03"))
    maps = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert len(maps) == 4 and maps[0].get_title(loc="left").startswith("m02, 10-30 s: ")
    assert maps[3].get_title(loc="left").startswith("m03, 6-30 s: ")
    lines = next(c for c in maps[0].collections if isinstance(c, LineCollection))
    assert len(lines.get_segments()) == 9 * 12
    path = [r.before for r in rows if r.band == "10-30 s"]
    means = np.array(path).reshape(9 * 12, 2).mean(axis=1)
    last = lines.get_colors()[-1]  # the largest is on top
    red = last[0] > last[2]
    assert red == (means[np.argmax(np.abs(means))] > 0)
    dashed = [style for style in lines.get_linestyles() if style[1] is not None]
    assert len(dashed) == 2 * 12
    assert {"held out", "station: median", "event: median"} <= set(texts(figure))
    check_png(figure, tmp_path / "map.png")
    with pytest.raises(InputError, match="event e99"):
        draw_shift_map([dataclasses.replace(rows[0], event="e99")], events, stations)


def test_map_shows_stations_that_are_held_out(events, stations):
    figure = draw_map(events, stations, held_out={stations[0].id, "e01"})
    assert {"23 stations", "1 station held out", "8 events", "1 event held out"} <= set(texts(figure))


def test_coverage_fades_what_few_waves_have_seen(models, kernel, overlay, tmp_path):
    cover = coverage(kernel, 0.05)
    light = kernel.illumination / kernel.illumination.max()
    np.testing.assert_allclose(cover, light / 0.05)
    field = dataclasses.replace(perturbation_field(models[2], models[0], "vs"), coverage=cover)
    figure = draw_sections(field, [9e3], [Line((-140e3, 0.0), (140e3, 0.0))], overlay, "faded")
    image = figure.axes[0].images[0]
    np.testing.assert_allclose(image.get_alpha(), np.clip(cover[:, :, 3].T, 0, 1) ** 2)
    assert "edge of coverage" in texts(figure)
    visible_inside(figure)
    check_png(figure, tmp_path / "faded.png")
    with pytest.raises(InputError, match="must be positive"):
        coverage(kernel, 0.0)
    assert coverage(dataclasses.replace(kernel, illumination=None), 0.1) is None


def test_colour_scale_ignores_what_is_faded(models, kernel):
    values = np.where(kernel.illumination > 0.15 * kernel.illumination.max(), 1.0, 50.0)
    field = perturbation_field(models[2], models[0], "vs")
    field = dataclasses.replace(field, values=values, coverage=coverage(kernel, 0.3))
    norm = draw_sections(field, [], [Line((-140e3, 0.0), (140e3, 0.0))]).axes[0].images[0].norm
    assert norm.vmax < 50


def test_kernel_density_takes_the_volume_of_each_node(models, kernel):
    volume = np.full(kernel.grid.shape, 75e9)
    volume[:, :, -1] = 300e9
    field = kernel_field(kernel, models[1], "vs", volume)
    expected = 1e9 * kernel.vs[:, :, -1] / 300e9 * models[1].vs[:, :, -1]
    np.testing.assert_allclose(field.values[:, :, -1], expected)


def test_events_held_out_have_their_colour(models, events, stations):
    overlay = Overlay(models[0].projection, events, stations, held_out={events[0].id})
    assert overlay.is_held_out().sum() == 1
    field = perturbation_field(models[2], models[0], "vs")
    figure = draw_sections(field, [events[0].depth], [], overlay)
    assert "event held out" in texts(figure)
    shown = [line for line in figure.axes[0].get_lines() if line.get_color() == "#e69f00"]
    assert sum(len(line.get_xdata()) for line in shown) == 1


GRID = Grid((0.0, 0.0, 0.0), (1e3, 1e3, 1e3), (11, 21, 5))


@pytest.mark.parametrize(
    ("line", "inside"),
    [
        (Line((2e3, 3e3), (7e3, 15e3)), Line((2e3, 3e3), (7e3, 15e3))),
        (Line((-10e3, 5e3), (30e3, 5e3)), Line((0.0, 5e3), (10e3, 5e3))),
        (Line((-5e3, -5e3), (5e3, 5e3)), Line((0.0, 0.0), (5e3, 5e3))),
        (Line((8e3, 30e3), (8e3, 10e3)), Line((8e3, 20e3), (8e3, 10e3))),
    ],
)
def test_a_line_is_cut_at_the_edge_of_the_grid(line, inside):
    found = line.within(GRID)
    np.testing.assert_allclose([found.start, found.end], [inside.start, inside.end], atol=1e-6)


@pytest.mark.parametrize(
    "line", [Line((-5e3, 0.0), (-5e3, 9e3)), Line((20e3, 0.0), (30e3, 9e3)), Line((-9e3, 2e3), (2e3, -9e3))]
)
def test_a_line_beside_the_grid_is_refused(line):
    with pytest.raises(InputError, match="does not cross"):
        line.within(GRID)


def test_absolute_slices_have_the_scale_of_their_depth(models):
    from seisflow.report import model_field

    field = model_field(models[0], "vs")
    whole = draw_sections(field, [6e3], [Line((-140e3, 0.0), (140e3, 0.0))]).axes[0].images[0].norm
    slices = draw_sections(field, [6e3]).axes[0].images[0].norm
    assert (whole.vmin, whole.vmax) == (field.values.min(), field.values.max())
    assert slices.vmax - slices.vmin < 0.5 * (whole.vmax - whole.vmin)
