# Everything sets itself up: a Python from 3.11 on and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: demo test verify readme clean

demo: $(VENV)/.installed
	$(BIN)/scalefit check data/chinchilla-subset/runs.csv
	$(BIN)/scalefit fit --config configs/isoflop.toml
	$(BIN)/scalefit compare --config configs/learning-curve.toml
	$(BIN)/scalefit report --config configs/chinchilla.toml -o demo-results

test: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/cog --check README.md
	$(BIN)/python -m pytest -n 2

# The long promises; make test holds the quick ones.
verify: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

# Refresh what README.md generates: outputs of commands and tables of parts.
readme: $(VENV)/.installed-dev
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/cog -r README.md

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "scalefit needs Python 3.11 or later; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) demo-results .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
