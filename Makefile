# `make demo` and `make test` do all set-up on a fresh machine: Python 3.11 or later and make are enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check fmt faults bench docs system clean

demo: $(VENV)/.installed  ## the built-in lab, the main job, its history; cleans up after itself
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh docs/demo.sh

test: $(VENV)/.dev system  ## what CI runs
	$(BIN)/pytest -n 2 -m 'not faults' tests/core --cov --cov-report=term:skip-covered --cov-fail-under=100
	$(BIN)/pytest -n 4 -m 'not faults and not alone' --ignore=tests/core --durations=15
	$(BIN)/pytest -m 'alone and not faults' --ignore=tests/core

check: $(VENV)/.dev  ## lint, types, layers, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

faults: $(VENV)/.dev system  ## the fault catalogue with its full counts
	@sh tests/system.sh chromium
	$(BIN)/pytest -m faults -rA

bench: $(VENV)/.dev system  ## vigo beside its peers and the limit; writes docs/benchmarks.md. ARGS=--quick for a look
	$(BIN)/python -m bench $(ARGS)
	$(BIN)/python -m bench.guard

docs: $(VENV)/.dev  ## the pages and pictures that are generated
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/pictures.py

fmt: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

system:  # OpenSSH's server and the shells that the tests need; root on Debian only, elsewhere those tests are skipped
	@sh tests/system.sh

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.installed: pyproject.toml vigo/__init__.py
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(PIP) 'pip>=25.1'
	$(PIP) --group dev
	touch $@
