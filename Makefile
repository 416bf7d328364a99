# Every target installs what it needs: uv from the package index into .uv, then the lock file into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
UV := .uv/bin/uv
BIN := .venv/bin
ARGS ?=
ONLY ?=
export UV_LINK_MODE ?= copy
# compiled once at installation: a command starts in half the time, also where Python may not write beside its sources
export UV_COMPILE_BYTECODE ?= 1

.PHONY: help demo serve test check coverage bench nightly docs lock browser softhsm format

help:  ## Show the targets
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

$(UV):
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'

.venv/.run: $(UV) pyproject.toml uv.lock
	$(UV) sync --quiet --frozen --inexact
	@touch $@

.venv/.dev: $(UV) pyproject.toml uv.lock
	$(UV) sync --quiet --frozen --inexact --extra dev --extra postgres --extra aws --extra pkcs11
	@touch $@ .venv/.run

browser:  ## Install Chromium and a CJK font through the system's packages, where that is possible
	@tools/browser.sh

softhsm:  ## Install SoftHSM through the system's packages, where that is possible
	@tools/softhsm.sh

demo: .venv/.run  ## The whole way on made-up patients (ARGS='--subjects 500 --seed 7')
	$(BIN)/consentry demo $(ARGS)

serve: .venv/.run  ## Run the HTTP API on 127.0.0.1:8080
	$(BIN)/consentry serve $(ARGS)

test: .venv/.dev browser softhsm  ## All tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

check: .venv/.dev  ## Format, lint, types, import contracts, lock file
	$(UV) lock --check --quiet
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

coverage: .venv/.dev browser softhsm  ## Branch coverage of every package
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist loadgroup $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: .venv/.dev  ## Figures beside their yardsticks (ONLY=demo|consent|vault|audit|text|views|tags)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

nightly: .venv/.dev browser softhsm  ## Full trial counts
	CONSENTRY_NIGHTLY=1 $(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

docs: .venv/.dev  ## Build the documentation into site/
	$(BIN)/mkdocs build --strict --quiet

format: .venv/.dev  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(UV)  ## Renew uv.lock
	$(UV) lock --upgrade
