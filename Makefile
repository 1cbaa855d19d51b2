# All programs run from .venv, which `make setup` makes; PYTHON is only what makes it.
PYTHON ?= python3
BIN := .venv/bin
# The suite is made for two at a time on a small machine; more on a larger one: make test WORKERS=8
WORKERS ?= 2
# Further arguments for pytest, bench: make test ARGS="-k retry"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo lint check test faults machine soak bench promises docs picture lock

# What every store promises, asked of one that is reached through PgBouncer.
BEHIND_A_POOLER := $(foreach name,store_units store_constraints queue_claims dispatch run_limits rates event_cursor,\
	tests/conformance/test_$(name).py)

# A number that is given must be one; what is counted must be more than nothing.
number = case '$(1)=$($(1))' in *=|SEED=0) ;; *=0*|*=*[!0-9]*) echo "make: $(1) must be a whole number from 1" >&2; exit 2;; esac

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install the program and everything to work on it into .venv
	@$(PYTHON) tools/setup.py dev

demo: ## Install what the program needs into .venv, then show it at work
	@$(PYTHON) tools/setup.py run
	@tools/demo.sh

lint: setup ## Run all linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

check: lint ## Linters and the quick tests: before every commit
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal -m "not slow" $(ARGS)

test: setup ## The whole suite; keeps its result for `make promises`
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal --results .promises/results.json $(ARGS)
	TESTS_POSTGRES=18 $(BIN)/pytest -q -n $(WORKERS) --dist worksteal -k postgres tests/conformance tests/store/postgres
	TESTS_PGBOUNCER=1 $(BIN)/pytest -q -n $(WORKERS) --dist worksteal -k postgres $(BEHIND_A_POOLER)
	TESTS_POSTGRES=16 $(BIN)/pytest -q -n $(WORKERS) -k postgres tests/conformance/test_store_units.py tests/store/postgres

faults: setup ## Let owners die under a mixed load; make faults ROUNDS=200 MINUTES=90; SEED=... plays again; STORE=postgres
	@$(call number,ROUNDS) && $(call number,MINUTES) && $(call number,SEED)
ifeq ($(STORE),postgres)
	TESTS_RESTART_MINUTES=$(or $(MINUTES),10) TESTS_FAULT_SEED=$(SEED) $(BIN)/pytest -q -x -rA -o faulthandler_timeout=0 $(ARGS) \
		tests/faults/fleet/test_f04_restarts.py tests/faults/fleet/test_foreign_transactions.py \
		tests/faults/fleet/test_f01_f02_moments.py
else
	TESTS_CRASH_ROUNDS=$(or $(ROUNDS),200) TESTS_CRASH_SEED=$(SEED) $(BIN)/pytest -q -x -rA -o faulthandler_timeout=0 \
		--session-timeout=$$(($(or $(MINUTES),90) * 60)) $(ARGS) tests/faults/test_f03_crash_loops.py
endif

soak: setup ## Drive a server for a time and see that nothing of it grows; make soak HOURS=24, or MINUTES=15
	$(BIN)/python -m tests.faults.soak $(if $(MINUTES),--minutes $(MINUTES),--hours $(or $(HOURS),1)) $(ARGS)

bench: bench/__main__.py ## Measure against peers; make bench STORE=postgres ROW=drain
	@$(PYTHON) tools/setup.py $(if $(filter postgres,$(STORE)),bench,dev)
	$(BIN)/python -m bench $(if $(ROW),--row $(ROW)) $(if $(STORE),--store $(STORE)) $(ARGS)

# What fails is shrunk, and printed with a line that tells it again; SEED begins with the same stories.
machine: setup ## The store against its model, for long; make machine STORIES=20000 SEED=7
	@$(call number,STORIES) && $(call number,STEPS) && $(call number,SEED)
	MACHINE_STORIES=$(or $(STORIES),1000) MACHINE_STEPS=$(or $(STEPS),30) \
		$(BIN)/pytest -q -n 2 --timeout 0 -o faulthandler_timeout=0 --hypothesis-seed=$(or $(SEED),$(shell date +%s)) \
		tests/properties/test_store_machine.py $(ARGS)

promises: setup ## Show which promises the last whole run of the suite kept
	@$(BIN)/python -m tools.promises

docs: setup ## Write the documents that are made from the code
	@$(BIN)/python -m tools.generated_docs

picture: setup ## Record the moving picture of the README
	@$(BIN)/python -m tools.recording

# `make lock UPGRADE=1` takes the newest versions; without it only what pyproject.toml asks for changes.
LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url $(if $(UPGRADE),--upgrade)
lock: ## Pin the requirements of pyproject.toml with hashes
	@test -x $(BIN)/uv || $(PYTHON) tools/setup.py run
	$(LOCK) pyproject.toml --group dev --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --constraint requirements/dev.txt --output-file requirements/run.txt
	$(LOCK) --group setup --constraint requirements/dev.txt --output-file requirements/setup.txt
	for peer in $$(basename -s .in bench/peers/*.in); do $(LOCK) bench/peers/$$peer.in --output-file requirements/bench-$$peer.txt; done
