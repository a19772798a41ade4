# The commands a person needs. Every target sets up .venv first, once for each pyproject/constraints.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Nothing leaves this machine: no telemetry, and models are read from disk only.
export DO_NOT_TRACK := true
export DAGSTER_DISABLE_TELEMETRY := yes
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false
export ANONYMIZED_TELEMETRY := false
export HF_HUB_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export TRANSFORMERS_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false
export MPLBACKEND := Agg

.DEFAULT_GOAL := help
.PHONY: help setup demo ui test test-fast lint format clean

help:  ## Show the commands.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

setup: $(INSTALLED)  ## Install into .venv (done by every other command when needed).

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"Python 3.11 or 3.12 is needed, {sys.executable} is {v[0]}.{v[1]}; name one: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): about two minutes and 3 GB the first time"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(INSTALLED)  ## Run the synthetic study from raw files to risk scores and show the results.
	$(BIN)/python -m learn_assets materialize --study demo
	$(BIN)/python -m learn_assets show --study demo
	$(BIN)/python -m learn_assets materialize --study subtypes_demo
	$(BIN)/python -m learn_assets show --study subtypes_demo

ui: $(INSTALLED)  ## Open the Dagster UI on http://127.0.0.1:3000 (LEARN_STUDY chooses the study).
	$(BIN)/python -m learn_assets ui

test: $(INSTALLED)  ## Run every test, fast ones first.
	$(BIN)/python -m pytest

test-fast: $(INSTALLED)  ## Run the tests that take seconds, in two processes.
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2

lint: $(INSTALLED)  ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

format: $(INSTALLED)  ## Rewrite the code in the project's style.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove caches and build products; lakes (.learn) stay.
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	rm -rf dbt_like_sql/target dbt_like_sql/logs logs
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
