# `make run` tries it, `make demo` adds simulated calls; `make test` and `make lint` before commits.
# Needs only Python 3.11 or newer; everything else is installed into .venv.

PYTHON ?= python3
VENV := .venv
# Variables for one run, as in `make run PORT=8001`: HOST, PORT, DATA_DIR, SERVER, OPERATOR_PASSWORD
# and all variables in the README. Make exports the variables of its command line to its commands.

.PHONY: help run demo manage test test-once test-pages test-sqlite test-real lint coverage torture \
  test-servers test-end-to-end simulate-laws bench clean

help:
	@echo "make run        the real server on this host:   http://127.0.0.1:8000/"
	@echo "make demo       the same, with three simulated calls in a loop"
	@echo 'make manage do="..."   manage.py with the settings of run and demo'
	@echo "make test       the whole suite on SQLite and on real Postgres and Redis"
	@echo "make lint       ruff, mypy, migrations, check --deploy"
	@echo "make torture    every fault once, comparing stored with sent audio; see docs/durability.md"
	@echo "make simulate-laws   HOURS=8 of simulated calls, judged by the laws; see docs/simulation.md"
	@echo "make bench      calls per core, and a profile of the time; see docs/capacity.md"
	@echo "make coverage   of the whole suite, and of each pure module by its own tests"

run: $(VENV)/installed
	@exec $(VENV)/bin/python -m acsmedia.quickstart run

demo: $(VENV)/installed
	@exec $(VENV)/bin/python -m acsmedia.quickstart demo

manage: $(VENV)/installed
	@exec $(VENV)/bin/python -m acsmedia.quickstart manage $(do)

# The longest parts first, five at once: they wait for clocks, processes and pages half of the
# time. Servers and pages in real time go before what only computes: a server that gets no core
# for a second has not read what its caller sent.
test: $(VENV)/installed-dev
	@$(MAKE) --no-print-directory -j5 test-real test-servers test-sqlite test-end-to-end \
	  test-pages test-once
COMPUTING = nice -n 10

# Tags of tests that run once: the build, and servers with a database of their own; pages in a
# browser, and JavaScript.
PAGES = browser javascript
ONCE = once $(PAGES)
ONCE_TESTS = $(VENV)/bin/python manage.py test --tag once $(PAGES:%=--exclude-tag %)
# Packages whose tests that run once mostly wait: for servers, and for calls in real time.
END_TO_END = tests.end_to_end
SERVERS = tests.acsmedia tests.deploy tests.project
PACKAGES = $(patsubst tests/%/__init__.py,tests.%,$(wildcard tests/*/__init__.py))

test-servers: $(VENV)/installed-dev
	$(ONCE_TESTS) $(SERVERS)

test-end-to-end: $(VENV)/installed-dev
	$(ONCE_TESTS) $(END_TO_END)

test-once: $(VENV)/installed-dev
	$(COMPUTING) $(ONCE_TESTS) $(filter-out $(END_TO_END) $(SERVERS),$(PACKAGES))

test-pages: $(VENV)/installed-dev
	$(VENV)/bin/python manage.py test $(PAGES:%=--tag %)

test-sqlite: $(VENV)/installed-dev
	$(COMPUTING) $(VENV)/bin/python manage.py test $(ONCE:%=--exclude-tag %)

# On real Postgres and Redis, without the tests that cannot differ there: see tests/runner.py.
test-real: $(VENV)/installed-dev
	$(COMPUTING) $(VENV)/bin/python -m tests.backends -- $(VENV)/bin/python manage.py test --again

# Only the variables that an installation must set: the defaults of all others must pass the checks.
RANDOM_KEY = $(VENV)/bin/python -c 'import secrets; print(secrets.token_urlsafe(50))'
PRODUCTION = env SECRET_KEY="$$($(RANDOM_KEY))" ALLOWED_HOSTS=calls.example.com \
  ACS_RESOURCE_ID=00000000-0000-0000-0000-000000000000 DATA_DIR=/tmp

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/mypy .
	DJANGO_SETTINGS_MODULE=tests.settings \
	  $(VENV)/bin/python manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(VENV)/bin/python manage.py check --deploy --fail-level WARNING

coverage: $(VENV)/installed-dev
	$(VENV)/bin/python -m tests.coverage_of_pure
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run manage.py test
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report

# FAULT= FROM= ROUNDS= SERVER=daphne|uvicorn DATABASE=sqlite|postgres SEED= select a part; LONG=1
# runs all night.
TORTURE = $(if $(FAULT),--fault $(FAULT)) $(if $(FROM),--from $(FROM)) \
  $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SERVER),--server $(SERVER)) \
  $(if $(DATABASE),--database $(DATABASE)) $(if $(SEED),--seed $(SEED)) $(if $(LONG),--long)

torture: $(VENV)/installed-dev
	@exec $(VENV)/bin/python -m tests.torture $(TORTURE)

# Stops after HOURS= or MINUTES= (one hour without both); FIRST= is the first seed, KINDS= a part of
# the faults, as in KINDS=step,stray.
SIMULATE = $(if $(HOURS),--hours $(HOURS)) $(if $(MINUTES),--minutes $(MINUTES)) \
  $(if $(HOURS)$(MINUTES),,--hours 1) $(if $(FIRST),--first $(FIRST)) $(if $(KINDS),--kinds $(KINDS))

simulate-laws: $(VENV)/installed-dev
	@exec $(VENV)/bin/python -m tests.simulation $(SIMULATE)

# DO="capacity --rows ours-uvicorn" selects a part; DO="--help" lists all.
bench: $(VENV)/installed-dev
	@exec $(VENV)/bin/python -m bench $(DO)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* staticfiles

# Installs again only when the requirements change. The marker file is written last, so that an
# interrupted installation is repeated; --no-compile, because one run imports only a small part.
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check --no-compile --quiet

$(VENV)/installed: requirements.txt $(VENV)/python
	@echo "Installing into $(VENV) ..."
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements.txt $(VENV)/python
	@echo "Installing into $(VENV), with the packages for tests ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@ $(VENV)/installed

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is missing or older than 3.11. Use another: make PYTHON=python3.12 ..." >&2; \
	    exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) cannot create a virtual environment." \
	    "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@
