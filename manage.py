#!/usr/bin/env python
"""Django's command line. `manage.py test` uses the settings of the test suite by default."""

import os
import sys
from importlib import import_module

from django.core.management import execute_from_command_line


def main() -> None:
    testing = sys.argv[1:2] == ["test"]
    os.environ.setdefault(
        "DJANGO_SETTINGS_MODULE", "tests.settings" if testing else "acsmedia.settings"
    )
    try:
        import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except ValueError as error:  # from environs; its message names the variable
        sys.exit(f"manage.py: {error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
