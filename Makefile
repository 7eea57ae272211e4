# make repro   set up .venv the first time, then run the whole pipeline
#              RECIPE=cifar10 copies recipes/cifar10.yaml to params.yaml first
# make test    the same set-up, then the tests        make lint    ruff and mypy
# make test-all   every test but the emulated ones and those for a GPU, the slow ones too, as CI runs
# make test-portable   the same bits on emulated processors and in any number of threads
# make lock    regenerate the pinned requirements     make clean   remove what can be made again
#              UPGRADE=--upgrade takes newer versions; `dvc repro` then runs what they change
# make pins    packages.yaml, from the requirements: the packages that stages name in dvc.yaml

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin# relative: the folder of the checkout may have any name
PYTEST_ARGS ?=
EXTRAS := --extra export --extra credentials --extra celeba --extra few --extra tensorboard --extra mlflow --extra wandb --extra hub
# One version for every Python: two of numpy would be two results of one revision.
UV_COMPILE := uv pip compile pyproject.toml --universal --fork-strategy fewest --generate-hashes --quiet \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate

# DVC runs `python -m gan.stages.NAME`: the venv's own python must come first.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONUNBUFFERED := 1
# Names in UTF-8, whatever the locale is.
export PYTHONUTF8 := 1
# Private: DVC's default is a folder that every user can write to, and it holds pickles.
export DVC_SITE_CACHE_DIR ?= $(CURDIR)/.dvc/tmp/site
# Nothing phones home.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export GX_ANALYTICS_ENABLED := false
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: repro recipe test test-all test-portable lint lock pins setup clean
.DEFAULT_GOAL := repro

repro: setup $(if $(RECIPE),recipe)
	@python -m gan.source_state
	@dvc repro
	@printf '\n  grid     samples/grid.png\n  metrics  reports/metrics.json\n  report   reports/index.html\n'
	@python -m flows.page || true

recipe:
	@test -f "recipes/$(RECIPE).yaml" || { echo "error: recipes/$(RECIPE).yaml: no such recipe; there are:" recipes/*.yaml >&2; exit 1; }
	@git diff --quiet HEAD -- params.yaml || for known in recipes/*.yaml; do cmp -s params.yaml $$known && exit 0; done || \
		{ echo "error: params.yaml: holds changes that no commit and no recipe has; commit or stash them first" >&2; exit 1; }
	@cp "recipes/$(RECIPE).yaml" params.yaml

test: setup
	@python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-all: setup
	@python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m 'not emulated and not gpu' $(PYTEST_ARGS)

test-portable: setup
	@python -m pytest -m 'slow or emulated' tests/test_portable.py $(PYTEST_ARGS)

lint: setup
	@ruff check .
	@ruff format --check .
	@mypy

setup: $(VENV)/.complete

# The stamp is written last: an interrupted set-up is simply done again.
$(VENV)/.complete: requirements-setup.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 setup")'
	@echo "Setting up $(VENV) (some gigabytes the first time) ..."
	@rm -f $@
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.txt
	@uv pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python requirements-dev.txt
	@# The command `ganflow`. Built with the pinned setuptools; its dependencies are installed already.
	@uv pip install --quiet --no-deps --no-build-isolation --offline --python $(BIN)/python --editable .
	@# DVC's private folder, as above, for commands that are typed.
	@# It writes ASCII alone to its configuration, so a folder with other letters has it by the variable only.
	@grep -q DVC_SITE_CACHE_DIR $(BIN)/activate || printf '%s\n' 'export PYTHONUTF8=1' \
		'export DVC_SITE_CACHE_DIR="$${VIRTUAL_ENV%/*}/.dvc/tmp/site"' >> $(BIN)/activate
	@if $(BIN)/python -c 'import os; raise SystemExit(not os.getcwd().isascii())'; \
		then dvc config --local core.site_cache_dir "$$PWD/.dvc/tmp/site"; fi
	@touch $@

lock:
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.txt; }
	@$(UV_COMPILE) $(UPGRADE) -o requirements.txt
	@$(UV_COMPILE) $(UPGRADE) -c requirements.txt --group dev $(EXTRAS) -o requirements-dev.txt
	@awk '/^[a-z]/ { keep = /^uv==/ } keep' requirements-dev.txt > requirements-setup.txt
	@$(MAKE) --no-print-directory pins

# No tool but awk, and no network. In quotes: 1.10 is no number.
pins:
	@awk 'NR == FNR { if (sub(/.*packages.yaml: *\[/, "")) listed = 1; if (!listed) next; if (sub(/\].*/, "")) listed = 0; \
			gsub(/,/, " "); for (i = 1; i <= NF; i++) used[$$i]; next } \
		{ split($$1, pin, "=="); if (pin[1] in used && pin[2]) print pin[1] ": \"" pin[2] "\"" }' \
		dvc.yaml requirements-dev.txt | LC_ALL=C sort -t: -k1,1 > .packages.yaml.tmp && mv .packages.yaml.tmp packages.yaml

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .runs
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
