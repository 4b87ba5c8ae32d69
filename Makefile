# The two commands of the README: `make demo` and `make test`. Both set everything up first (once).
SHELL := bash
.DEFAULT_GOAL := help
# Another interpreter than the one found: make demo PYTHON=/path/to/python3.13
PYTHON ?=
SCENARIO ?= scenarios/rf_beside_portal_vein.yaml
OUT ?= out/demo
BIN := .venv/bin

.PHONY: help setup demo test lint format clean

help:
	@echo "make demo    set everything up and run the main job: $(SCENARIO) -> $(OUT)"
	@echo "make test    set everything up and run the tests"
	@echo "make lint    ruff and mypy"
	@echo "make format  let ruff format and repair what it can"
	@echo "make clean   remove .venv, caches and runs"

setup:
	@bash .ci/bootstrap.sh "$(PYTHON)"

demo: setup
	@$(BIN)/ablasim run $(SCENARIO) -o $(OUT) --force

test: setup
	@$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv.lock .cache out
