# Each verb sets up its own virtual environment when there is none.
#   make run    serve this repository's own docs over HTTP, with state in ./.state, until Ctrl-C
#   make test   everything that fits in 25 minutes; make test-full the rest
#   make interop  real OpenClaws from npm, of both eras, and clawstate on the same files
#   make check  format, lint, types, floors, spelling

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
STATE  ?= .state
SERVE  ?= gateway run
TEST   := $(BIN)/python -m pytest -p no:cacheprovider

# tokenizers warns when a process that has used it forks, as tests do
export TOKENIZERS_PARALLELISM ?= true
# where Debian keeps the programs that make and mount file systems
export PATH := $(PATH):/usr/sbin:/sbin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run test test-full interop check format docs bench install clean system synapse older-lancedb

run: $(VENV)/.run
	@$(BIN)/clawstate --state-dir $(STATE) memory import README.md docs
	@printf '\n$$ clawstate memory search "%s"\n' "what survives a power cut?"
	@$(BIN)/clawstate --state-dir $(STATE) memory search -k 3 "what survives a power cut?"
	@printf '\nGo on with your own files, in another terminal:\n'
	@printf '  %s\n' \
	  "$(BIN)/clawstate --state-dir $(STATE) memory import ~/notes" \
	  "$(BIN)/clawstate --state-dir $(STATE) memory search 'your question'" \
	  "$(BIN)/clawstate --state-dir $(STATE) memory add 'something to remember' --tag fact" \
	  "$(BIN)/clawstate --state-dir $(STATE) status" \
	  "$(BIN)/clawstate --help"
	@printf '\n$$ clawstate %s\n' "$(SERVE)"
	@exec $(BIN)/clawstate --state-dir $(STATE) $(SERVE)

test: $(VENV)/.dev system
	$(TEST) -n 2 --dist worksteal -m "not slow and not interop"

test-full: $(VENV)/.dev system synapse older-lancedb
	CLAWSTATE_FULL=1 HYPOTHESIS_PROFILE=full $(TEST) -n 2 --dist worksteal --timeout 3600 \
	  -m "not interop"
	CLAWSTATE_FULL=1 $(MAKE) interop

interop: $(VENV)/.dev synapse
	$(BIN)/python tests/interop/openclaw_package.py
	$(TEST) -m interop --timeout 3600

check: $(VENV)/.dev
	$(BIN)/ruff format --check src tests benchmarks tools examples
	$(BIN)/ruff check src tests benchmarks tools examples
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src tests benchmarks tools examples docs README.md CHANGELOG.md CONTRIBUTING.md

format: $(VENV)/.dev
	$(BIN)/ruff format src tests benchmarks tools examples
	$(BIN)/ruff check --fix src tests benchmarks tools examples

docs: $(VENV)/.dev
	$(BIN)/python -m clawstate.cli.reference > docs/reference/cli.md
	$(BIN)/python -m clawstate.gateway.reference > docs/reference/http.md
	$(BIN)/python -m clawstate.mcp.reference > docs/reference/mcp.md

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/run.py all $(if $(SETS),--sets $(SETS))

# The tools that the slow suites drive; without them their tests say why they are skipped.
system:
	@./tests/system-packages strace fusermount3=fuse3 faketime mkfs.ext4=e2fsprogs \
	  mkfs.xfs=xfsprogs unshare=util-linux zsh fish pgbouncer chromium

# A homeserver in an environment of its own; without it its tests say why they are skipped.
synapse: $(BIN)/python
	-$(BIN)/python tests/matrix/local_synapse.py

# Another release of LanceDB, likewise.
older-lancedb: $(BIN)/python
	-$(BIN)/python tests/older_lancedb.py

install: $(VENV)/.run

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "clawstate needs Python 3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[gateway]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.run

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) $(STATE) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
