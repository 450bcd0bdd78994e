# Two commands for a newcomer: `make demo` and `make test`. `make check` is what CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DOOR := $(VENV)/.door
STAMP := $(VENV)/.installed

.PHONY: demo test check format clean

demo: $(DOOR)
	@$(BIN)/zuluko up door

# Half of a test's time is waiting, so that three workers keep two cores busy; to each its share of the files in a
# row, for the sake of what a file's tests share, until it helps the others. What is compiled once is not by each of
# the processes that the tests start, wherever PYTHONDONTWRITEBYTECODE is set.
PYTEST := $(BIN)/python -m compileall -q zuluko tests benchmarks && $(BIN)/pytest -n 3 --dist worksteal

test: $(STAMP)
	$(PYTEST)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST)

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What the door needs, and for tests and checks all that there is, on top of it.
$(DOOR): WHAT := .[face]
$(STAMP): WHAT := .[dev]
$(STAMP): $(DOOR)
$(DOOR) $(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "Zuluko needs Python 3.11, 3.12 or 3.13; give one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "This Python cannot make an environment; run: apt-get install python3-venv"; exit 1; }
	@echo "Installing $(WHAT) into $(VENV) (once, about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '$(WHAT)'
	@touch $@

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache
