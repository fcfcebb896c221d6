# Everything runs in .venv, which tools/bootstrap.py makes and keeps as the lock files say. Neither Docker nor root is
# needed, nor anything installed by hand. Another Python: make PYTHON=python3.12 …
PYTHON ?= python3
PY := .venv/bin/python
PYTEST := $(PY) -m pytest

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo test lint format quality fuzz drill toxiproxy bench lock clean

help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

# The script looks at its stamp first, so these cost a tenth of a second when nothing changed, and need no network.
install: ## install chaoskit with its servers into .venv
	@$(PYTHON) tools/bootstrap.py

install-dev: ## the same, with what tests, lint and type checks need
	@$(PYTHON) tools/bootstrap.py --dev

demo: install ## what breaks when the database is slow? a verdict about a real stack in under a minute
	@$(PY) -m chaoskit run experiments/url-shortener/demo.yaml

# Most tests wait for processes: twice as many at once as there are processors on the smallest machine that is meant.
# Tests that judge what a system did run two at a time; under load one after the other, with nothing beside them.
test: install-dev ## unit, contract and end-to-end tests
	@status=0; \
	$(PYTEST) -n 4 --dist worksteal -m "not alone and not paired" tests/unit tests/contract tests/e2e || status=$$?; \
	$(PYTEST) -n 2 --dist loadfile -m paired tests/e2e || status=$$?; \
	$(PYTEST) -m alone tests/e2e || status=$$?; \
	exit $$status

quality: install-dev ## planted bugs must be found, sound variants never accused, over many seeds (long)
	@$(PYTEST) --timeout 1800 tests/quality

FUZZED := tests/contract/toxiproxy/test_control_fuzz.py tests/contract/toxiproxy/test_data_path_fuzz.py
fuzz: install-dev ## throw random requests and bytes at the proxy for ten minutes (the seed is printed)
	@CHAOSKIT_FUZZ_SECONDS=$${CHAOSKIT_FUZZ_SECONDS:-300} $(PYTEST) --timeout 3600 $(FUZZED)

toxiproxy: install ## make the original Toxiproxy from source, to run the same experiments over it
	@$(PY) tools/toxiproxy.py

# Each with a seed of its own, which is printed; where there is no real Toxiproxy, tools/toxiproxy.py makes one.
DRILL := $(PY) tests/drill
drill: install-dev ## kill -9 members of a run 1,000 times and count what is left (about half an hour)
	@status=0; \
	$(DRILL) --count 350 || status=$$?; \
	$(DRILL) --count 250 --user nobody || status=$$?; \
	$(DRILL) --count 250 --server real || status=$$?; \
	$(DRILL) --count 150 --namespaces off || status=$$?; \
	exit $$status

lint: install-dev ## style, formatting and types
	@status=0; \
	$(PY) -m ruff check . || status=$$?; \
	$(PY) -m ruff format --check . || status=$$?; \
	$(PY) -m mypy chaoskit tools || status=$$?; \
	for app in targets/*/app; do MYPYPATH=$${app%/app} $(PY) -m mypy -p app || status=$$?; done; \
	exit $$status

format: install-dev ## rewrite the code as lint wants it
	@$(PY) -m ruff check --fix . ; $(PY) -m ruff format .

bench: install-dev ## speed and memory against the stated limits
	@$(PY) benchmarks/run.py

# Versions stay as they are unless the ranges in pyproject.toml exclude them; delete a line or a file to move it on.
LOCK := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --custom-compile-command "make lock"
lock: install-dev ## write the lock files anew from pyproject.toml
	@$(LOCK) pyproject.toml --extra embedded --extra targets -o requirements.lock
	@$(LOCK) pyproject.toml --all-extras -c requirements.lock -o requirements-dev.lock
	@echo 'uv>=0.13,<1' | $(LOCK) - -o tools/installer.lock
	@printf 'hatchling>=1.27,<2\neditables<1\n' | $(LOCK) - -c requirements-dev.lock -o tools/build.lock

clean: ## remove .venv and caches; runs and reports stay
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
