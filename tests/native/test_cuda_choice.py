"""Which GPU a process takes."""

import pytest

from seisflow.errors import InputError
from seisflow.native import cuda
from seisflow.native.cuda import GpuFacts, _Gpu

NAMES = ("SEISFLOW_GPU", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")


@pytest.fixture
def number(monkeypatch):
    """The number that is chosen of three GPUs, in an environment."""
    free = [10, 80, 40]
    gpus = tuple(_Gpu(f"GPU {n}", "9.0", each, 100) for n, each in enumerate(free))
    monkeypatch.setattr(cuda, "gpu_facts", lambda: GpuFacts("14.2.0", "13.0", "13.0", gpus))
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)

    def choose(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        cuda._number.cache_clear()
        try:
            return cuda._number()
        finally:
            cuda._number.cache_clear()

    return choose


def test_the_emptiest_if_nothing_is_said(number):
    assert number() == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_one_of_its_place_on_the_machine(name, number):
    assert number(**{name: "2"}) == 2


def test_what_is_said_comes_first(number):
    assert number(SLURM_LOCALID="2", SEISFLOW_GPU="0") == 0


def test_a_word_is_no_number(number):
    with pytest.raises(InputError, match="SEISFLOW_GPU = 'first'"):
        number(SEISFLOW_GPU="first")
