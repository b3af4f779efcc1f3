# Needs only Python 3.11 or later and make. Everything is installed into .venv, beside this file.

# The first that runs and is new enough.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=
LOCK_FLAGS := --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.DEFAULT_GOAL := help
.PHONY: help demo test torture bench check lint types imports audit docs install lock clean

help: ## Say what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.run ## Run the whole chain on this machine; ARGS=--once ends after one notice
	$(PY) -m receiver.demo $(ARGS)

test: $(VENV)/.test ## Run all tests; ARGS="-k name" chooses
	$(PY) -m pytest $(ARGS)

torture: $(VENV)/.test ## All faults at all points, where `make test` takes a sample; hours
	TORTURE=1 $(PY) -m pytest tests/faults $(ARGS)

bench: $(VENV)/.test ## Measure against docs/benchmarks.md; ARGS="--quick P1" chooses, PEERS=1 adds a peer
	$(PY) -m tests.bench $(if $(PEERS),--peers) $(ARGS)

check: lint types imports audit ## Everything that reads the code: lint, types, import rules, documents, known holes

lint: $(VENV)/.test
	$(PY) -m ruff check .

types: $(VENV)/.test
	$(PY) -m mypy -p receiver -p adapters

imports: $(VENV)/.test
	$(PY) -m pytest -q tests/architecture

audit: $(VENV)/.test
	$(PY) .ci/audit.py requirements.lock

docs: $(VENV)/.run ## Write docs/settings.md and config.example.toml anew from the code
	$(PY) -m receiver.config.reference

install: $(VENV)/.run ## Put the command takedown-receiver into .venv/bin
	$(PY) -m pip install --quiet --no-deps .

lock: $(VENV)/.test ## Choose the newest libraries that fit, with their hashes
	$(PY) -m pip install --quiet pip-tools
	$(PY) -m piptools compile $(LOCK_FLAGS) --upgrade --extra postgresql --extra s3 -o requirements.lock pyproject.toml
	$(PY) -m piptools compile $(LOCK_FLAGS) --extra postgresql --extra s3 --extra test -c requirements.lock \
		-o requirements-test.lock pyproject.toml

clean: ## Forget .venv and what runs left behind
	@chattr -R -i demo-data test-data 2>/dev/null || true
	rm -rf $(VENV) demo-data test-data .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info

$(PY):
	@test -n "$(PYTHON)" || \
		{ echo 'Python 3.11 or later is needed; name one with: make PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo 'Python has no venv here; on Debian type: apt install python3-venv'; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock | $(PY)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.test: requirements-test.lock | $(PY)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@
