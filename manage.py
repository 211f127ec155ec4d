#!/usr/bin/env python
"""Django's command line. `manage.py test` runs with the settings of the test suite unless told otherwise."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    testing = sys.argv[1:2] == ["test"]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings" if testing else "acsmedia.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
