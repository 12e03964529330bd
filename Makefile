# `make demo` and `make test` make the environment first; nothing but Python, pip and a package
# index is needed.

PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin

# uv installs in a fraction of pip's time. It reads no configuration of pip's: UV= has pip do it, and
# UV_INDEX_URL and UV_FIND_LINKS name places of one's own.
UV ?= $(shell command -v uv)
ifneq ($(UV),)
MAKE_VENV = $(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
INSTALL = $(UV) pip install --quiet --python $(BIN)/python
else
MAKE_VENV = $(PYTHON) -m venv $(VENV)
# What is imported is compiled when it is: pip would compile the tens of thousands of files, as uv does not.
INSTALL = $(BIN)/python -m pip install --quiet --no-compile
endif

# PyPI's Linux wheel of torch carries gigabytes of CUDA. By default the CPU build is taken, from the
# places pip is set up with or from PyTorch's own index; where neither can be reached, the package
# index's build is the last resort and is announced. For a GPU name another build, for example:
#   make demo TORCH=torch==2.13.0+cu130 TORCH_INDEX=https://download.pytorch.org/whl/cu130
TORCH_VERSION = $(shell sed -n 's/^torch==//p' constraints.txt)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
ifeq ($(shell uname -s),Linux)
TORCH ?= torch==$(TORCH_VERSION)+cpu
else
TORCH ?= torch==$(TORCH_VERSION)
endif

# The tests run in so many processes, one more than there are processors, since some only wait; each holds torch and
# its friends, some 700 MB.
TEST_PROCESSES ?= $(shell $(PYTHON) -c "import os; print(min(4, (os.cpu_count() or 1) + 1))")

# Interpreters that `make lowest-versions` and `make newest-versions` try; one that is not there is said.
PYTHONS ?= 3.11 3.12 3.13 3.14

.PHONY: demo explore chromium test test-slow lint bench site wheel lowest-versions newest-versions install clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(MAKE_VENV)
	$(INSTALL) --no-deps "$(TORCH)" || \
	  $(INSTALL) --no-deps --index-url $(TORCH_INDEX) "$(TORCH)" || \
	  { echo "$(TORCH) is to be had nowhere here; taking the package index's own build, which on" \
	         "Linux is gigabytes of CUDA"; \
	    $(INSTALL) "torch==$(TORCH_VERSION)"; }
	$(INSTALL) --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: install
	$(BIN)/featurestore demo

# The pages of the demonstration's store, in the browser; until Ctrl-C.
explore: install
	@test -d demo-store || { echo "there is no demo-store yet: make demo makes it"; exit 1; }
	$(BIN)/featurestore explore demo-store --open

# What tests/explain/explore looks at the pages with; its tests are skipped without it.
chromium:
	apt-get install --yes --no-install-recommends chromium

# Each process of the tests reads what another has compiled, whatever the environment says of bytecode.
test test-slow: export PYTHONDONTWRITEBYTECODE =

test: install
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

# What takes long: all documents, larger cases, kills at more moments.
test-slow: install
	$(BIN)/python -m pytest -m slow --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

site: install
	$(INSTALL) --constraint constraints.txt --editable ".[dev,docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: install
	$(BIN)/python -m benchmarks.wheel --torch "$(TORCH)"

# A fast part of the suite with the lowest and the newest allowed versions; by uv, in environments that go again.
# TORCH_OVERRIDE=torch==2.13.0+cpu takes a build that UV_INDEX_URL or UV_FIND_LINKS leads to.
lowest-versions newest-versions: install
	$(BIN)/python -m benchmarks.versions $(@:-versions=) $(addprefix --python ,$(PYTHONS)) \
	  $(addprefix --override ,$(TORCH_OVERRIDE))

bench: install
	$(BIN)/featurestore models pull minilm
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist site *.egg-info
