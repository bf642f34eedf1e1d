# Everything starts from a machine with Python 3.11 or newer and make; nothing else is needed.
#   make demo    set up, then watch the whole thing work on the embedded AWS
#   make test    set up, then run every test
#   make test-large  what takes minutes: folding gigabytes within its memory
#   make lint    ruff, mypy, import-linter, cfn-lint
#   make bench   the benchmarks: ratios, side by side in one run
#   make lock    remake constraints.txt (needs uv)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Lambda's Python: where this machine has it, the unit tests run on it too.
LAMBDA_PYTHON ?= $(shell for p in python3.13 $$(ls -d $$HOME/.pyenv/versions/3.13.*/bin/python3.13 2>/dev/null); do \
	"$$p" -c 'import sys, venv; assert sys.version_info[:2] == (3, 13)' 2>/dev/null && echo "$$p" && break; done)
LAMBDA_VENV := .venv-3.13
LAMBDA_READY := $(LAMBDA_VENV)/.ready

# What the benchmarks compare with and cannot share an environment.
PEERS := .venv-peers

PIP_FLAGS := --quiet --disable-pip-version-check
# Whoever forbids Python to keep what it has compiled has every process of the tests compile it anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-large test-lambda-python lint bench setup collect collect-lambda-python lock clean

demo: $(READY)
	$(BIN)/coldtable demo

# Each process has an embedded AWS of its own, and waits for it now and then: one more than there are
# cores keeps them busy. Whoever is done takes of what another one has left.
IN_PARALLEL = -n $$(( $$(nproc 2>/dev/null || echo 2) + 1 )) --dist worksteal

# What the tests import is compiled by one process, and not by all of them at once. What is wrong with
# it the tests themselves tell.
collect: $(READY)
	$(BIN)/python -m pytest --collect-only > /dev/null || true

test: $(READY) test-lambda-python
	$(BIN)/python -m pytest $(IN_PARALLEL)

lint: $(READY)
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/cfn-lint src/coldtable/infra/*.yaml

bench: $(READY) $(PEERS)/.ready
	$(BIN)/python bench/lambda.py
	$(BIN)/python bench/journal.py
	$(BIN)/python bench/exports.py
	$(BIN)/python bench/catalog.py
	PYTHONPATH=. $(BIN)/python bench/tick.py
	$(BIN)/python bench/verify.py
	$(BIN)/python bench/restore_write.py 10 $(PEERS)/bin/dynamodump
	$(BIN)/python -m pip install $(PIP_FLAGS) --require-hashes -r constraints-bench.txt
	PYTHONPATH=. $(BIN)/python bench/restore_fold.py

setup: $(READY)

$(PEERS)/.ready: constraints-peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install $(PIP_FLAGS) --require-hashes -r constraints-peers.txt
	@touch $@

$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "coldtable needs Python 3.11 or newer; use: make PYTHON=python3.12 ..."'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "The venv module is missing. On Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) --no-compile --require-hashes -r constraints.txt
	$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	@touch $@

# Minutes long, and gigabytes of temporary files.
test-large: $(READY)
	$(BIN)/python -m pytest tests/large

# The same pinned versions and hashes.
ifneq ($(LAMBDA_PYTHON),)
collect-lambda-python: $(LAMBDA_READY)
	$(LAMBDA_VENV)/bin/python -m pytest --collect-only tests/unit tests/property > /dev/null || true

test-lambda-python: $(LAMBDA_READY)
	$(LAMBDA_VENV)/bin/python -m pytest $(IN_PARALLEL) --hypothesis-profile=again tests/unit tests/property
else
collect-lambda-python:
test-lambda-python:
	@echo "No Python 3.13 here: the unit tests run on $$($(PYTHON) --version) alone."
endif

$(LAMBDA_READY): constraints.txt pyproject.toml
	$(LAMBDA_PYTHON) -m venv $(LAMBDA_VENV)
	$(LAMBDA_VENV)/bin/python -m pip install $(PIP_FLAGS) --no-compile --require-hashes -r constraints.txt
	$(LAMBDA_VENV)/bin/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	@touch $@

lock:
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--extra archive --extra local --group dev pyproject.toml -o constraints.txt
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--group bench -o constraints-bench.txt
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--group peers -o constraints-peers.txt

clean:
	rm -rf $(VENV) $(LAMBDA_VENV) $(PEERS) .mypy_cache .ruff_cache .hypothesis .import_linter_cache
