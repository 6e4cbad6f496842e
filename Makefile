# Everything a person does with this tree, as `make TARGET`. `make` alone prints the list.
#
# What is installed goes into $(VENV); nothing needs root but `make bench-deps`. A stamp file in the environment
# remembers what was installed from which pyproject.toml and constraints.txt, so a second run starts at once.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV ?= .venv
ARGS ?=
PYTEST_ARGS ?=

# The Pythons that the file made by build-companion can be started with.
PYTHONS ?= 3.11 3.12 3.13 3.14

# The first Python that is new enough and can make environments; PYTHON=... overrides. The distribution's own comes
# first: it is built with profile-guided optimisation, which one built by hand often lacks, and saves a sixth per request.
PYTHON ?= $(shell for p in /usr/bin/python3 python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { command -v "$$p"; break; }; done)

BIN := $(VENV)/bin
SOURCES := src tests bench docs
PINS := pyproject.toml constraints.txt
NODE_TESTS := $(dir $(wildcard tests/*/package.json tests/*/*/package.json))
# The environment's own `node` comes first, so that the tests do not depend on the machine's.
WITH_NODE = PATH="$(abspath $(BIN)):$$PATH"

.PHONY: help run test check lint campaign budget-campaign claude-campaign api-campaign bench bench-quick bench-reports bench-deps demo build-companion docs prices fmt lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  ARGS='...' is passed on to run, demo and the benchmarks, PYTEST_ARGS='...' to test; PYTHON and VENV choose the interpreter and the environment, PYTHONS what build-companion's file runs with."

run: bin/majordomo ## install and start the gateway with an embedded PostgreSQL
	@exec $(BIN)/majordomo serve $(ARGS)

demo: $(VENV)/.installed ## a scripted provider and a little traffic: see the product without any provider key
	@exec $(BIN)/majordomo demo $(ARGS)

test: $(VENV)/.installed-dev node-packages chromium ## install what the tests need and run them all
	@$(WITH_NODE) $(BIN)/python -m pytest $(PYTEST_ARGS)

check: lint test ## everything that a change must pass

lint: $(VENV)/.installed-dev ## format, lint, types, import layers, documents in step with the code
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/reference.py --check

campaign: $(VENV)/.installed-dev node-packages ## the long campaigns: kills, outages, an hour of memory (an hour and a half); CAMPAIGN_SEED repeats one
	@$(WITH_NODE) CAMPAIGN_ROUNDS=$${CAMPAIGN_ROUNDS:-150} CAMPAIGN_OUTAGE_SECONDS=$${CAMPAIGN_OUTAGE_SECONDS:-60} \
	  CAMPAIGN_SOAK_SECONDS=$${CAMPAIGN_SOAK_SECONDS:-3600} \
	  $(BIN)/python -m pytest -m slow -s -o faulthandler_timeout=14400 $(PYTEST_ARGS)

budget-campaign: $(VENV)/.installed-dev ## budgets on two replicas: fifty random rounds of 200 requests at once, outages, 10,000 mixed requests (some fifteen minutes)
	@BUDGET_SEEDS=$${BUDGET_SEEDS:-50} BUDGET_REQUESTS=$${BUDGET_REQUESTS:-10000} \
	  $(BIN)/python -m pytest -s -o faulthandler_timeout=3600 tests/campaign/test_budgets.py \
	  tests/campaign/test_budget_faults.py tests/budget/test_keeper.py $(PYTEST_ARGS)

claude-campaign: $(VENV)/.installed-dev node-packages ## fifty random sessions of Claude Code each way, every price thrice, half a minute without a gateway (some eight minutes); CLAUDE_SEED repeats one
	@$(WITH_NODE) CLAUDE_SESSIONS=$${CLAUDE_SESSIONS:-50} CLAUDE_PRICE_ROUNDS=$${CLAUDE_PRICE_ROUNDS:-3} \
	  CLAUDE_AWAY_SECONDS=$${CLAUDE_AWAY_SECONDS:-30} \
	  $(BIN)/python -m pytest -s -o faulthandler_timeout=3600 tests/claude_code $(PYTEST_ARGS)

