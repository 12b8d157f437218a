# make run    starts the gateway with a demonstration (ARGS=--once ends after it)
# make test   runs every test, in PROCESSES processes (ARGS chooses: make test ARGS="tests/policy -k locked")
# make ha     kills, stops and cuts off servers of a PostgreSQL cluster under Patroni (needs postgresql, patroni, etcd; some minutes)
# make soak   an hour of mixed load in which processes die and rights change (SOAK_MINUTES=3 a short one), then 200 times kill -9; a report is told
# make lint   is the part of make check that runs no tests: format, lint, types, import rules
# make bench  compares it with the mail servers that are installed, in some minutes (ARGS="--cases submit-8,login --rounds 1"; --record keeps it)
# make check  is what a developer runs all day: format, lint, types, import rules, fast tests
# make fuzz   looks for octets that break a parser or a session, SECONDS=60 for each (TARGET=imap for one); needs a Python that atheris has
# Nothing is written outside this directory, apart from scratch files that are removed again.

SHELL := /bin/sh
.DEFAULT_GOAL := run
.PHONY: run setup setup-test setup-check test ha soak bench lint check fuzz format lock clean

ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install --quiet --no-cache-dir --require-hashes
INSTALL_PROJECT := $(PIP) install --quiet --no-cache-dir --no-deps --no-build-isolation
FAST_TESTS = $(wildcard tests/architecture tests/config tests/docker tests/policy tests/gateway/message tests/gateway/imap/grammar)

# Of those that are new enough the first that can make a virtual environment and was built by profile, which saves a tenth of the work or more
# (tests/bench/RESULTS.md); then the first that can make one; then any, which says what it lacks. Debian's was built so and does not tell: what the
# system brings is taken for such a one. A name that is there but answers nothing (a version manager's) is passed over.
NEW := import sys; sys.version_info >= (3, 11) or sys.exit(1)
ABLE := $(NEW); from ensurepip import bootstrap; from sysconfig import get_config_var as told
QUICK := $(ABLE); sys.base_prefix == "/usr" or "--enable-optimizations" in str(told("CONFIG_ARGS")) or sys.exit(1)
PYTHON ?= $(shell for suits in '$(QUICK)' '$(ABLE)' '$(NEW)'; do for python in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do \
	if $$python -c "$$suits" 2>/dev/null; then echo $$python; exit; fi; done; done)

run: setup
	@exec $(BIN)/procura demo $(ARGS)

setup: $(VENV)/.runtime
	@:

setup-test: $(VENV)/.test
	@:

setup-check: $(VENV)/.check
	@:

$(VENV)/.python:
	@if [ -z "$(PYTHON)" ]; then echo "procura needs Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; fi
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) \
		|| { echo "$(PYTHON) cannot make $(VENV); its venv module is a package of its own on some systems (python3-venv)" >&2; exit 1; }
	@touch $@

$(VENV)/.runtime: requirements/build.txt requirements/runtime.txt pyproject.toml | $(VENV)/.python
	@$(INSTALL) --requirement requirements/build.txt --requirement requirements/runtime.txt
	@$(INSTALL_PROJECT) --editable .
	@touch $@

$(VENV)/.test: requirements/test.txt | $(VENV)/.runtime
	@$(INSTALL) --requirement requirements/test.txt
	@touch $@

$(VENV)/.check: requirements/check.txt | $(VENV)/.test
	@$(INSTALL) --requirement requirements/check.txt
	@touch $@

# Tests get a scratch directory of their own, short for the sake of Unix sockets, which goes away however they end. Others may pass
# through it, for some tests start a Postfix, whose processes run as a user of their own.
define pytest
scratch=$$(mktemp -d) && chmod 711 "$$scratch" && trap 'rm -rf "$$scratch"' EXIT && trap 'exit 130' INT TERM HUP && \
TMPDIR="$$scratch" $(BIN)/python -m pytest --basetemp="$$scratch/t"
endef

