# The same targets serve people and CI. Everything lands in .venv and in $CRASHINIT_CACHE (default ~/.cache/crashinit).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
OUT ?= reports/steps

.PHONY: run test mutants lint bench setup clean
.DEFAULT_GOAL := help

help:
	@echo 'make run     set up all that is missing, then the five-step campaign on the reference driver'
	@echo 'make test    set up all that is missing, then every test'
	@echo 'make lint    ruff and mypy --strict'
	@echo 'make bench   clone against cold boot, and what the harness costs beside the driver'
	@echo 'make clean   remove .venv; the cache stays (crashinit keeps it small)'

$(BIN)/.installed: pyproject.toml
	./tools/host-packages.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup: $(BIN)/.installed
	@./tools/host-packages.sh

run: setup
	$(BIN)/crashinit run scenarios/steps --driver reference -n $(WORKERS) --out $(OUT) --force

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup

bench: setup
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV)
