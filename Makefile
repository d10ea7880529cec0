# Everything sets itself up: a Python from 3.11 on and make are enough.
PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venv-bench
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
BUILT_FROM := pyproject.toml hatch_build.py $(wildcard scalefit/inference/native/*.[ch])
BENCH_PIP := $(BENCH_VENV)/bin/python -m pip --disable-pip-version-check install --quiet

.PHONY: demo test verify bench readme clean

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

# The long promises; make test holds the quick ones. Every forecast and coverage it measures stands
# in verify-results/, the figures in tests/statistics/results.md. Fuzzing led by coverage needs
# atheris, which is not built for every Python and system: without it that part is skipped.
verify: $(VENV)/.installed-dev
	@$(PIP) 'atheris>=3,<4' || echo "no atheris for this Python: fuzzing led by coverage is skipped"
	$(BIN)/python -m pytest -m slow
	$(BIN)/python tests/statistics/results.py

# The side-by-side table of speed and quality, kept in benchmarks/results.md. FULL=1 runs the slow
# rivals whole instead of scaling them from a part.
bench: $(VENV)/.installed-dev $(BENCH_VENV)/.installed
	$(BIN)/python -m benchmarks --rivals $(BENCH_VENV)/bin/python $(if $(FULL),--full)

# Refresh what README.md generates: outputs of commands and tables of parts.
readme: $(VENV)/.installed-dev
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/cog -r README.md

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "scalefit needs Python 3.11 or later; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BUILT_FROM) | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-dev: $(BUILT_FROM) | $(VENV)/bin/python
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/.installed

# simple-scaling-laws asks for Python 3.12 but runs on 3.11.
$(BENCH_VENV)/.installed: benchmarks/rivals/requirements.txt | $(VENV)/bin/python
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_PIP) -r $<
	$(BENCH_PIP) --ignore-requires-python --no-deps simple-scaling-laws==0.2.0
	touch $@

clean:
	rm -rf $(VENV) $(BENCH_VENV) demo-results .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	rm -f scalefit/inference/native/*.so scalefit/inference/native/*.pyd
