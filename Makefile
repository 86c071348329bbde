# make demo   set up, then run the main job on the sample study
# make test   set up, then run the tests
# make check  format, lint, types, import floors, tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_OUT := demo-out
# The network is small: more threads than cores only spin.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test test-slow check format lint types imports setup clean

demo: setup
	$(BIN)/liverimg inspect sample_dicom/pre_ct
	$(BIN)/liverimg pre sample_dicom/pre_ct --out $(DEMO_OUT)/pre_ct
	$(BIN)/liverimg validate $(DEMO_OUT)/pre_ct/measurements.json

test: setup
	$(BIN)/python -m pytest -q -n auto --maxprocesses 8 -m "not slow"

test-slow: setup
	$(BIN)/python -m pytest -q -m slow

check: setup format lint types imports
	$(BIN)/python -m pytest -q -m "not slow" --cov --cov-report=term:skip-covered

format: setup
	$(BIN)/ruff format --check .

lint: setup
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

setup: $(READY)

# Torch goes first and alone, so that nothing later replaces it: the CPU build, from the package index where it has
# one, else from PyTorch's own; without either, what the package index has (gigabytes of CUDA, but it works).
TORCH := $(shell grep '^torch==' constraints.txt)
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "$(TORCH)+cpu" 2>/dev/null \
	  || $(BIN)/python -m pip install --quiet --constraint constraints.txt --extra-index-url $(TORCH_CPU_INDEX) "$(TORCH)+cpu" \
	  || $(BIN)/python -m pip install --quiet --constraint constraints.txt "$(TORCH)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,train]"
	touch $(READY)

clean:
	rm -rf $(VENV) $(DEMO_OUT)
