from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.db.models import Q

GROUP = "Administrators"
WANTED = Q(content_type__app_label="calls", content_type__model__in=("recorderprocess", "failedjournal")) | Q(
    content_type__app_label="axes", codename__in=("view_accessattempt", "delete_accessattempt")
)
"""Processes and what they could not seal; logins that failed, of which deleting one lets its owner try again."""


def allow(apps: Any, schema_editor: Any) -> None:
    """The group of migration 0008 gets what has been added since; a site that has done without it keeps to that."""
    database = schema_editor.connection.alias
    for label in ("calls", "axes"):
        config = apps.get_app_config(label)
        config.models_module = True  # historical apps have none, and nothing would be made
        create_permissions(config, apps=apps, using=database, verbosity=0)
    wanted = apps.get_model("auth", "Permission").objects.using(database).filter(WANTED)
    for group in apps.get_model("auth", "Group").objects.using(database).filter(name=GROUP):
        group.permissions.add(*wanted)


class Migration(migrations.Migration):
    """Going back leaves them: they go with their tables."""

    dependencies = [("calls", "0009_failed_work"), ("axes", "0010_accessattemptexpiration")]

    operations = [migrations.RunPython(allow, migrations.RunPython.noop)]
