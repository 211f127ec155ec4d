from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUP = "Administrators"
MODELS = ("recorderprocess", "failedjournal")


def allow(apps: Any, schema_editor: Any) -> None:
    """The group of migration 0008 gets what has been added since; a site that has done without it keeps to that."""
    config = apps.get_app_config("calls")
    config.models_module = True  # historical apps have none, and nothing would be made
    database = schema_editor.connection.alias
    create_permissions(config, apps=apps, using=database, verbosity=0)
    permissions = apps.get_model("auth", "Permission").objects.using(database)
    wanted = permissions.filter(content_type__app_label="calls", content_type__model__in=MODELS)
    for group in apps.get_model("auth", "Group").objects.using(database).filter(name=GROUP):
        group.permissions.add(*wanted)


class Migration(migrations.Migration):
    """Who administrates sees recorder processes and failed journals. Going back takes the tables, and these with them."""

    dependencies = [("calls", "0009_failed_work")]

    operations = [migrations.RunPython(allow, migrations.RunPython.noop)]
