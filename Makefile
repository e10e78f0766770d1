# The doors of the project. Each sets up what it needs.
.PHONY: demo test test-all lint bench setup clean
UV_VERSION = 0.13.8
VENV ?= .venv
BIN = $(VENV)/bin
export UV_PYTHON_DOWNLOADS = never

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt kernels/CMakeLists.txt $(wildcard kernels/c/*.c kernels/include/*.h)
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install -q uv==$(UV_VERSION)
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[dev]'
	touch $@

test: setup
	$(BIN)/python -m pytest -q -m "not slow" -n 2

test-all: setup
	$(BIN)/python -m pytest -q

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror kernels/c/*.c kernels/include/*.h
