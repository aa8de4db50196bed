# Gatepost's commands. `make help` lists them; each line with `##` is one.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# Two processes, each with engines of its own: most tests wait. The tests of a file share what they start. The files keep
# their order, so that the long ones (contract, e2e, integration) come first and the many short unit tests end level.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --use-pep517
SOURCES := services shared tests infra docs
# Hashes of every file, and nothing that tells where this machine's index is. Traces are locked with the rest, so that switching them
# on takes a key and no installation.
LOCK := --quiet --extra tracing --generate-hashes --allow-unsafe --all-build-deps --strip-extras --no-header \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

# Compiled modules are kept: without them each of the many processes of a test run compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

# Debian's servers lie where the PATH of an ordinary user does not look.
export PATH := $(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := help

##@ Run
.PHONY: help run demo
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z][a-z-]*:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: packages $(VENV)/.run ## the whole gateway in the foreground, on 127.0.0.1; Ctrl-C ends all of it
	@exec $(BIN)/python -m infra.local.run

demo: $(VENV)/.run ## against a running gateway: sends clean, spoofed and infected mail and spam, shows each verdict and why
	@$(BIN)/python -m infra.local.demo

##@ Test
.PHONY: test test-all check sure
test: test-packages check ## check, and every test of the default tier on real engines (about 10 minutes)
	$(PYTEST) $(SIDE_BY_SIDE) -m "not slow and not compose"

test-all: test-packages check ## the default tier, and load, failure and compose as well
	$(PYTEST) -m "not compose"
	$(MAKE) --no-print-directory test-compose

check: $(VENV)/.test ## lint, format, types, import rules
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if [ -e docs/generate.py ]; then $(BIN)/python -m docs.generate --check; fi

sure: check ## everything but what takes long: check, unit and contract tests
	$(PYTEST) tests/unit tests/contract -m "not slow and not compose"

##@ Project
.PHONY: packages check-packages test-packages lock clean
packages: ## install the Debian packages that `run` needs and are missing; starts none of their services
	@sh infra/packages.sh run

check-packages: ## the same for `check` and `sure`
	@sh infra/packages.sh check

test-packages: ## the same for `test`
	@sh infra/packages.sh test

lock: $(VENV)/.test ## resolve the dependencies anew into the two lock files
	$(BIN)/pip-compile $(LOCK) --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile $(LOCK) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

clean: ## remove what was built; var/ (the local gateway's data) stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

# The environment to run, then the one to test in; each is made again only when its lock changes.
$(VENV)/.run: requirements.lock pyproject.toml | packages
	[ -x $(BIN)/pip ] || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --require-hashes -r requirements.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements-dev.lock $(VENV)/.run | check-packages
	$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m tests.spf_suite
	@touch $@

$(BIN)/python: $(VENV)/.test ;

-include infra/systemd/targets.mk
-include infra/docker/targets.mk
-include tests/bench/targets.mk
-include tests/e2e/targets.mk
