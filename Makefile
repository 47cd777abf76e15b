# Everything a newcomer needs: `make demo` and `make test`. Only Python 3.11+ and make have to be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# torch stays out of the environment that runs the product and its tests.
TRAIN := .venv-train
KAFKA ?=
DEMO_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-train truth check format lint types contracts chaos bench bench-models bench-roi bpic lock clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(READY) ## Create the environment in .venv

$(READY): pyproject.toml docker/requirements.lock
	@echo "== creating the environment in $(VENV) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet uv==0.13.9
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint docker/requirements.lock --editable '.[dev]'
	@touch $(READY)

$(TRAIN)/.ready: pyproject.toml docker/requirements.lock | $(READY)
	@echo "== creating the environment in $(TRAIN) (once; 5 GB on Linux)"
	@test -x $(TRAIN)/bin/python || $(PYTHON) -m venv $(TRAIN)
	@$(BIN)/uv pip install --quiet --python $(TRAIN)/bin/python --constraint docker/requirements.lock --editable '.[dev,train]'
	@touch $@

demo: $(READY) ## Run the whole line once on this machine and print what it saved (KAFKA=1: over a real broker)
	@$(BIN)/recoup demo $(if $(KAFKA),--kafka,) $(DEMO_FLAGS)

# Some shells forbid Python to keep what it compiles: then every worker compiles all tests anew.
test: $(READY) ## Every test but the long suites
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadscope --durations 25 tests --ignore tests/bench --ignore tests/train

test-train: $(TRAIN)/.ready ## What needs torch, in an environment of its own with the extra `train`
	@$(TRAIN)/bin/python -m pytest -n 0 tests/train

truth: $(READY) ## Simulate 2,000 deployments with known truth and see whether the figures hold it
	@$(BIN)/recoup truth --plot docs/truth.svg

check: format lint types contracts ## Format, lint, types and import contracts

format: $(READY)
	@$(BIN)/ruff format --check .

lint: $(READY)
	@$(BIN)/ruff check .

types: $(READY)
	@$(BIN)/mypy

contracts: $(READY)
	@$(BIN)/lint-imports

chaos: $(READY) ## Break everything in turn under load, over Kafka, and look for what is lost or doubled
	@$(BIN)/python -m tests.chaos.soak

bench: $(READY) ## Drain a backlog of 50,000 events, embedded and over Kafka
	@$(BIN)/python -m tests.bench.drain

bench-models: $(TRAIN)/.ready ## Compare models in int8 and torch, the cascade and one large model, on this machine
	@$(TRAIN)/bin/python -m tests.bench.models

bench-roi: $(READY) ## Ask every figure of 10 million ledger lines at 20 requests a second
	@$(BIN)/python -m tests.bench.roi.main

bpic: $(READY) ## Replay a public log of real handling and find the saving that is known (needs ../shared/data)
	@$(BIN)/python -m tests.bench.bpic

lock: $(READY) ## Pin every dependency anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-emit-package recoup --no-emit-index-url --no-annotate --upgrade pyproject.toml -o docker/requirements.lock

clean: ## Remove the environment and local data
	rm -rf $(VENV) $(TRAIN) .recoup build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
