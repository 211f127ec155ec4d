"""Imports between JavaScript modules carry the hash of the imported file."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from django.core.files.storage import storages
from django.core.management import call_command
from django.test import SimpleTestCase, override_settings

from acsmedia import settings as product


class HashedModulesTests(SimpleTestCase):
    def test_every_import_has_the_hash_of_the_imported_file(self) -> None:
        with TemporaryDirectory() as folder:
            hashed = {
                **product.STORAGES,
                "staticfiles": {"BACKEND": "calls.http.static_files.HashedModules"},
            }
            # Only the files of this project: packages bring many more.
            finders = ["django.contrib.staticfiles.finders.FileSystemFinder"]
            project_files = [Path(product.BASE_DIR) / "calls" / "static"]
            with override_settings(
                STATIC_ROOT=folder,
                STORAGES=hashed,
                STATICFILES_FINDERS=finders,
                STATICFILES_DIRS=project_files,
            ):
                call_command("collectstatic", interactive=False, verbosity=0)
                dashboard = Path(folder) / storages["staticfiles"].url(
                    "calls/js/dashboard/dashboard.js"
                ).removeprefix(product.STATIC_URL)
                imports = re.findall(r'^import.*"\./(.+)";', dashboard.read_text(), re.MULTILINE)
                self.assertGreaterEqual(len(imports), 5)
                for name in imports:
                    self.assertRegex(name, r"\.[0-9a-f]{12}\.js$")
                    self.assertTrue((dashboard.parent / name).exists())
