# Every target makes its own .venv when there is none, and renews it when the dependencies change.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
RUN := $(VENV)/bin/python -m
INSTALLED := $(VENV)/.installed
CODE := $(wildcard src tests benchmarks validation)
# The first Python that is new enough; `make PYTHON=/path/to/python3.12 test` chooses another.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
	if $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$each; break; fi; done)

.PHONY: help demo test test-all check docs bench validate explorer clean

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

demo: $(INSTALLED) ## A whole tour with no download: simulate a clade, run the studies, write a report.
	$(RUN) kinlens demo --force

test: $(INSTALLED) ## Every test that takes seconds.
	$(RUN) pytest

test-all: $(INSTALLED) ## The tests that take minutes as well; not those that need a GPU or the internet.
	$(RUN) pytest -m 'not gpu and not network'

check: $(INSTALLED) ## Lint, format, types and import rules.
	$(RUN) ruff check $(CODE)
	$(RUN) ruff format --check $(CODE)
	$(RUN) mypy
	$(VENV)/bin/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

docs: $(INSTALLED) ## Run the code in the README and in docs/.
	$(RUN) pytest tests/documents

bench: $(INSTALLED) ## Run every benchmark; each prints its own table.
	@for each in benchmarks/*.py; do echo "== $$each"; $(VENV)/bin/python "$$each"; done

validate: $(INSTALLED) ## Compute golden values again with the programs that they come from (R among them).
	@for each in validation/*.py; do echo "== $$each"; $(VENV)/bin/python "$$each"; done

explorer: ## Build the page of `kinlens explore` anew; needs node and npm, which nothing else does.
	npm --prefix frontend ci --no-fund --no-audit
	npm --prefix frontend run build

clean: ## Remove what the targets above made, the .venv included.
	rm -rf $(VENV) build dist demo frontend/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "kinlens needs Python 3.11 or newer; none was found as \
	python3, python3.11, python3.12 or python3.13. Name one: make PYTHON=/path/to/python" >&2; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[all]'
	@# pip would compile on one processor, tests that nobody runs among the rest.
	@$(RUN) compileall -qq -j 0 -x '/tests/' $(VENV)/lib || true
	@touch $@