api-campaign: $(VENV)/.installed-dev ## fifty times as many random requests to every route of the control API (half an hour); API_SEED repeats one
	@seed=$${API_SEED:-$$(date +%s)}; echo "API_SEED=$$seed"; API_SEED=$$seed API_TIMES=$${API_TIMES:-50} \
	  $(BIN)/python -m pytest -s -o faulthandler_timeout=7200 tests/report/contract $(PYTEST_ARGS)

bench: $(VENV)/.installed-bench ## compare with nginx, Go, LiteLLM and Portkey on one core each (needs nginx and wrk)
	$(BIN)/python -m bench $(ARGS)

bench-quick: $(VENV)/.installed-bench ## the same without LiteLLM and Portkey, shorter
	$(BIN)/python -m bench --quick $(ARGS)

bench-reports: $(VENV)/.installed-bench ## how quickly reports answer over ten million rows: some 20 minutes the first time, 12 GB under var/
	$(BIN)/python -m bench.reports $(ARGS)

bench-deps: ## install nginx and wrk (Debian packages; needs root)
	apt-get update -qq
	apt-get install -y --no-install-recommends nginx-light wrk

build-companion: bin/majordomo ## one executable file, bin/majordomo-companion, for a machine with Python 3.11+ and nothing installed
	@$(BIN)/python -m majordomo.companion.pack bin/majordomo-companion $(foreach one,$(PYTHONS),--python $(one))

docs: $(VENV)/.installed-dev ## write docs/settings.md and docs/cli.md anew from the code
	$(BIN)/python docs/reference.py

prices: $(VENV)/.installed-dev ## package the price catalogue anew from the installed genai-prices
	$(BIN)/python -m majordomo.price.packaged

fmt: $(VENV)/.installed-dev ## format the code and repair what ruff can repair
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

lock: $(VENV)/.installed-dev ## choose the newest versions that fit pyproject.toml and pin them in constraints.txt
	@{ echo "# Exact versions of everything that is installed, made by \`make lock\`; do not edit."; \
	   $(BIN)/uv pip compile --quiet --universal --upgrade --no-header --no-annotate --all-extras pyproject.toml; \
	 } > constraints.tmp && mv constraints.tmp constraints.txt

clean: ## remove the environment, caches and what was built (never your data)
	rm -rf $(VENV) bin build dist artefacts .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests bench docs -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf $(addsuffix node_modules,$(NODE_TESTS))

# ---------------------------------------------------------------------------------------------------------------------

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer that can make environments was found." \
	  "Install one (Debian: apt install python3 python3-venv), or name it: make run PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Making the environment $(VENV) with $(PYTHON)"
	@"$(PYTHON)" -m venv "$(VENV)"

$(VENV)/.installed: $(PINS) | $(BIN)/python
	@echo "Installing Majordomo into $(VENV) (a minute at most)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(PINS) | $(BIN)/python
	@echo "Installing Majordomo and what its tests need into $(VENV) (a few minutes at most)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(PINS) | $(BIN)/python
	@echo "Installing Majordomo and what its benchmark needs into $(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@ $(VENV)/.installed

# Where the guides look for the command.
bin/majordomo: $(VENV)/.installed
	@mkdir -p bin && ln -sfn "$(abspath $(BIN))/majordomo" $@

.PHONY: chromium
chromium: $(VENV)/.installed-dev # the machine's own, or Debian's package: installed as root, else unpacked into $(VENV)
	@$(BIN)/python tests/plugins/chromium.py

.PHONY: node-packages
node-packages: $(addsuffix node_modules/.installed,$(NODE_TESTS))

%/node_modules/.installed: %/package.json %/package-lock.json $(VENV)/.installed-dev
	@echo "Installing the Node packages of $*"
	@$(BIN)/python tests/plugins/node_packages.py "$*"
	@touch $@
