# make chat   installs into a virtual environment and starts the example at http://127.0.0.1:8000
# make cluster   the same on two processes behind nginx, with a Redis; needs nginx and redis-server
# make test   installs what the tests need and runs them all, with the checkers
# make faults   mistreats the server for longer than the tests do; FAULTS_SEED=... tries the same again
# make benchmark OPTIONS="--full"   compares with other servers, see benchmarks/README.rst
# make pythons PYTHONS="python3.10 python3.13"   runs the tests on each of these

PYTHON ?= python3
VENV ?= .venv
PYTHONS ?= python3.10 python3.11 python3.12 python3.13
BIN = $(VENV)/bin

.PHONY: chat cluster test check pythons faults benchmark clean

chat: $(VENV)/installed
	$(BIN)/python example/main_app.py

cluster: $(VENV)/ready-for-redis
	$(BIN)/python example/cluster.py

# Files of tests run beside each other, as most of them wait a lot. What fails then, as a machine can be too busy for the
# clocks of a test, has to pass alone; both is shown.
BESIDE ?= -n 2 --dist loadfile
test: $(VENV)/ready-to-test tests/clients/node_modules check
	$(BIN)/python -m pytest $(BESIDE) $(TESTS) || \
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(TESTS)

check: $(VENV)/ready-to-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

pythons:
	for python in $(PYTHONS); do \
		$(MAKE) test PYTHON=$$python VENV=.venv-$$(basename $$python) || exit 1; \
	done

faults: $(VENV)/ready-to-test
	FAULTS_SCALE=$${FAULTS_SCALE:-40} $(BIN)/python -m pytest -s tests/faults

benchmark: $(VENV)/ready-to-benchmark tests/clients/node_modules
	$(BIN)/python benchmarks/run.py $(OPTIONS)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python setup.py
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/ready-for-redis: $(VENV)/installed setup.py
	$(BIN)/python -m pip install --quiet --editable ".[redis]"
	touch $@

$(VENV)/ready-to-test: $(VENV)/installed setup.py
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

$(VENV)/ready-to-benchmark: $(VENV)/installed benchmarks/requirements.txt
	$(BIN)/python -m pip install --quiet --requirement benchmarks/requirements.txt
	touch $@

tests/clients/node_modules: tests/clients/package.json tests/clients/package-lock.json
	if command -v npm >/dev/null; then npm ci --prefix tests/clients --ignore-scripts --no-audit --no-fund --silent && touch $@; \
	else echo "no npm: the tests with the official clients will be skipped"; fi

clean:
	rm -rf .venv .venv-* build dist *.egg-info tests/clients/node_modules .pytest_cache .mypy_cache .ruff_cache
