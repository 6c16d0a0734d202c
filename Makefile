# Every target sets up what it needs: `make demo` or `make test` may be the first command in a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CONSTRAINTS := .ci/constraints.txt
WHEEL_VENV := build/wheel-venv

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow torture sweep fuzz soak test-gpu format format-check lint types sql docs readme vendor bench evaluation wheel-test check audit clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

$(STAMP): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "curator needs Python 3.11 or newer; name one with make PYTHON=python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) (torch, FAISS and friends: about 5 GB, 2 to 4 minutes) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c $(CONSTRAINTS) -e '.[demo,dev,http,s3]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # pip compiles on one core; some packages ship what is no Python
	@touch $@

install: $(STAMP)  ## Set up the virtual environment

demo: $(STAMP)  ## Scan a sample lake of real photographs and show what is flagged, by SQL
	@rm -rf demo
	@$(BIN)/curator demo --folder demo

# Tests start many processes: they may keep what they compiled, whatever the machine says of it.
COMPILED := PYTHONDONTWRITEBYTECODE=
TESTED := OMP_NUM_THREADS=1 $(COMPILED)

# DuckDB on one thread, and rows in another order wherever SQL promises none: stricter than it is for users, which the long
# tests are like, and a fourteenth cheaper.
test: $(STAMP)  ## Run the tests, without GPU, network or downloads: make test [ARGS="--shuffle 7 --duckdb-threads 8"]
	@$(TESTED) $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --duckdb-threads 1 $(ARGS)

test-slow: $(STAMP)  ## Run the long tests: make test-slow [ARGS=--one-of-each]
	@$(TESTED) $(BIN)/python -m pytest -m slow -n 3 $(ARGS)

torture: $(STAMP)  ## Inject faults of every kind at random, count losses: make torture SECONDS=300 [SEED=n]
	@$(BIN)/python -m tests.faults --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED))

soak: $(STAMP)  ## Scan 200,000 images over 20 nights of a living lake: make soak [IMAGES=n NIGHTS=n LEDGER=128MB]
	@CURATOR_LEDGER_MEMORY_LIMIT=$(or $(LEDGER),128MB) $(BIN)/python -m tests.soak --images $(or $(IMAGES),200000) --nights $(or $(NIGHTS),20)

sweep: $(STAMP)  ## Strike every command at events all over it, and every experiment of torture once
	@$(TESTED) $(BIN)/python -m pytest -m torture -n 2 --dist load

test-gpu: $(STAMP)  ## Run the tests that need a CUDA device
	@$(BIN)/python -m pytest -m gpu

fuzz: $(STAMP)  ## Throw fresh damaged inputs at every door, SECONDS each (180): make fuzz SECONDS=600
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),180)

format: $(STAMP)  ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix-only .

format-check: $(STAMP)
	@$(BIN)/ruff format --check .

lint: $(STAMP)  ## Lint the code
	@$(BIN)/ruff check .

types: $(STAMP)  ## Check the types, strictly
	@$(BIN)/mypy

sql: $(STAMP)  ## Check the SQL: migrations, bound queries, views, checks
	@$(BIN)/python -m pytest tests/sql

docs: $(STAMP)  ## Check that help texts, README and SQL agree
	@$(BIN)/python -m pytest tests/docs tests/cli/test_help.py

bench: $(STAMP)  ## Measure speed on this machine and print the table of docs/performance.md
	@$(BIN)/python -m tests.bench

evaluation: $(STAMP)  ## Measure how ID and OOD are told apart, print the tables of docs/evaluation.md: make evaluation DATA=folder [WRITE=1]
	@WRITE=$(WRITE) FOLDER=$(FOLDER) $(BIN)/python -m tests.bench.evaluation $(DATA)

wheel-test: $(STAMP)  ## Build the wheel, install it without extras and run every command of the README and the guides
	@rm -rf dist $(WHEEL_VENV) && $(BIN)/python -m build --wheel --outdir dist . >/dev/null
	@$(PYTHON) -m venv $(WHEEL_VENV)
	@$(WHEEL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -c $(CONSTRAINTS) dist/*.whl
	@$(COMPILED) $(BIN)/python -m tests.docs.printed --folder $(WHEEL_VENV)/demo $(WHEEL_VENV)/bin/curator
	@cp -r docs tests $(WHEEL_VENV) && cd $(WHEEL_VENV) && $(COMPILED) ./bin/python -m tests.docs.running
	@rm -rf $(WHEEL_VENV)

readme: $(STAMP)  ## Write into the README what its commands print now, and make its pictures
	@$(BIN)/python -m tests.docs.printed --write --pictures

vendor: $(STAMP)  ## Fetch what the map of the app is drawn with, by name, version and checksum: needs npm
	@$(BIN)/python -m tests.app.vendor

audit: $(STAMP)  ## Look for known vulnerabilities of the pinned versions
	@$(BIN)/python -m pip --disable-pip-version-check check
	@$(BIN)/python .ci/audit.py $(CONSTRAINTS)

check: format-check lint types test docs wheel-test audit  ## All of the above that must pass before a change lands

clean:  ## Delete what the targets made, the environment included
	@rm -rf $(VENV) build dist demo fuzz *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
