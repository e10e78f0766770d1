"""The configuration: what is refused, how it is said, and what is the same."""

import hashlib
from importlib.resources import files
from pathlib import Path

import pytest
import tiny
import tiny_network
import yaml

from seisflow.config import Config, digest
from seisflow.config_file import load
from seisflow.errors import ConfigError, InputError, MissingError

TEMPLATE = files("seisflow.data") / "template" / "seisflow.yaml"
REQUIRED = (
    "name", "region.latitude", "region.longitude", "region.width", "region.height", "region.depth",
    "region.spacing", "data.duration", "data.interval", "stages.0.periods",
)  # fmt: skip


def write(folder: Path, text: str) -> Path:
    path = folder / "seisflow.yaml"
    path.write_text(text)
    return path


def fault(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as error:
        load(write(folder, text))
    return str(error.value)


def test_all_faults_are_told_at_once_with_line_and_nearest_key(tmp_path):
    text = tiny.CONFIG.replace("name: tiny", "nmae: tiny").replace("duration: 36", "duration: -36")
    text = text.replace("source_mask", "sauce_mask").replace("iterations: 3", "iterations: three")
    found = fault(tmp_path, text).splitlines()
    assert found[0] == f"{tmp_path / 'seisflow.yaml'}: 5 faults"
    told = "\n".join(found[1:])
    assert "line 1: name: is missing" in told
    assert "line 1: nmae: is not known; did you mean `name`?" in told
    assert "line 3: data.duration" in told and "found -36" in told
    assert "line 6: stages.0.iterations" in told and "'three'" in told
    assert "sauce_mask: is not known; did you mean `source_mask`?" in told
    assert len(found) == 6


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("width: 40000", "width: 4000000", "use a smaller region"),
        ("width: 40000", "width: .nan", "region.width"),
        ("depth: 16000", "depth: .inf", "region.depth"),
        ("latitude: 38.0", "latitude: 138.0", "found 138.0"),
        ("periods: [6, 20]", "periods: [20, 6]", "the shortest, then the longest period"),
        ("periods: [6, 20]", "periods: [6, 200]", "needs at least 300 s of seismogram, found 4"),
        ("periods: [6, 20]", "periods: [1, 20]", "cannot hold a period of 1 s"),
        ("{kind: waveform}", "{kind: wavefrom}", "waveform"),
        ("kind: elastic3d", "kind: elastic4d", "elastic3d"),
        ("points_per_wavelength: 6", "points_per_wavelength: 2", "at least 4"),
        ("max_trials: 3", "max_trials: 0", "at least 1"),
        ("cores: 2", "cores: 0", "compute.cores"),
        ("hold_out: [h1]", "hold_out: h1", "hold_out"),
        ("duration: 36", "duration: 36, smoothing: [1, 1, 1]", "did you mean `stages.smoothing`"),
        ("name: tiny", "name: [", "line "),
        ("start: -8", "start: 50", "end must follow the start"),
    ],
)
def test_a_bad_value_is_a_sentence(tmp_path, old, new, told):
    assert old in tiny.CONFIG
    found = fault(tmp_path, tiny.CONFIG.replace(old, new, 1))
    assert str(tmp_path / "seisflow.yaml") in found
    assert "line " in found
    assert told in found


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "a: &x [*x]\n"])
def test_files_that_hold_no_settings(tmp_path, text):
    assert "seisflow.yaml" in fault(tmp_path, text)


def test_a_file_that_is_not_text_or_not_there(tmp_path):
    path = tmp_path / "seisflow.yaml"
    with pytest.raises(MissingError, match="seisflow init"):
        load(path)
    path.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(ConfigError, match="not a text file"):
        load(path)


def test_tags_of_yaml_build_no_objects(tmp_path):
    flag = tmp_path / "flag"
    text = f"name: !!python/object/apply:os.mkdir ['{flag}']\n"
    assert "is not YAML" in fault(tmp_path, text)
    assert not flag.exists()


def test_a_key_that_is_given_twice_is_refused(tmp_path):
    told = fault(tmp_path, tiny.CONFIG + "name: other\n")
    assert "line 17: name: is given twice, first on line 1" in told
    told = fault(tmp_path, tiny.CONFIG.replace("duration: 36", "duration: 36, duration: 40"))
    assert "line 3: duration: is given twice" in told


