from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUP = "Administrators"
CODENAMES = ("view_accessattempt", "delete_accessattempt")


def allow(apps: Any, schema_editor: Any) -> None:
    """Whoever administrates sees who has failed to log in, and lets them try again by deleting that."""
    config = apps.get_app_config("axes")
    config.models_module = True  # historical apps have none, and nothing would be made
    database = schema_editor.connection.alias
    create_permissions(config, apps=apps, using=database, verbosity=0)
    permissions = apps.get_model("auth", "Permission").objects.using(database)
    wanted = permissions.filter(content_type__app_label="axes", codename__in=CODENAMES)
    for group in apps.get_model("auth", "Group").objects.using(database).filter(name=GROUP):
        group.permissions.add(*wanted)


class Migration(migrations.Migration):
    """Going back leaves the permissions: they go with the tables of django-axes."""

    dependencies = [("calls", "0010_administrators_see_processes"), ("axes", "0010_accessattemptexpiration")]

    operations = [migrations.RunPython(allow, migrations.RunPython.noop)]
