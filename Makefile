# Everything here sets up what it needs: on a fresh machine `make demo` or `make test` is enough.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= auto

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq -c constraints.txt
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all lint bench docs clean

help:  ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/installed  ## Train on bundled digits and photographs, and write a report
	$(BIN)/isthmus demo

test: $(VENV)/installed-dev  ## The tests, less the long ones
	$(PYTEST) -m "not long"

test-all: $(VENV)/installed-dev  ## All tests, with coverage
	$(PYTEST) --cov --cov-report=term

lint: $(VENV)/installed-dev  ## Style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

bench: $(VENV)/installed-bench  ## The benchmarks, which take long and go on where they were stopped
	for name in startup train scaling until recipes quality nested detect impute compress denoise restore; do $(BIN)/python -m benchmarks $$name || exit 1; done
	$(BIN)/python -m benchmarks recipes --quality

docs: $(VENV)/installed-dev  ## The generated pages, and all pages as a site in site/
	$(BIN)/python docs/generate.py
	$(BIN)/mkdocs build --strict

clean:  ## Remove caches and built pages; the environment stays
	rm -rf build dist site .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests docs examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# One stamp for each set of packages: nothing is installed twice.

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "Isthmus needs Python 3.11 or newer. Name one: make PYTHON=python3.12")'
	@echo "Setting up $(VENV). The first time, this takes a few minutes."
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/created
	$(PIP) -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/created
	$(PIP) -e '.[dev,docs,keras,hub,augment]'
	@touch $(VENV)/installed $@

$(VENV)/installed-bench: $(VENV)/installed-dev
	$(PIP) -e '.[benchmarks]'
	@touch $@
