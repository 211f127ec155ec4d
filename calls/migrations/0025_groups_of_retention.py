"""Gives Administrators the permissions of legal holds: to see, to set and to lift them.

Makes no group: a site that has deleted or renamed one keeps to that.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

CODENAMES = ("view_legalhold", "set_legalhold", "lift_legalhold")


def allow(apps: Any, schema_editor: Any) -> None:
    """Adds the permissions to a group of this name."""
    database = schema_editor.connection.alias
    config = apps.get_app_config("calls")
    config.models_module = True  # historical apps have none, and nothing would be made
    create_permissions(config, apps=apps, using=database, verbosity=0)
    permissions = apps.get_model("auth", "Permission").objects.using(database)
    added = permissions.filter(content_type__app_label="calls", codename__in=CODENAMES)
    groups = apps.get_model("auth", "Group").objects.using(database)
    for group in groups.filter(name="Administrators"):
        group.permissions.add(*added)


class Migration(migrations.Migration):
    """Going back leaves them: they go with their tables."""

    dependencies = [("calls", "0024_legal_holds")]

    operations = [migrations.RunPython(allow, migrations.RunPython.noop)]
