# Every target works from a fresh clone: those that need the virtual environment or the broker set them up first.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup mosquitto postgres demo test lint types arch vectors asyncapi openapi settings check bench otherwise density \
  lock clean

# Some containers set it. Each of the hundreds of processes that tests start would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCUST := .venv-locust

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.project mosquitto postgres ## make the virtual environment, and install Mosquitto and PostgreSQL if missing

demo: $(VENV)/.project mosquitto ## run the main job: real histories, a real broker, 500 phones that lock and open
	$(BIN)/paylatch demo

test: setup ## run all tests, on all cores
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.project ## check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.project ## check types (mypy strict)
	$(BIN)/mypy

arch: $(VENV)/.project ## check the import contracts
	$(BIN)/lint-imports

vectors: $(VENV)/.project ## check that the generator still makes the committed golden vectors
	$(BIN)/python -m vectors.generate --check

asyncapi: $(VENV)/.project ## write docs/asyncapi.yaml anew from the code
	$(BIN)/python -m broker_bridge.adapters.mqtt.document docs/asyncapi.yaml

openapi: $(VENV)/.project ## write docs/openapi.json anew from the routes; a test finds that it is due
	$(BIN)/python -m broker_bridge.adapters.http.document docs/openapi.json

settings: $(VENV)/.project ## write docs/settings.md anew from the code; a test finds that it is due
	$(BIN)/python -m broker_bridge.settings_document docs/settings.md

check: lint types arch vectors test ## lint, types, arch, vectors and test: what CI runs

bench: $(VENV)/.project ## measure the core, in processor time: codec, signing, verifying, accepting, a phone's step
	$(BIN)/pytest --benchmark-timer=time.process_time --benchmark-columns=median,iqr,ops --benchmark-sort=fullname \
	  --quiet benchmarks/bench_*.py

otherwise: $(VENV)/.project mosquitto ## measure Paylatch against what one would otherwise write in Python
	$(BIN)/python benchmarks/otherwise.py

density: $(VENV)/.project $(LOCUST)/.created mosquitto ## measure Paylatch's simulated phones against Locust's users
	$(BIN)/python benchmarks/density.py --locust $(LOCUST)/bin/locust

lock: $(VENV)/.project ## write requirements.txt anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-config --no-emit-index-url --quiet --custom-compile-command "make lock" --output-file requirements.txt

clean: ## remove the virtual environment and everything generated
	rm -rf $(VENV) $(LOCUST) build dist .coverage .coverage.* htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

mosquitto:
	@deploy/install-mosquitto.sh

postgres:
	@deploy/install-postgres.sh

# Three stamps, each stale only when its own inputs changed, so that a second `make` does no work.

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Paylatch needs Python 3.11 or later; {sys.executable} is {v.major}.{v.minor}. Name another one: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv --clear $(VENV) || { echo "Python's venv module does not work here. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.requirements: requirements.txt $(VENV)/.created
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.project: pyproject.toml $(VENV)/.requirements
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Only what is compared with: it shares nothing with ours, so that neither has to fit the other's versions.
$(LOCUST)/.created:
	@$(PYTHON) -m venv --clear $(LOCUST)
	@$(LOCUST)/bin/python -m pip install --quiet --disable-pip-version-check 'locust[mqtt]>=2.47,<3'
	@touch $@
