# Every target does its own set-up (tools/setup), which is quick the second time.
# One test:  make test ARGS="-k decode -n 0"      Another Python:  make test PYTHON=python3.13

PY := .venv/bin/python
# Two workers: the tests wait for PostgreSQL and for sockets half of the time.
PYTEST := $(PY) -m pytest -n 2 --dist worksteal
LINTED := $(shell find server bench tests tools -name '*.py' 2>/dev/null) setup.cfg ruff.toml requirements/dev.txt
ARGS ?=
export PYTHON

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

test: setup page .venv/.linted ## lint (if a file changed), then all tests that fit in ten minutes on two cores
	@$(PY) tools/page.py test
	@$(PYTEST) $(ARGS)

test-long: setup page ## the tests that take longer: kill loops, soaks
	@$(PYTEST) -m long -o faulthandler_timeout=3600 $(ARGS)

test-citus: setup page ## the tests of the store on a distributed database, where Citus is installed
	@$(PY) -m pytest -m "citus and not long" -rs $(ARGS)

lint: setup ## ruff and mypy --strict (the checks of style are tests)
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check --quiet
	@$(PY) -m mypy
	@touch .venv/.linted

.venv/.linted: $(LINTED) | setup
	@$(MAKE) --no-print-directory lint

format: setup ## let ruff format and fix what it can
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

page: setup ## the console's pages from web/, if that has changed
	@$(PY) tools/page.py

demo: setup page ## a server with a fleet that calls home from all over the world; Ctrl-C ends it
	@.venv/bin/callhome demo $(ARGS)

bench: setup page ## all load tests here, with tables, and JSON in bench/results
	@$(PY) -m bench $(ARGS)

build: setup ## sdist and wheel in dist/
	@$(PY) -m build --no-isolation

image: ## the container image, with podman, buildah or docker; BASE=, PLATFORM=, TAG=, ENGINE= are known
	@tools/image $(if $(BASE),--base $(BASE)) $(if $(PLATFORM),--platform $(PLATFORM)) $(if $(TAG),--tag $(TAG)) $(if $(ENGINE),--engine $(ENGINE))

docs: setup ## write docs/settings.md from the settings table
	@.venv/bin/callhome settings --markdown > docs/settings.md.new && mv docs/settings.md.new docs/settings.md
	@$(PY) tools/rules.py

slides: setup ## build/slides.html from docs/deploy/containers.md, to present
	@$(PY) tools/slides.py

pictures: setup page ## docs/map.png and docs/pictures from a running `make demo` whose history is counted
	@PYTHONPATH=. $(PY) tools/pictures.py
	@PYTHONPATH=.:server $(PY) tools/mail_pictures.py

lock: setup ## newest versions into requirements/*.txt, with hashes
	@tools/lock

clean: ## remove all that was made here
	rm -rf .venv build dist server/*.egg-info server/callhome/console/pages web/node_modules web/generated bench/results .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# What of the system a target needs beyond Python.
test bench pictures: TOOLS := chromium curl nginx promtool slowhttptest wrk
setup:
	@tools/setup $(TOOLS)

.PHONY: help test test-long lint format page demo bench build image docs slides pictures lock clean setup
