"""Figures: what they show, and that they become whole files."""

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.image import imread

from seisflow.domain import Event, Force, MomentTensor, Projection, Station
from seisflow.errors import InputError
from seisflow.report import (
    Line,
    MisfitRow,
    Overlay,
    draw_iteration,
    draw_map,
    draw_misfit,
    draw_sections,
    draw_waveforms,
    kernel_field,
    model_field,
    perturbation_field,
    waveform_pages,
    write_png,
)
from seisflow.report.beachball import radiation
from seisflow.report.style import nice_limit, scale_bar_length


def texts(figure):
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def check_png(figure, path):
    """Written whole, of the right size, and with something on it."""
    write_png(figure, path, dots_per_inch=60)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    image = imread(path)[..., :3]
    wanted = np.array(figure.get_size_inches())[::-1] * 60
    np.testing.assert_allclose(image.shape[:2], wanted, atol=1.5)
    ink = np.mean(image.min(axis=2) < 0.98)
    assert 0.01 < ink < 0.95
    colours = np.unique((image * 15).astype(int).reshape(-1, 3), axis=0)
    assert len(colours) > 20
    return image


def visible_inside(figure):
    """All that is drawn lies within the page."""
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02, box


def test_misfit_shows_stages_curves_and_trials(misfit_rows, tmp_path):
    figure = draw_misfit(misfit_rows, "test region")
    axes = figure.axes[0]
    assert {"40–100 s", "28–100 s", "20–100 s", "test region", "events held out"} <= set(texts(figure))
    used = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert len(used) == 3
    np.testing.assert_array_equal(used[1].get_xdata(), [4, 5, 6, 7, 8])
    values = [row.used for row in misfit_rows if row.stage == "28–100 s"]
    np.testing.assert_allclose(used[1].get_ydata(), np.array(values) / values[0])
    crosses = sum(line.get_xdata().size for line in axes.get_lines() if line.get_marker() == "x")
    broken = sum(len(line.get_xdata()) for line in axes.get_lines() if line.get_marker() == "^")
    assert crosses == sum(max(len(row.trials) - 1, 0) for row in misfit_rows) - 1 and broken == 1
    assert axes.get_ylim()[1] > 1.3
    visible_inside(figure)
    check_png(figure, tmp_path / "misfit.png")


def test_misfit_of_one_model_can_be_drawn_and_of_none_not(misfit_rows, tmp_path):
    check_png(draw_misfit(misfit_rows[:1]), tmp_path / "first.png")
    with pytest.raises(InputError, match="no iteration"):
        draw_misfit([])
    with pytest.raises(InputError, match="must be positive"):
        draw_misfit([MisfitRow(0, "a", 0.0)])


