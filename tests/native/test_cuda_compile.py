"""Every CUDA source compiles as at run time, for three architectures, and takes no more of a GPU than is stated."""

import re
import shutil
import subprocess

import pytest

from seisflow.native.device import cuda_source, options
from tests.cuda_shim import nvrtc
from tests.cuda_shim.device import COMPILER, HERE, kernels_of

NVCC = shutil.which("nvcc")
LIBRARY, REASON = nvrtc.library()
VARIANTS = {
    "beam": [{}, {"HALF": 1}],
    "matched_filter": [{}],
    "elastic3d": [{"ELASTIC3D_ORDER": order, "REAL_BITS": bits} for order in (4, 8) for bits in (32, 64)]
    + [{"ELASTIC3D_ORDER": order, "LOSS": 1} for order in (4, 8)],
    "signal": [{"SECTIONS": 4}, {"SECTIONS": 10}],
    "features": [{}],
}
"""What the sources are compiled with; double precision is for tests."""
MOST = {
    "beam_screen": 64,  # registers: a block has 1024 threads, and a multiprocessor 65536 registers
    "beam_exact": 64,
    "beam_pattern": 64,
    "filter_direct": 128,  # two blocks of 256 threads
    "filter_norms": 64,
    "filter_energy": 64,
    "filter_shapes": 64,
    "filter_gather": 64,
    "filter_precise": 72,
    "filter_share": 64,
    "filter_levels": 64,
    "filter_peaks": 64,
    "elastic_velocity": 128,
    "elastic_stress": 128,
    "elastic_correlate": 128,
    "elastic_inject": 64,
    "elastic_record": 96,  # one warp a block
    "elastic_keep": 64,
    "elastic_look": 64,
    "elastic_tick": 64,
    "signal_mean": 64,
    "signal_interpolate": 80,
    "signal_sections": 192,  # one warp a block; ten sections, twice what is usual, keep their states
    "signal_carry": 128,
    "signal_place": 64,
    "signal_turn": 64,
    "feature_energy": 64,
    "feature_ratio": 64,
    "feature_kurtosis": 80,
    "feature_rise": 80,
    "feature_levels": 80,
    "feature_finish": 64,
}
DOUBLE = [{"ELASTIC3D_ORDER": order, "REAL_BITS": 64} for order in (4, 8)]
CASES = [
    pytest.param(stem, variant, architecture, marks=[pytest.mark.slow] if variant in DOUBLE else [])
    for stem, variants in VARIANTS.items()
    for variant in variants
    for architecture in (75, 80, 90)
]


@pytest.mark.skipif(LIBRARY is None, reason=str(REASON))
@pytest.mark.parametrize(("stem", "variant", "architecture"), CASES, ids=str)
def test_compiles_without_spills(stem, variant, architecture):
    usage, cubin = nvrtc.compile_for(stem, architecture, options(**variant))
    assert set(usage) == {name for name, _ in kernels_of(stem)}
    assert cubin[:4] == b"\x7fELF"
    for name, (registers, _, stores, loads) in usage.items():
        assert stores == loads == 0, f"{name} spills {stores} bytes for sm_{architecture}"
        assert registers <= MOST[name], f"{name} takes {registers} registers for sm_{architecture}"


@pytest.mark.slow
@pytest.mark.skipif(NVCC is None, reason="no nvcc")
@pytest.mark.parametrize("architecture", [75, 80, 90])
@pytest.mark.parametrize("stem", VARIANTS)
def test_compiles_with_nvcc_too(stem, architecture, tmp_path):
    command = [
        NVCC,
        "-std=c++17",
        f"-arch=sm_{architecture}",
        "-cubin",
        "-Xptxas",
        "-v",
        "-o",
        tmp_path / "made.cubin",
    ]
    source = tmp_path / f"{stem}.cu"
    source.write_text(cuda_source(stem))
    done = subprocess.run([*command, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    stores = [int(n) for n in re.findall(r"(\d+) bytes spill stores", done.stderr)]
    assert len(stores) == len(kernels_of(stem))
    assert not any(stores)


def narrowed(stem, text, folder):
    """What g++ says about numbers that lose bits in a source: an index of a large array would be wrong."""
    (folder / "shim").mkdir(exist_ok=True)
    (folder / "shim" / "cuda_shim.h").write_text((HERE / "cuda_shim.h").read_text())
    source = folder / f"{stem}.cpp"
    source.write_text(f"#include <cuda_shim.h>\n{text}")
    flags = ["-std=c++17", "-fsyntax-only", "-Wconversion", "-Wno-sign-conversion", "-Wno-float-conversion"]
    done = subprocess.run(
        [COMPILER, *flags, "-isystem", folder / "shim", source], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if "[-Wconversion]" in line]


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler (g++)")
@pytest.mark.parametrize("stem", VARIANTS)
def test_no_index_is_narrowed_unseen(stem, tmp_path):
    text = cuda_source(stem)
    assert not narrowed(stem, text, tmp_path)
    wrong = text + "\nDEVICE int32_t wrong(int64_t i) { int32_t k = i * 4; return k; }\n"
    assert len(narrowed(stem, wrong, tmp_path)) == 1


def test_every_kernel_has_a_bound():
    for stem in VARIANTS:
        assert {name for name, _ in kernels_of(stem)} <= set(MOST)
