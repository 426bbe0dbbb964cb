# Two commands matter: `make demo` and `make test`. Both set up what they need, once.
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# PYTHON=... chooses the interpreter. Else it is the one of the environment, else what `python3` means here, else the
# newest. It is tried, not looked up: pyenv has commands for versions that are switched off, Debian a `venv` without pip.
USABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
usable = $(shell "$(1)" -c "$(USABLE)" 2>/dev/null && echo "$(1)")
release = $(shell "$(1)" -c "import sys; print(sys.version.split()[0])" 2>/dev/null)
ifdef PYTHON
ifneq ($(call release,$(PYTHON)),$(call release,$(BIN)/python))
.PHONY: $(READY) # set it up again, with the interpreter that is asked for
endif
else
PYTHON = $(firstword $(foreach python,$(BIN)/python python3 python3.13 python3.12 python3.11,$(call usable,$(python))))
endif
OTHER = $(filter-out $(call release,$(PYTHON)),$(or $(call release,$(BIN)/python),broken))

.DEFAULT_GOAL := help
.PHONY: help demo test pythons lint format bench docs lab licences audit lock clean

help:  ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): requirements.lock pyproject.toml
	@"$(PYTHON)" -c "$(USABLE)" 2>/dev/null || { \
		echo "Champion needs Python 3.11, 3.12 or 3.13 with venv and pip; $(if $(PYTHON),$(PYTHON) is not one,none was found)." >&2; \
		echo "Install one (Debian, Ubuntu: apt install python3-venv), or name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; }
	"$(PYTHON)" -m venv $(if $(and $(wildcard $(VENV)/pyvenv.cfg),$(OTHER)),--clear) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## Simulate an archive and run everything on it, in data/demo
	$(BIN)/champion demo

# Hundreds of thousands of small files are flushed: where there is a roomy memory disk, they are flushed there. Each
# file takes an inode, and those run out before the bytes do.
ROOMY := $(shell df --output=avail,iavail -k /dev/shm 2>/dev/null | awk 'END {print ($$1 > 6000000 && $$2 > 1500000)}')
FAST_TMP := $(if $(filter 1,$(ROOMY)),/dev/shm)

# Three processes on two cores: tests wait for servers and kernels a fifth of their time.
# Compiled first: else each process would compile `champion` where PYTHONDONTWRITEBYTECODE is set.
test: $(READY)  ## Run the tests
	$(BIN)/python -m compileall -q champion flows
	TMPDIR=$${TMPDIR:-$(FAST_TMP)} $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --durations 20

pythons: $(READY)  ## Run lint, demo and explorers on each other Python of this machine
	.ci/pythons

lint: $(READY)  ## Check style, types, layering and released contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/champion schema check

format: $(READY)  ## Format the code and strip notebooks
	$(BIN)/ruff check --fix --quiet
	$(BIN)/ruff format --quiet
	$(BIN)/nbstripout --extra-keys "metadata.papermill metadata.widgets cell.metadata.papermill" $$(find notebooks -name "*.ipynb")

bench: $(READY)  ## Time the pipeline on real files (CHAMPION_NSE names the mirror)
	$(BIN)/python benchmarks/speed/pipeline.py

docs: $(READY)  ## Build the pages into docs/_build/html
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build/html

lab: $(READY)  ## Open JupyterLab on the demo workspace
	CHAMPION_HOME=$${CHAMPION_HOME:-data/demo} $(BIN)/champion lab

licences: $(READY)  ## List the licences of all locked packages in docs/licences.md
	$(BIN)/python docs/licences.py

audit: $(READY)  ## Look for known vulnerabilities of the locked packages (asks PyPI; needs uv)
	uvx pip-audit --requirement requirements.lock --no-deps --disable-pip --progress-spinner off

# `--universal`: one lock for each Python and system of pyproject.toml. The systems need not be repeated on each line.
SYSTEMS := sys_platform == 'darwin' or sys_platform == 'linux'
lock: $(READY)  ## Resolve the newest versions pyproject.toml allows (needs uv)
	uv pip compile pyproject.toml --universal --extra dev --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet --upgrade --output-file $(VENV)/resolved
	sed -E "s/ ; $(SYSTEMS)//; s/ and \($(SYSTEMS)\)//" $(VENV)/resolved > requirements.lock

clean:  ## Remove the environment and the demo workspace
	-CHAMPION_HOME=data/demo $(BIN)/champion stop
	rm -rf $(VENV) data/demo