# More than two cores have: a good part of what the tests do is to wait. The longest files come first (tests/longest.py).
PROCESSES ?= 4
SHARED_OUT = -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

test: setup setup-test
	@$(pytest) $(or $(ARGS),$(SHARED_OUT))

ha: setup setup-test
	@export PROCURA_HA=1 && $(pytest) -s -v $(or $(ARGS),tests/ha)

# The seed of a run that failed makes its chances again: make soak SOAK_SEED=7. ARGS chooses among the long tests: make soak ARGS=tests/soak
SOAK_MINUTES ?= 60
SOAK_SEED ?= 0
SOAKED = tests/soak tests/live/test_crash.py tests/live/test_crowd.py tests/live/test_clock_jumps.py tests/live/test_power.py tests/live/test_kill_points.py \
	tests/live/test_power_commands.py tests/live/test_upgrade.py tests/live/test_damaged.py tests/live/test_disk.py \
	tests/live/test_failing_disk.py tests/live/test_memory.py tests/hostile/test_cancelled.py tests/hostile/test_cancelled_deeds.py \
	tests/live/test_many_sessions.py tests/live/test_processes_on_postgresql.py \
	tests/live/test_hostile_on_postgresql.py

soak: setup setup-test
	@export PROCURA_SOAK=1 SOAK_MINUTES=$(SOAK_MINUTES) SOAK_SEED=$(SOAK_SEED) && $(pytest) -v -rP $(or $(ARGS),$(SOAKED))

$(VENV)/.bench: requirements/bench.txt | $(VENV)/.test
	@$(INSTALL) --requirement requirements/bench.txt
	@touch $@

# As root, for Dovecot and Postfix start processes as users of their own; otherwise they are left out. .bench has what the last run found.
bench: setup setup-test $(VENV)/.bench
	@$(BIN)/python -m tests.bench.comparison $(ARGS)

check: lint
	@$(pytest) --quiet -m "not slow" $(FAST_TESTS)

lint: setup setup-check
	@told=$$($(BIN)/ruff format --check --output-format concise . 2>&1) || { echo "$$told"; echo "make format mends these"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@told=$$($(BIN)/lint-imports 2>&1) || { echo "$$told"; exit 1; }

# What is found is left in .fuzz/found/TARGET; copied to tests/fuzz/findings/TARGET it is played by every run of the tests.
SECONDS ?= 60
TARGET ?= stored_message submitted_message signature imap_commands imap_names smtp_arguments smtp_data neighbours administrators imap smtp

$(VENV)/.fuzz: requirements/fuzz.txt | $(VENV)/.test
	@$(INSTALL) --requirement requirements/fuzz.txt
	@touch $@

fuzz: setup setup-test $(VENV)/.fuzz
	@for target in $(TARGET); do echo "$$target, $(SECONDS) s"; $(BIN)/python -m tests.fuzz.run $$target $(SECONDS) .fuzz 2>.fuzz.log \
		|| { tail -40 .fuzz.log; exit 1; }; done; rm -f .fuzz.log

format: setup-check
	@$(BIN)/ruff check --quiet --select I --fix . ; $(BIN)/ruff format .

# The pins are made anew (needs pip-tools). Neither the index nor the machine they were made on is written into them.
LOCK = cd requirements && CUSTOM_COMPILE_COMMAND="make lock" $(or $(PIP_COMPILE),pip-compile) --quiet --upgrade --generate-hashes --strip-extras \
	--allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options
lock:
	$(LOCK) --output-file runtime.txt runtime.in
	$(LOCK) --output-file build.txt build.in
	$(LOCK) --output-file test.txt test.in
	$(LOCK) --output-file check.txt check.in
	$(LOCK) --output-file bench.txt bench.in
	$(LOCK) --output-file fuzz.txt fuzz.in

clean:
	rm -rf $(VENV) build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .bench .fuzz .fuzz.log
