# `make run` for a first look, `make demo` with simulated calls, `make test` and `make lint` before a commit.
# Needs Python 3.11 or newer and nothing else; everything is installed into .venv.

PYTHON ?= python3
VENV := .venv
# What may be set for one run, as in `make run PORT=8001`: HOST, PORT, DATA_DIR, SERVER, OPERATOR_PASSWORD and every
# other variable of the README. Make hands variables of its command line on to what it runs.

.PHONY: help run demo manage test test-once test-sqlite test-real lint coverage torture bench clean

help:
	@echo "make run        the real server, for a first look:   http://127.0.0.1:8000/"
	@echo "make demo       the same, with three simulated calls in a loop"
	@echo 'make manage do="..."   manage.py with the settings of run and demo'
	@echo "make test       the whole suite on SQLite and on real Postgres and Redis"
	@echo "make lint       ruff, mypy, migrations, check --deploy"
	@echo "make torture    every fault once: what was sent against what is stored; see docs/durability.md"
	@echo "make bench      how many calls one core takes, and where the time goes; see docs/capacity.md"
	@echo "make coverage   of the whole suite, and of each pure module by its own tests"

run: $(VENV)/installed
	@exec $(VENV)/bin/python -m acsmedia.quickstart run

demo: $(VENV)/installed
	@exec $(VENV)/bin/python -m acsmedia.quickstart demo

manage: $(VENV)/installed
	@exec $(VENV)/bin/python -m acsmedia.quickstart manage $(do)

# Two parts at a time: they wait for clocks, processes and pages as long as they compute.
test: $(VENV)/installed-dev
	@$(MAKE) --no-print-directory -j2 test-once test-real test-sqlite

# Pages in a browser, JavaScript, the build, servers that bring their own database.
ONCE = once browser javascript

test-once: $(VENV)/installed-dev
	$(VENV)/bin/python manage.py test $(ONCE:%=--tag %)

test-sqlite: $(VENV)/installed-dev
	$(VENV)/bin/python manage.py test $(ONCE:%=--exclude-tag %)

# Again on real Postgres and Redis, less what cannot differ there: see tests/runner.py.
test-real: $(VENV)/installed-dev
	$(VENV)/bin/python -m tests.backends -- $(VENV)/bin/python manage.py test --again

# What an installation has to set, and nothing more: the defaults have to pass.
PRODUCTION = env SECRET_KEY="$$($(VENV)/bin/python -c 'import secrets; print(secrets.token_urlsafe(50))')" \
  ALLOWED_HOSTS=calls.example.com ACS_RESOURCE_ID=00000000-0000-0000-0000-000000000000 DATA_DIR=/tmp

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/mypy .
	DJANGO_SETTINGS_MODULE=tests.settings $(VENV)/bin/python manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(VENV)/bin/python manage.py check --deploy --fail-level WARNING

coverage: $(VENV)/installed-dev
	$(VENV)/bin/python -m tests.coverage_of_pure
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run manage.py test
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report

# FAULT= FROM= ROUNDS= SERVER=daphne|uvicorn DATABASE=sqlite|postgres SEED= for some of it; LONG=1 for a night.
TORTURE = $(if $(FAULT),--fault $(FAULT)) $(if $(FROM),--from $(FROM)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
  $(if $(SERVER),--server $(SERVER)) $(if $(DATABASE),--database $(DATABASE)) $(if $(SEED),--seed $(SEED)) \
  $(if $(LONG),--long)

torture: $(VENV)/installed-dev
	@exec $(VENV)/bin/python -m tests.torture $(TORTURE)

# DO="capacity --rows ours-uvicorn" for a part of it; DO="--help" says more.
bench: $(VENV)/installed-dev
	@exec $(VENV)/bin/python -m bench $(DO)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* staticfiles

# Installed again only when the requirements change. The file is written last, so that an interrupted installation is
# repeated; --no-compile, because most of what is installed is never imported in one run.
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check --no-compile --quiet

$(VENV)/installed: requirements.txt $(VENV)/python
	@echo "Installing into $(VENV) ..."
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements.txt $(VENV)/python
	@echo "Installing into $(VENV), with what tests need ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@ $(VENV)/installed

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is missing or older than 3.11. Another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@
