"""Every CUDA source compiles as at run time, for three architectures, and takes no more of a GPU than is stated."""

import pytest

from seisflow.native.device import options
from tests.cuda_shim import nvrtc
from tests.cuda_shim.device import kernels_of

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


def test_every_kernel_has_a_bound():
    for stem in VARIANTS:
        assert {name for name, _ in kernels_of(stem)} <= set(MOST)
