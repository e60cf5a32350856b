# hashlayer. `make` lists what there is to do; everything sets up .venv by itself.

PYTHON ?= python3
# EXTRAS=rtl,test,plot does without torch: its tests are then skipped, `make demo` is shorter.
EXTRAS ?= rtl,synth,sw,hf,test,plot,docs,explore
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo check test nightly reliability bench sim lint emit synth docs clean prerequisites

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(READY)  ## create .venv with the pinned dependencies

prerequisites:
	@command -v $(PYTHON) >/dev/null || \
	    { echo "hashlayer needs Python >= 3.11; '$(PYTHON)' is not on PATH (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "hashlayer needs Python >= 3.11; $(PYTHON) is $$($(PYTHON) -V 2>&1) (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "hashlayer needs Python's venv module; $(PYTHON) lacks it (Debian: apt install python3-venv)"; exit 1; }
	@$(PYTHON) -c 'import os, shlex, shutil, sys; \
	    words = shlex.split(os.environ.get("CXX", "")) or ["g++"]; \
	    sys.exit(not shutil.which(words[0]))' 2>/dev/null || \
	    { echo "hashlayer needs a C++ compiler; '$${CXX:-g++}' is not on PATH (Debian: apt install g++)"; exit 1; }

$(READY): pyproject.toml constraints.txt | prerequisites
	@echo "setting up $(VENV) (once)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

demo: $(READY)  ## a real head, a LookupFFN layer and a trained encoder through the generated Verilog
	@$(PY) -m sw.demo

check: $(READY)  ## in 2 minutes: ruff, rules over the sources, unit tests that need no compiler
	@$(PY) -m ruff check -q .
	@$(PY) -m pytest --quick -n auto --maxprocesses 8

# A file's tests run in one process: they share what it has built.
PARALLEL := -n auto --maxprocesses 8 --dist loadfile

test: $(READY)  ## the tests of every commit, on all cores
	@$(PY) -m pytest $(PARALLEL)

nightly: $(READY)  ## all tests, the long ones too, then all benches on every simulator there is
	@$(PY) -m pytest $(PARALLEL) -m "nightly or not nightly"
	@$(MAKE) --no-print-directory -C verif sim
	@if command -v iverilog >/dev/null; then $(MAKE) --no-print-directory -C verif sim SIM=icarus; \
	    else echo "Icarus Verilog is not installed: the benches ran on Verilator alone"; fi

reliability: $(READY)  ## the sweeps over whole kinds of faults, and what they tried
	@$(PY) -m pytest -m reliability

bench: $(READY)  ## cycles, utilisation and simulation speed, measured on the RTL
	@$(PY) -m sw.studies.bench
	@$(PY) -m sw.studies.bench lookup

sim: $(READY)  ## cocotb benches; BENCH=pe SEED=3 narrows, SIM=icarus takes another simulator
	@$(MAKE) --no-print-directory -C verif sim

lint: $(READY)  ## verilator --lint-only -Wall on the default engines
	@$(PY) -m sw.sim.lint

synth: $(READY)  ## area and worst paths of the default engine by block, beside the paper's; ENGINE=lookup for the other
	@$(PY) -m synth $(ENGINE)

ENGINE ?= cta
emit: $(READY)  ## build/cta.v and its manifest; ENGINE=lookup for the other engine
	@mkdir -p build
	@$(PY) -m gen $(ENGINE) -o build/$(ENGINE).v --manifest build/$(ENGINE).json

docs: $(READY)  ## the documentation site, in build/site; a dead link is an error
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict -f docs/site/mkdocs.yml
	@echo "build/site/index.html"

clean:  ## remove what was built, keep .venv
	rm -rf build .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
