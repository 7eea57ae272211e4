# make repro   set up .venv the first time, then run the whole pipeline
#              RECIPE=cifar10 copies recipes/cifar10.yaml to params.yaml first
# make test    the same set-up, then the tests        make lint    ruff and mypy
# make lock    regenerate the pinned requirements     make clean   remove what can be made again

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
PYTEST_ARGS ?=
UV_COMPILE := uv pip compile pyproject.toml --universal --generate-hashes --quiet \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate

# DVC runs `python -m gan.stages.NAME`: the venv's own python must come first.
export PATH := $(BIN):$(PATH)
export PYTHONUNBUFFERED := 1
# Nothing phones home.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export GX_ANALYTICS_ENABLED := false
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: repro recipe test lint lock setup clean
.DEFAULT_GOAL := repro

repro: setup $(if $(RECIPE),recipe)
	@dvc repro
	@printf '\n  grid     samples/grid.png\n  metrics  reports/metrics.json\n  report   reports/index.html\n'
	@python -m flows.page || true

recipe:
	@test -f "recipes/$(RECIPE).yaml" || { echo "error: recipes/$(RECIPE).yaml: no such recipe; there are:" recipes/*.yaml >&2; exit 1; }
	@git diff --quiet HEAD -- params.yaml || for known in recipes/*.yaml; do cmp -s params.yaml $$known && exit 0; done || \
		{ echo "error: params.yaml: holds changes that no commit and no recipe has; commit or stash them first" >&2; exit 1; }
	@cp "recipes/$(RECIPE).yaml" params.yaml

test: setup
	@python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

lint: setup
	@ruff check .
	@ruff format --check .
	@mypy

setup: $(VENV)/.complete

# The stamp is written last: an interrupted set-up is simply done again.
$(VENV)/.complete: requirements-setup.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 setup")'
	@echo "Setting up $(VENV) (some gigabytes the first time) ..."
	@rm -f $@
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.txt
	@uv pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python requirements-dev.txt
	@# DVC's default site cache is a folder that every user can write to, and it holds pickles.
	@dvc config --local core.site_cache_dir "$(CURDIR)/.dvc/tmp/site"
	@touch $@

lock:
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.txt; }
	@$(UV_COMPILE) $(UPGRADE) -o requirements.txt
	@$(UV_COMPILE) $(UPGRADE) -c requirements.txt --group dev -o requirements-dev.txt
	@awk '/^[a-z]/ { keep = /^uv==/ } keep' requirements-dev.txt > requirements-setup.txt

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .runs
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
