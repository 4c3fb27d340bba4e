# Every target sets up .venv when there is none and reuses it when there is.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS := dev,all
STAMP := $(VENV)/.installed
SOURCES = $(wildcard ragtime compat)
LOWEST := .venv-lowest
CONPORT := .venv-conport
SECONDS_OF := --durations=10
PARALLEL := -n logical --dist worksteal

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-slow test-lowest test-conport lint docs bench torture wheel generate setup clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Set up the virtual environment

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ragtime needs Python 3.11 or newer; set PYTHON=")'
	@test -x $(BIN)/python || { echo "Setting up $(VENV) …"; $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

demo: $(STAMP) ## Set up, and run the learning loop on real text, offline; SEED=number
	$(BIN)/ragtime demo $(if $(SEED),--seed $(SEED))

test: $(STAMP) ## Run the quick tests; fails under 90 % branch coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term

test-slow: $(STAMP) ## Run the slow tests
	$(BIN)/python -m pytest -m slow $(SECONDS_OF)

test-lowest: $(LOWEST)/.installed ## Run the quick tests with the oldest supported dependencies
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest $(PARALLEL) -p no:cacheprovider

$(LOWEST)/.installed: pyproject.toml constraints-lowest.txt
	@test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install -q -c constraints-lowest.txt -e ".[bench,conport,data,llm,migrate]" \
		pytest pytest-cov pytest-timeout pytest-xdist hypothesis hatchling editables
	@touch $@

test-conport: $(STAMP) $(CONPORT)/.installed ## Run the tests of the decision log against the real server (2 GB)
	CONPORT_COMMAND="$(CURDIR)/$(CONPORT)/bin/conport-mcp" HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m "" -k "not embedded" \
		$(SECONDS_OF) tests/storage/conport/test_conformance.py tests/storage/conport/test_any_server.py

$(CONPORT)/.installed:
	@test -x $(CONPORT)/bin/python || $(PYTHON) -m venv $(CONPORT)
	$(CONPORT)/bin/python -m pip install -q -c constraints.txt context-portal-mcp==0.3.13
	@touch $@

wheel: $(STAMP) ## Build the wheel and try it alone in an empty environment
	$(BIN)/python -m pytest -m wheel

lint: $(STAMP) ## Check style, types, docstrings and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pydoclint -q $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports --no-logo

docs: $(STAMP) ## Build the documentation, strictly, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

generate: $(STAMP) ## Write what is generated from the settings model
	$(BIN)/ragtime settings --generate markdown > docs/reference/settings.md
	$(BIN)/ragtime settings --generate schema > docs/reference/settings.schema.json
	$(BIN)/ragtime settings --generate env > .env.example

bench: $(STAMP) ## Measure: AREA=name (all when none), DATA=folder for outside data, FRESH=1 to measure again
	$(BIN)/python -m tests.benchmarks $(if $(AREA),--area $(AREA)) $(if $(DATA),--data $(DATA)) $(if $(FRESH),--fresh)

torture: $(STAMP) ## Kill, fuzz and count: MINUTES=number, AREA=name (all when none), SEED=number
	$(BIN)/python -m tests.torture --minutes $(or $(MINUTES),5) $(if $(AREA),--area $(AREA)) $(if $(SEED),--seed $(SEED))

clean: ## Remove what the targets made
	rm -rf $(VENV) .venv-* site dist build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