def test_waveforms_show_stations_by_distance_windows_and_dead_traces(waveforms, tmp_path):
    event, observed, synthetic, rows = waveforms
    figure = draw_waveforms(event, observed, synthetic, rows, band=(10, 50), note="iteration 3")
    assert [axes.get_title() for axes in figure.axes] == ["Z", "R", "T"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    distances = [float(label.split()[1]) for label in labels]
    assert len(labels) == 24 and distances == sorted(distances)
    title = figure.texts[0].get_text()
    misfit = sum(row.value for row in rows)
    for part in ("event e00", "10–50 s", "iteration 3", f"{len(rows)} windows", f"misfit {misfit:.4g}"):
        assert part in title
    boxes = [c for axes in figure.axes for c in axes.collections if c.get_label() == "windows"]
    assert sum(len(collection.get_paths()) for collection in boxes) == len(rows)
    assert texts(figure).count("no recording") == 4
    assert f"{rows[0].shift:+.1f} s  {rows[0].correlation:.2f}" in texts(figure)
    limits = {axes.get_xlim() for axes in figure.axes}
    assert len(limits) == 1
    visible_inside(figure)
    check_png(figure, tmp_path / "waveforms.png")


def test_waveform_traces_keep_their_ratio(waveforms):
    event, observed, synthetic, _ = waveforms
    figure = draw_waveforms(event, observed, synthetic.with_data(0.5 * observed.data))
    heights = []
    for name in ("observed", "synthetic"):
        found = [c for c in figure.axes[0].collections if c.get_label() == name and c.get_alpha() == 1]
        heights.append(np.abs(found[0].get_segments()[0][:, 1]).max())  # the first row stands at 0
    assert heights[0] == pytest.approx(0.31, rel=0.01)
    assert heights[1] == pytest.approx(heights[0] / 2, rel=1e-6)


def test_recordings_of_unphysical_amplitude_are_still_compared(waveforms):
    event, observed, synthetic, _ = waveforms
    loud = observed.with_data(5e4 * observed.data)
    figure = draw_waveforms(event, loud, synthetic)
    plain = draw_waveforms(event, observed, observed.with_data(observed.data))
    legends = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any("synthetic, times 5" in text or "synthetic, times 4" in text for text in legends)
    assert "synthetic" in [text.get_text() for text in plain.legends[0].get_texts()]
    lines = [c for c in figure.axes[0].collections if c.get_label() == "synthetic" and c.get_alpha() == 1]
    assert max(np.ptp(segment[:, 1]) for segment in lines[0].get_segments()) > 0.2


def test_components_that_nobody_recorded_are_left_out(waveforms):
    event, observed, synthetic, _ = waveforms
    live = np.array(observed.live)
    live[:, 1:] = False
    figure = draw_waveforms(event, observed.with_data(observed.data, live=live), synthetic)
    assert [axes.get_title() for axes in figure.axes] == ["Z"]


def test_many_stations_take_pages(events, make_waveforms):
    stations = [Station("XX", f"M{n:03d}", 39 + 0.01 * n, 22 + 0.02 * n) for n in range(47)]
    event, observed, synthetic, rows = make_waveforms(events[1], stations)
    assert waveform_pages(observed) == 2
    first, second = (draw_waveforms(event, observed, synthetic, rows, page=page) for page in (0, 1))
    assert [len(figure.axes[0].get_yticklabels()) for figure in (first, second)] == [40, 7]
    assert "page 2 of 2" in second.texts[0].get_text()
    with pytest.raises(InputError, match="has 2 pages"):
        draw_waveforms(event, observed, synthetic, rows, page=2)


def test_waveforms_of_other_stations_or_times_are_refused(waveforms):
    event, observed, synthetic, _ = waveforms
    other = dataclasses.replace(synthetic, components=("Z", "N", "E"))
    with pytest.raises(InputError, match="same stations"):
        draw_waveforms(event, observed, other)
    with pytest.raises(InputError, match="no time in common"):
        draw_waveforms(event, observed, dataclasses.replace(synthetic, start=1e4))


def test_map_has_sources_paths_scale_and_the_right_aspect(events, stations, models, tmp_path):
    pairs = [(event.id, station.id) for event in events[:7] for station in stations[::2]]
    figure = draw_map(events, stations, pairs, held_out={"e07", "e08"}, model=models[0], title="Test region")
    axes = figure.axes[0]
    assert axes.get_aspect() == pytest.approx(1 / np.cos(np.radians(39.0)), rel=0.01)
    wanted = {"7 events", "2 events held out", "24 stations", "84 paths with windows", "50 km", "Test region"}
    assert wanted <= set(texts(figure))
    lines = next(c for c in axes.collections if isinstance(c, LineCollection))
    assert len(lines.get_segments()) == 84
    assert len([p for p in axes.patches if isinstance(p, mpl.patches.Circle)]) == 18
    names = [text for text in axes.texts if text.get_text() in {station.code for station in stations}]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in names]
    assert len(names) > 15
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    visible_inside(figure)
    check_png(figure, tmp_path / "map.png")


def test_map_of_one_station_a_force_and_nothing(stations, tmp_path):
    force = Event("push", 0.0, 39.0, 22.0, 0.0, Force(0, 0, 1.0))
    figure = draw_map([force], stations[:1])
    assert {"1 event", "1 station"} <= set(texts(figure))
    check_png(figure, tmp_path / "map.png")
    with pytest.raises(InputError, match="nothing to map"):
        draw_map([], [])
    with pytest.raises(InputError, match="event e99"):
        draw_map([force], stations, [("e99", stations[0].id)])


def test_radiation_has_the_sign_and_the_pattern_of_first_motions():
    thrust = MomentTensor(1.0, 0.0, -1.0, 0.0, 0.0, 0.0)
    x, y = np.array([0.0, 0.99, 0.0]), np.array([0.0, 0.0, 0.99])
    up = radiation(thrust, x, y)
    assert up[0] == pytest.approx(1.0) and up[1] < -0.9 and abs(up[2]) < 0.05
    strike_slip = MomentTensor(0.0, 0.0, 0.0, 0.0, 0.0, -1.0)
    quadrants = radiation(strike_slip, np.array([0.7, -0.7, 0.7, -0.7]), np.array([0.7, -0.7, -0.7, 0.7]))
    assert (np.sign(quadrants) == [1, 1, -1, -1]).all()
    mrt = radiation(MomentTensor(0.0, 0.0, 0.0, 1.0, 0.0, 0.0), np.zeros(2), np.array([0.5, -0.5]))
    assert mrt[0] > 0 > mrt[1]


LINES = (Line((-140e3, -60e3), (140e3, 70e3)), Line((0.0, -110e3), (0.0, 110e3)))


