# Every target does its own set-up: Python 3.11 or newer and make are all a machine needs.
# `make demo` installs what the demo needs, `make test` everything; a second run installs nothing.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
PINNED := --constraint constraints.txt --build-constraint constraints.txt

# Stamps: made after a set-up step succeeded, out of date when its inputs change.
VENV_READY := $(VENV)/.antiphon-venv
RUN_READY  := $(VENV)/.antiphon-run
DEV_READY  := $(VENV)/.antiphon-dev

CHECKED := src tests docs tools $(wildcard examples benchmarks/*.py)

# Options of `antiphon demo`: make demo DEMO=--plain
DEMO ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit interop test-livekit-oldest conformance bench coverage mutants docs format dist \
    release clean check-python installs

help:  ## show this list
	@awk -F ':.*##' '/^[a-z-]+:.*##/ {printf "  make %-20s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUN_READY)  ## see responses run side by side and an interruption stop them (no key needed)
	@$(BIN)/antiphon demo $(DEMO)

test: installs lint types unit test-livekit-oldest  ## run every check: lint, types, architecture, tests

lint: $(DEV_READY)  ## ruff, codespell, import contracts
	@echo "==> ruff check";   $(BIN)/ruff check .
	@echo "==> ruff format";  $(BIN)/ruff format --check .
	@echo "==> codespell";    $(BIN)/codespell
	@echo "==> lint-imports"; $(BIN)/lint-imports --no-logo

types: $(DEV_READY)  ## mypy, strict
	@echo "==> mypy"; $(BIN)/mypy $(CHECKED)

unit: $(DEV_READY)  ## the tests alone
	@echo "==> pytest"; $(BIN)/python -m pytest

interop: $(DEV_READY)  ## only the tests that play other people's clients (part of `unit` too)
	@echo "==> pytest -m interop"; $(BIN)/python -m pytest -m interop

test-livekit-oldest: $(DEV_READY)  ## the LiveKit tests with the oldest livekit-agents supported
	@echo "==> pytest tests/livekit, oldest"; $(BIN)/python -m tests.livekit.oldest

conformance: $(DEV_READY)  ## probe servers and prove clients of other people's; writes docs/conformance.md
	$(BIN)/python -m tests.conformance
	@mkdir -p .cache/conformance
	-$(BIN)/antiphon prove all --cache .cache/interop --html .cache/conformance/clients.html \
	    --json > .cache/conformance/clients.json
	$(BIN)/python -m antiphon.bench.report docs/conformance.md .cache/conformance/clients.json

bench: $(DEV_READY)  ## measure beside the floor, bare libraries and other clients (an hour)
	$(BIN)/python -m benchmarks

coverage: $(DEV_READY)  ## the tests under coverage; wire/ and protocol/ must be complete
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage report
	$(BIN)/coverage report --include='src/antiphon/wire/*,src/antiphon/protocol/*' --fail-under=100

mutants: $(DEV_READY)  ## change the core on purpose and see whether a test fails (an hour)
	$(BIN)/python -m tools.mutants

docs: $(DEV_READY)  ## redraw what the documents take from the code, and build the site into build/site
	$(BIN)/python docs/generate.py
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs build/site
	@echo "build/site/index.html"

format: $(DEV_READY)  ## put code into the common format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# TAG=v0.2.0: refuse what a tag of this name should not publish.
dist: $(DEV_READY)  ## build the sdist and the wheel into dist/
	@test -z "$(TAG)" || $(BIN)/python tools/release.py --check "$(TAG)"
	@rm -rf dist
	$(BIN)/python -m build --outdir dist .

release: $(DEV_READY)  ## prepare a release: make release VERSION=0.2.0 OWNER=name (docs/versioning.md)
	@$(BIN)/python tools/release.py --version "$(VERSION)" --owner "$(OWNER)"
	@$(MAKE) dist
	$(BIN)/python -m pytest -q tests/test_package.py
	@echo "Read \`git diff\`, commit, tag v$(VERSION), and push both: the tag publishes."

clean:  ## remove the environment and the caches
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

installs: check-python
	@PYTHONPATH=src $(PYTHON) -m tools.installs

check-python:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "No '$(PYTHON)' here. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "antiphon needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1)."; \
	    echo "Name another one: make PYTHON=python3.12 ..."; exit 1; }

$(VENV_READY): | check-python
	@echo "==> making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --upgrade --constraint constraints.txt pip
	@touch $@

$(RUN_READY): pyproject.toml constraints.txt $(VENV_READY)
	@echo "==> installing antiphon into $(VENV)"
	@$(PIP) install $(PINNED) --editable '.[audio,cli,emulator]'
	@touch $@

$(DEV_READY): pyproject.toml constraints.txt $(VENV_READY)
	@echo "==> installing antiphon and its development tools into $(VENV)"
	@$(PIP) install $(PINNED) --editable '.[all]' --group dev
	@touch $(RUN_READY) $@
