# make demo   set up, then run the main job on the sample study
# make test   set up, then run the tests
# make check  format, lint, types, import floors, tests
# make docs   the documentation as a site in site/; any broken link fails
# make reference, make pictures   what the documentation takes from code, data and the sample
# make wheel, make sbom, make audit   the package, what is in it, and what is known against that

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_OUT := demo-out
CONTAINERS ?= podman
# The network is small: more threads than cores only spin.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test test-slow check format lint types imports docs reference pictures wheel sbom audit image setup clean

demo: setup
	$(BIN)/liverimg inspect sample_dicom/pre_ct
	$(BIN)/liverimg pre sample_dicom/pre_ct --out $(DEMO_OUT)/pre_ct
	$(BIN)/liverimg validate $(DEMO_OUT)/pre_ct/measurements.json

# A file's tests stay in one process, so that what they share is made once, and each process keeps to one thread.
PARALLEL := -n auto --maxprocesses 8 --dist loadscope --no-loadscope-reorder

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(PARALLEL) -m "not slow"

test-slow: setup
	$(BIN)/python -m pytest -q $(PARALLEL) -o timeout=1200 -m slow

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

docs: reference $(VENV)/.docs
	$(BIN)/properdocs build --strict --quiet --config-file mkdocs.yml

reference: setup
	$(BIN)/python -m tools.reference

# Of the sample only; wants Chromium.
pictures: setup
	$(BIN)/python -m tools.pictures

wheel: setup
	$(BIN)/python -m hatchling build --target wheel --target sdist

sbom: $(VENV)/.audit
	$(BIN)/python -m tools.sbom dist/liverimg.cdx.json

# Wants the package index's advisories; says so and fails where it can't be asked.
audit: $(VENV)/.audit
	$(BIN)/python -m tools.audit

image:
	$(CONTAINERS) build --target run --tag liverimg --file Containerfile .

setup: $(READY)

# Tools that only some need, in the same environment.
$(VENV)/.docs $(VENV)/.audit: $(VENV)/.%: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$*]"
	touch $@

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
	rm -rf $(VENV) $(DEMO_OUT) site dist