def test_the_template_is_short_and_has_ten_required_keys():
    text = TEMPLATE.read_text()
    assert len(text.splitlines()) <= 60
    assert text.count("# *") == len(REQUIRED)
    values = yaml.safe_load(text)
    Config.model_validate(values)
    for key in REQUIRED:
        broken = yaml.safe_load(text)
        node = broken
        *above, last = (int(part) if part.isdigit() else part for part in key.split("."))
        for part in above:
            node = node[part]
        del node[last]
        with pytest.raises(ValueError, match=last):
            Config.model_validate(broken)


def test_nothing_else_is_required(tmp_path):
    text = (
        "name: n\nregion: {latitude: 1, longitude: 2, width: 9000, height: 9000, depth: 9000, "
        "spacing: [900, 900, 900]}\ndata: {duration: 60, interval: 1}\nstages: [{periods: [10, 20]}]\n"
    )
    config = load(write(tmp_path, text))
    assert config.solver.kind == "elastic3d" and config.stages[0].misfit.kind == "cc_traveltime"


def test_what_is_written_out_with_all_defaults_reads_back_the_same(tmp_path):
    config = load(write(tmp_path, tiny.CONFIG))
    again = load(write(tmp_path, config.text()))
    assert again == config


def test_the_digest_depends_on_values_only(tmp_path):
    config = load(write(tmp_path, tiny.CONFIG))
    shuffled = "".join(reversed([line for line in tiny.CONFIG.splitlines(True) if line[0] not in " s"]))
    stages = tiny.CONFIG[tiny.CONFIG.index("stages") : tiny.CONFIG.index("inversion")]
    other = load(write(tmp_path, shuffled + "# a comment\n" + stages))
    assert digest(config) == digest(other)
    changed = load(write(tmp_path, tiny.CONFIG.replace("source_mask: 3000", "source_mask: 3001")))
    assert digest(config) != digest(changed)
    assert digest({"b": 1, "a": [1.5, None]}) == digest({"a": [1.5, None], "b": 1})
    assert digest("a", 1) == hashlib.sha256(b'["a", 1]').hexdigest()


def test_stages_and_their_iterations(tmp_path):
    config = load(write(tmp_path, tiny.CONFIG))
    assert config.iterations == 5
    assert [config.stage_of(number) for number in (1, 3, 4, 5)] == [(0, 0), (0, 2), (1, 0), (1, 1)]
    with pytest.raises(InputError, match="hold 5 iterations"):
        config.stage_of(6)
    with pytest.raises(InputError):
        config.stage_of(0)


@pytest.mark.parametrize(
    ("cores", "at_once", "events", "shared"),
    [
        (8, None, 3, (3, 2)), (2, None, 9, (2, 1)), (4, 1, 9, (1, 4)), (4, 3, 9, (3, 1)), (1, 4, 9, (1, 1)),
    ],
)  # fmt: skip
def test_cores_are_shared_without_oversubscription(tmp_path, cores, at_once, events, shared):
    compute = f"cores: {cores}" + (f", events_at_once: {at_once}" if at_once else "")
    config = load(write(tmp_path, tiny.CONFIG.replace("cores: 2", compute)))
    found = config.compute.share(events)
    assert found == shared
    assert found[0] * found[1] <= cores


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("separation: 3", "separation: .nan", "line 12: detection.separation: .nan is no number"),
        (
            "[1000, 1000, 1000], width",
            "[1000, .NaN, 1000], width",
            "detection.search.spacing.1: .NaN is no number",
        ),
        ("width: 10000", "width: -10000", "detection.search: search: width = -10000 m must be positive"),
        ("relocation: {}", "neighbours: {max_distance: 0}", "detection.neighbours: max_distance = 0 m"),
        ("relocation: {}", "neighbours: {most: -1}", "most = -1 must be positive"),
        ("relocation: {}", "relocation: {zzz: 1}", "known here: stages, min_links"),
    ],
)
def test_what_a_search_would_stumble_over_later_is_told_when_it_is_read(tmp_path, old, new, told):
    """Not after the days are searched, as a number that cannot be converted; and no key of ours is offered."""
    assert old in tiny_network.CONFIG
    assert told in fault(tmp_path, tiny_network.CONFIG.replace(old, new, 1))
