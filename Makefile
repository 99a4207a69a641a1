# Two environments, each made on first use: .venv-demo holds what flies, .venv the whole project.
PYTHON ?= python3
DEMO := build/demo
RUNTIME_SOURCES := $(shell find runtime -name '*.py' -o -name '*.[ch]' -o -name '*.toml' -o -name '*.txt' \
    -o -name '*.bnnpan')

.PHONY: demo test test-fast exhaustive campaign board wheels dist sbom docs lint format clean

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

# A whole emulated board boots, with Debian's kernel, and makes the native product: docs/sim.md, level 3.
board: .venv/installed
	.venv/bin/python -m pytest -m exhaustive tests/wheels/test_level3.py

# Wheels of the runtime for x86-64 and, with a cross compiler, aarch64.
wheels: .venv/installed
	.venv/bin/python runtime/packaging/wheels.py dist

# All files of a release and their checksums: docs/release.md.
dist: .venv/installed
	.venv/bin/python release/dist.py dist

# What the runtime of `make dist` brings with it, and under which licences; in an environment of its own.
sbom: .venv-release/installed
	.venv-release/bin/python release/sbom.py dist

.venv-release/installed: release/reporters.txt
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/pip install --quiet --upgrade pip
	.venv-release/bin/pip install --quiet -r release/reporters.txt
	touch $@

# The documentation as a site; a warning ends it. Links out of it are listed in build/docs/links/output.txt, not visited.
docs: .venv-docs/installed
	.venv-docs/bin/python -m sphinx -W -n --keep-going -q -d build/docs/trees -b html docs build/docs/html
	.venv-docs/bin/python -m sphinx -q -d build/docs/trees -b linkcheck docs build/docs/links

.venv-docs/installed: pyproject.toml constraints.txt $(RUNTIME_SOURCES)
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet -c constraints.txt ./runtime -e '.[docs]'
	touch $@

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python tools/sizes.py

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
	.venv/bin/pip install --quiet -c constraints.txt -e '.[train,export,sim,archive,test,lint]'
	touch $@

clean:
	rm -rf .venv .venv-demo .venv-release .venv-docs build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
