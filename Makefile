# The doors of the project. Each sets up what it needs: python3 (3.11 or newer, with venv) and a C compiler are enough.
.PHONY: demo test test-all soak lint bench verify setup mpi clean
UV_VERSION = 0.13.8
VENV ?= .venv
DEMO ?= demo
BIN = $(VENV)/bin
PYTHON ?= python3
export UV_PYTHON_DOWNLOADS = never
SOURCES = $(wildcard kernels/c/*.c kernels/c/*.h kernels/include/*.h)
CUDA = $(wildcard kernels/cuda/*.cu)

setup: $(VENV)/.ready

# a change of a C source builds the kernels again; Python sources are used as they stand
$(VENV)/.ready: pyproject.toml constraints.txt kernels/CMakeLists.txt $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt --reinstall-package seisflow -e '.[dev]'
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt --target $(VENV)/mpi mpi4py
	touch $@

# h5py against the MPI build of HDF5, in a folder that only processes started by mpiexec look into; minutes.
# Debian: apt-get install openmpi-bin libopenmpi-dev libhdf5-openmpi-dev
HDF5_DIR ?= /usr/lib/x86_64-linux-gnu/hdf5/openmpi
MPICC ?= mpicc
mpi: $(VENV)/mpi/h5py/.ready

$(VENV)/mpi/h5py/.ready: $(VENV)/.ready
	test -d $(HDF5_DIR) || { echo "no parallel HDF5 in HDF5_DIR=$(HDF5_DIR)"; exit 1; }
	test -x $(VENV)/mpi-build/bin/python || $(PYTHON) -m venv $(VENV)/mpi-build
	$(BIN)/uv pip install -q --python $(VENV)/mpi-build/bin/python -c constraints.txt numpy mpi4py 'cython>=3,<4' pkgconfig 'setuptools>=77' wheel packaging
	CC=$(MPICC) HDF5_MPI=ON HDF5_DIR=$(HDF5_DIR) $(BIN)/uv pip install -q --python $(VENV)/mpi-build/bin/python -c constraints.txt \
	  --target $(VENV)/mpi --no-deps --no-binary h5py --no-build-isolation h5py
	PYTHONPATH=$(VENV)/mpi $(BIN)/python -c "import h5py; assert h5py.get_config().mpi"
	touch $@

# the main job: five iterations of adjoint tomography in two period bands, and what they gained
demo: setup
	test -f $(DEMO)/seisflow.yaml || $(BIN)/seisflow init $(DEMO) --example checkerboard
	$(BIN)/seisflow iterate --project $(DEMO) --iteration 1 --through 5
	$(BIN)/seisflow gain --project $(DEMO)
	@echo "look at $(DEMO)/pictures/truth_vs_m05.png"

test: setup
	$(BIN)/python -m pytest -q -m "not slow" -n 2

test-all: setup
	$(BIN)/python -m pytest -q

# faults, one after the other, with many kills; real Slurm too where one answers (tests/cluster/slurm.sh up). Hours.
soak: setup
	SEISFLOW_KILLS=50 $(BIN)/python -m pytest -q tests/faults tests/schedulers tests/workflows tests/test_security.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror $(SOURCES) $(CUDA)

# the peers live in an environment of their own
$(VENV)-peers/.ready: benchmarks/peers.txt
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install -q --disable-pip-version-check -r benchmarks/peers.txt
	touch $@

bench: setup $(VENV)-peers/.ready
	$(BIN)/python benchmarks/elastic3d.py --devito-python $(VENV)-peers/bin/python
	$(BIN)/python benchmarks/engine_overhead.py

# every case of the verification suite; writes docs/verification.md and its pictures
verify: setup
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt 'disba>=0.7'
	$(BIN)/python benchmarks/verify

clean:
	rm -rf build dist $(DEMO)
