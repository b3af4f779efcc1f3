# Needs only Python 3.11 or later and make. Everything is installed into .venv, beside this file.

# The first that runs and is new enough.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=
# What must not have a branch that no test takes, and the tests that take them: seconds, where `make test` takes minutes.
CORE := receiver/domain/moves.py,receiver/domain/want.py,receiver/domain/status.py,receiver/quarantine/*,$(\
	)receiver/domain/canonical.py,receiver/domain/entry.py,receiver/domain/tree.py,receiver/ledger/*,$(\
	)receiver/verification/*,receiver/report/*,receiver/steps/deliver.py,$(\
	)receiver/resolution/*,receiver/net/guard.py,adapters/errors.py,adapters/edges.py
CORE_TESTS := $(addprefix tests/unit/,domain quarantine ledger verification report resolution net \
	steps/test_deliver.py adapters/test_contract.py)
LOCK_FLAGS := --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.DEFAULT_GOAL := help
.PHONY: help demo test torture bench check lint types imports audit coverage docs install lock clean

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
	$(PY) -m ruff format --check .

types: $(VENV)/.test
	$(PY) -m mypy

imports: $(VENV)/.test
	$(PY) -m pytest -q tests/architecture

audit: $(VENV)/.test
	$(PY) .ci/audit.py requirements.lock

coverage: $(VENV)/.test ## Fail where a branch of the core has no test: states, ledger, signatures, callbacks, guards
	$(PY) -m coverage run -m pytest -q $(CORE_TESTS)
	$(PY) -m coverage report --show-missing --include="$(CORE)" --fail-under=100

docs: $(VENV)/.run ## Write docs/settings.md, docs/checks.md and config.example.toml anew from the code
	$(PY) -m receiver.config.reference
	$(PY) -m receiver.cli.checks.document

install: $(VENV)/.run ## Put the command takedown-receiver into .venv/bin
	$(PY) -m pip install --quiet --no-deps .

lock: $(VENV)/.test ## Choose the newest libraries that fit, with their hashes
	$(PY) -m pip install --quiet pip-tools
	$(PY) -m piptools compile $(LOCK_FLAGS) --upgrade --extra postgresql --extra s3 -o requirements.lock pyproject.toml
	$(PY) -m piptools compile $(LOCK_FLAGS) --extra postgresql --extra s3 --extra test -c requirements.lock \
		-o requirements-test.lock pyproject.toml
	$(PY) -m piptools compile $(LOCK_FLAGS) --upgrade --only-build-deps --build-deps-for wheel \
		-o requirements-build.lock pyproject.toml

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
	@echo 'Installing libraries into $(VENV); the first time this takes a minute'
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.test: requirements-test.lock | $(PY)
	@echo 'Installing libraries into $(VENV); the first time this takes a minute'
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@
