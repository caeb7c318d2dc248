# Every command of the project. `make` alone lists them; `make demo` and `make test` are all a newcomer needs.
# Wants GNU make, a POSIX shell and Python 3.11 or newer; say PYTHON=... where that is not python3.

PYTHON ?= python3
UV     ?= uv

VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK   := $(UV) pip compile pyproject.toml requirements/run.in --universal --python-version 3.11 --upgrade \
          --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test install check diagrams page page-test pictures bench train accuracy coverage soak mutation lock sbom clean

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

demo: install ## Install what is needed, run the bundled sample and show what it found
	$(BIN)/phaseline demo

test: $(STAMPS)/test check ## Run every check and every test
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

install: $(STAMPS)/install ## Make .venv with the locked dependencies and phaseline itself

check: $(STAMPS)/test ## Lint, formatting, types, import rules, fresh diagrams
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-logo
	$(BIN)/python diagrams/generate.py --check
	$(BIN)/python tools/openapi.py --check

diagrams: install ## Draw the diagrams again from the one table
	$(BIN)/python diagrams/generate.py

page: ## Build the page anew from ui/ (needs Node; what it makes is kept in api/ui)
	cd ui && npm ci && npm run types && npm test && npm run build

pictures: $(STAMPS)/test ## Take a picture of every page in both themes (dist/pictures; four are kept in docs/pictures)
	cd ui && npm ci && npm run pictures

page-test: $(STAMPS)/test ## Check the page and drive it in a real browser (needs Node and Chromium)
	cd ui && npm ci && npm run check && npm test && npm run fresh && npm run browse

bench: install ## Measure each figure beside its floor, and keep the table in docs/performance.md
	$(BIN)/python -m benchmarks

train: $(STAMPS)/train ## Train the embedded analyser's weights again from the labelled sets (SETS=folder)
	$(BIN)/python -m tools.train_stance $(SETS)

accuracy: $(STAMPS)/train ## Measure how right the embedded analyser is, and write docs/accuracy.md (SETS=folder)
	$(BIN)/python -m benchmarks.accuracy $(SETS)

ifneq ($(filter diagrams,$(MAKECMDGOALS)),)
check: diagrams # so that `make -j diagrams test` draws before it compares
endif

coverage: $(STAMPS)/test ## Show which branches of the engine no test takes
	$(BIN)/python -m pytest --cov=statemachine --cov-branch --cov-report=term-missing

soak: $(STAMPS)/test ## Break runs by chance for hours, and keep the figures in docs/soak.md; a failure names its seed
	$(BIN)/python -m tests.faults.soak --report docs/soak.md

mutation: $(STAMPS)/mutation ## Try a random sample of small mistakes in the engine: which does nobody notice?
	$(BIN)/python -m tools.mutation

lock: ## Choose newer dependencies within the bounds of pyproject.toml (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: $(PYTHON) -m pip install uv" >&2; exit 1; }
	$(LOCK) --output-file requirements/run.lock
	$(LOCK) --all-extras --group test --constraint requirements/run.lock --output-file requirements/test.lock
	$(LOCK) --group train --constraint requirements/test.lock --output-file requirements/train.lock
	$(LOCK) --group mutation --constraint requirements/test.lock --output-file requirements/mutation.lock

sbom: install ## Write what an installation consists of to dist/sbom.json (CycloneDX)
	$(BIN)/python tools/sbom.py dist/sbom.json

clean: ## Remove .venv and all caches; data/ stays
	rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .coverage dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/venv:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "there is no $(PYTHON) here; say where Python 3.11 or newer is: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else \
	  "phaseline needs Python 3.11 or newer, $(PYTHON) is %d.%d; name a newer one: make PYTHON=python3.12" % v[:2])'
	@echo "making $(VENV)"; $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) can't make a virtual environment; Debian and Ubuntu keep that in python3-venv" >&2; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/locked: requirements/run.lock $(STAMPS)/venv
	$(PIP) install --require-hashes --requirement requirements/run.lock
	@touch $@

$(STAMPS)/install: pyproject.toml $(STAMPS)/locked
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/test: requirements/test.lock $(STAMPS)/install
	$(PIP) install --require-hashes --requirement requirements/test.lock
	@touch $@

$(STAMPS)/train: requirements/train.lock $(STAMPS)/install
	$(PIP) install --require-hashes --requirement requirements/train.lock
	@touch $@

$(STAMPS)/mutation: requirements/mutation.lock $(STAMPS)/test
	$(PIP) install --require-hashes --requirement requirements/mutation.lock
	@touch $@