def test_sections_show_levels_lines_and_one_scale(models, overlay, tmp_path):
    field = perturbation_field(models[2], models[0], "vs")
    figure = draw_sections(field, [6e3, 12.4e3, 21e3, 33e3], LINES, overlay, "vs after iteration 8")
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 6 and len({image.norm for image in images}) == 1
    norm = images[0].norm
    assert norm.vmin == -norm.vmax and images[0].get_cmap()(0.0)[0] > images[0].get_cmap()(0.0)[2]
    wanted = {
        "depth 12.4 km",
        "A",
        "A′",
        "B",
        "B′",
        "vs perturbation (%)",
        "east (km)",
        "depth (km)",
        "station",
    }
    assert wanted <= set(texts(figure))
    level = figure.axes[1]
    share = 0.4 / 3  # 12.4 km lies between the levels at 12 and 15 km
    between = (1 - share) * field.values[:, :, 4] + share * field.values[:, :, 5]
    np.testing.assert_allclose(level.images[0].get_array(), between.T, atol=1e-12)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), field.values[:, :, 2].T)
    assert level.images[0].get_extent() == [-152.5, 152.5, -122.5, 122.5]
    assert level.get_aspect() == 1.0
    bottom, top = figure.axes[4].get_ylim()
    assert bottom == 60 and top == 0
    visible_inside(figure)
    check_png(figure, tmp_path / "sections.png")


def test_a_section_is_the_field_along_its_line(models):
    field = model_field(models[0], "vs")
    figure = draw_sections(
        field, [], [Line((-150e3, 0.0), (150e3, 0.0)), Line((-100e3, -100e3), (100e3, 100e3))]
    )
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), field.values[:, 24, :].T, rtol=1e-12)
    profile = figure.axes[1].images[0].get_array()
    np.testing.assert_allclose(profile - profile[:, :1], 0, atol=1e-9)
    assert "vs (km/s)" in texts(figure) and field.values.max() < 10
    scale = [text for text in texts(figure) if text.startswith("depth ×") or text == "true scale"]
    assert len(scale) == 2


def test_coverage_fades_and_a_kernel_is_per_volume(kernel, models, tmp_path):
    field = kernel_field(kernel, models[0], "vs")
    inside = kernel.vs[30, 24, 5] * models[0].vs[30, 24, 5] / (5 * 5 * 3)
    assert field.values[30, 24, 5] == pytest.approx(inside) and "1/km³" in field.label
    field = dataclasses.replace(field, coverage=np.minimum(1, 3 * kernel.illumination))
    figure = draw_sections(field, [9e3], LINES[:1])
    alpha = figure.axes[0].images[0].get_alpha()
    np.testing.assert_array_equal(alpha, field.coverage[:, :, 3].T ** 2)
    assert alpha.min() < 0.5
    check_png(figure, tmp_path / "kernel.png")


def test_sections_outside_the_grid_are_refused(models):
    field = model_field(models[0], "rho")
    for depths, lines, message in (
        ([], [], "nothing to draw"),
        ([70e3], [], "depth 70 km is outside"),
        ([], [Line((0.0, 0.0), (500e3, 0.0))], "outside the grid"),
        ([], [Line((0.0, 0.0), (0.0, 0.0))], "starts and ends"),
    ):
        with pytest.raises(InputError, match=message):
            draw_sections(field, depths, lines)
    with pytest.raises(InputError, match="coverage has shape"):
        dataclasses.replace(field, coverage=field.values[1:])


def test_constant_fields_can_be_drawn(models, tmp_path):
    flat = models[0].with_fields(vs=np.full(models[0].grid.shape, 3000.0))
    check_png(draw_sections(model_field(flat, "vs"), [3e3]), tmp_path / "flat.png")
    draw_sections(perturbation_field(flat, flat, "vs"), [3e3])


def test_iteration_page_shows_misfit_model_and_update(misfit_rows, models, overlay, tmp_path):
    figure = draw_iteration(misfit_rows, models, overlay=overlay, title="iteration 8")
    assert len([axes for axes in figure.axes if axes.images]) == 4
    wanted = {"vs against the start, depth 12 km", "last update of vs, depth 12 km", "station"}
    assert wanted <= set(texts(figure))
    images = [axes.images[0] for axes in figure.axes if axes.images]
    update = 100 * (models[2].vs / models[1].vs - 1)
    np.testing.assert_allclose(images[2].get_array(), update[:, :, 4].T, atol=1e-12)
    visible_inside(figure)
    check_png(figure, tmp_path / "iteration.png")


def test_same_input_same_file(misfit_rows, tmp_path):
    for name in ("a.png", "b.png"):
        write_png(draw_misfit(misfit_rows), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_drawing_leaves_the_settings_of_the_caller_alone(misfit_rows):
    before = dict(mpl.rcParams)
    draw_misfit(misfit_rows)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("values", "limit"), [([0.0, -2.7], 3.0), ([0.013], 0.015), ([0.0], 1.0), ([9.0], 10.0)]
)
def test_limits_are_round(values, limit):
    assert nice_limit(np.array(values), 100) == pytest.approx(limit)


@pytest.mark.parametrize(("span", "length"), [(350.0, 50.0), (1000.0, 200.0), (4.1, 1.0)])
def test_scale_bars_are_round(span, length):
    assert scale_bar_length(span) == pytest.approx(length)


def test_overlay_of_nothing_draws_nothing():
    empty = Overlay(Projection(39.0, 22.0))
    assert empty.event_places().shape == (0, 3) and empty.station_places().shape == (0, 3)
