# Two environments, each made on first use: .venv-demo holds what flies, .venv the whole project.
PYTHON ?= python3
DEMO := build/demo
RUNTIME_SOURCES := $(shell find runtime -name '*.py' -o -name '*.[ch]' -o -name '*.toml' -o -name '*.txt' \
    -o -name '*.bnnpan')

.PHONY: demo test test-fast exhaustive campaign wheels lint format clean

demo: .venv-demo/installed
	PATH=$(CURDIR)/.venv-demo/bin:$$PATH sh docs/demo.sh $(DEMO)

# Files of tests side by side, one process per core; the tests of a file share what they build.
PYTEST := .venv/bin/python -m pytest -n auto --dist loadfile

test: .venv/installed
	$(PYTEST)

test-fast: .venv/installed
	$(PYTEST) -m "not slow and not exhaustive"

# Every system call of a run killed, every sector lost, a hundred drawn networks: an hour.
exhaustive: .venv/installed
	$(PYTEST) -m exhaustive

# A long row of faults, and one page of what came of them.
campaign: .venv/installed
	mkdir -p build/campaign
	.venv/bin/bnnpan sim campaign --faults 1000 --seed 1 --out build/campaign/faults.json; status=$$?; \
	.venv/bin/bnnpan sim report build/campaign/faults.json --html build/campaign/page.html && exit $$status

# Wheels of the runtime for x86-64 and, with a cross compiler, aarch64.
wheels: .venv/installed
	.venv/bin/python runtime/packaging/wheels.py dist

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/installed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.venv-demo/installed: $(RUNTIME_SOURCES)
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/pip install --quiet ./runtime
	touch $@

# The runtime is installed as a copy: its C library is compiled by the installation, which must not do without.
.venv/installed: pyproject.toml constraints.txt $(RUNTIME_SOURCES)
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --config-settings=wheel.cmake=true -c constraints.txt ./runtime
	.venv/bin/pip install --quiet -c constraints.txt -e '.[train,export,sim,test,lint]'
	touch $@

clean:
	rm -rf .venv .venv-demo build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
