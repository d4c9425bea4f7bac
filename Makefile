# Two commands: `make run` and `make test`. Both need Python 3.11 and bring the rest themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(shell find protos -name '*.proto' 2>/dev/null)
MARKS ?= not system and not full
ARGS ?=
BASE ?= $(shell git rev-parse --quiet --verify origin/main || git rev-parse HEAD)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help run test test-full chaos lint breaking gen bench bench-compare lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run gen/contract.binpb ## Start the whole platform; Ctrl-C stops it
	@exec $(BIN)/kith up $(ARGS)

test: $(VENV)/test gen/contract.binpb ## Run the quick tests (ARGS="tests/unit -x" narrows them)
	$(BIN)/python -m pytest -n auto --dist loadfile -m "($(MARKS)) and not chaos" $(ARGS)

test-full: MARKS := not system
test-full: test ## Run the long tests too

chaos: $(VENV)/test gen/contract.binpb ## Kill processes under load, 500 times, and let NATS hang for a minute (KITH_CHAOS_KILLS=12 KITH_CHAOS_HUNG=5 for less)
	$(BIN)/python -m pytest -m chaos tests/chaos $(ARGS)

lint: $(VENV)/test gen/contract.binpb ## Check style, types, imports between rooms and the contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint gen/contract.binpb
	$(BIN)/buf format protos --diff --exit-code
	$(BIN)/python -m pytest -q tests/contract
	@$(MAKE) --no-print-directory breaking

breaking: $(VENV)/test gen/contract.binpb ## Compare the contract with the one of BASE (origin/main) for what would break a client
	@then=$$(mktemp -d) && trap 'rm -rf "$$then"' EXIT && git archive $(BASE) protos | tar -x -C "$$then" && \
	$(BIN)/python -m stack.generate "$$then/protos" "$$then/gen" && \
	$(BIN)/buf breaking gen/contract.binpb --against "$$then/gen/contract.binpb" && \
	$(BIN)/python -m stack.contract_check --against "$$then/gen/contract.binpb"

gen: $(VENV)/run ## Generate code from the contract
	$(BIN)/python -m stack.generate

bench: $(VENV)/test gen/contract.binpb ## Measure load and cost beside a monolith of the usual kind
	$(BIN)/python -m bench.run $(ARGS)

bench-compare: $(VENV)/run ## Show the ratios of two results of the bench (A=bench/results/x.json B=bench/results/y.json)
	$(BIN)/python -m bench.compare $(A) $(B)

lock: $(VENV)/test ## Pin all dependencies anew, with their hashes
	$(BIN)/uv pip compile pyproject.toml --upgrade --extra services --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --upgrade --extra services --extra test --extra bench -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -o requirements-test.lock

clean: ## Remove the environment and everything generated; data stays
	rm -rf $(VENV) gen .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# The files below say that a step was done for the present lock; a second run finds nothing to do.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Kith needs Python 3.11 or newer; name one with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/test: requirements-test.lock $(VENV)/run
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-test.lock
	@touch $@

gen/contract.binpb: $(PROTOS) stack/generate.py | $(VENV)/run
	$(BIN)/python -m stack.generate
