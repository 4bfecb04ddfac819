# Everything is run from here; `make help` lists the targets. The only tools needed beforehand are make and Python.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# A worker takes whole files, in the order of tests/conftest.py: the long ones first.
WHOLE_FILES := --dist loadfile --no-loadscope-reorder
# One more than there are cores: tests wait for timers and other processes as much as for the processor.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
UV_VERSION := 0.13.9
# pip is taken as it comes with Python: it neither upgrades itself nor speaks of it.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The tests start hundreds of programs: none need compile the sources again, whatever the caller's environment says.
unexport PYTHONDONTWRITEBYTECODE

APT_LINE := apt-get install make python3-venv

.DEFAULT_GOAL := help
.PHONY: .venv bench docs format fuzz help lint lock run soak test test-fast

help:  ## list the targets
	@sed -n 's/^\([a-z.][a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

.venv: .venv/.installed  ## the virtual environment, from requirements.lock and nothing else

.venv/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "wagate needs Python 3.11 or newer; $(PYTHON) is not. Name another: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: $(APT_LINE)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@touch $@

.venv/.installed: .venv/.locked pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index -e .
	@touch $@

run: .venv/.installed  ## start the gateway on 127.0.0.1:8080, data in ./data
	$(BIN)/wagate serve

test: lint  ## everything: style, types, every test (PostgreSQL's where its programs are found)
	$(PYTEST) -m "not long" -n $(WORKERS) $(WHOLE_FILES)

test-fast: .venv/.installed  ## the inner loop: no slow tests, no PostgreSQL, stops at the first failure
	$(PYTEST) -m "not slow and not long and not postgres" -x -n $(WORKERS) $(WHOLE_FILES)

lint: .venv/.installed  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src

format: .venv/.installed  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.installed  ## write the pages that are printed from the code
	$(BIN)/python -m tests.docs

fuzz: .venv/.installed  ## the property tests with many more examples
	HYPOTHESIS_PROFILE=fuzz $(PYTEST) -m fuzz --timeout 1800

bench: .venv/.installed  ## measure the workloads of docs/benchmarks.md
	$(BIN)/python -m bench

soak: .venv/.installed  ## the long runs: what waits in real time, kill everything for 5 minutes, send for 30
	$(PYTEST) -m long --timeout 300
	$(BIN)/python -m bench.soak

# One lock for every platform and Python ≥ 3.11, with hashes and without addresses. uv lives in an environment of its own.
lock:  ## resolve requirements.lock anew from pyproject.toml
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv==$(UV_VERSION)
	.venv-lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --all-extras --upgrade --quiet --custom-compile-command "make lock" \
	  --output-file requirements.lock pyproject.toml requirements-build.in
