"""Makes the group Auditors, who see the audit and no audio; Administrators see the audit, too."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

AUDITORS, ADMINISTRATORS = "Auditors", "Administrators"


def make_group(apps: Any, schema_editor: Any) -> None:
    """Leaves a group of that name that exists unchanged; makes no Administrators."""
    database = schema_editor.connection.alias
    config = apps.get_app_config("calls")
    config.models_module = True  # historical apps have none, and nothing would be made
    create_permissions(config, apps=apps, using=database, verbosity=0)
    groups = apps.get_model("auth", "Group").objects.using(database)
    permissions = apps.get_model("auth", "Permission").objects.using(database)
    seeing = permissions.filter(content_type__app_label="calls", codename="view_auditentry")
    auditors, is_new = groups.get_or_create(name=AUDITORS)
    if is_new:
        auditors.permissions.set(seeing)
    # administrators can give only permissions that they have
    for group in groups.filter(name=ADMINISTRATORS):
        group.permissions.add(*seeing)


class Migration(migrations.Migration):
    """Going back leaves the group: people may be in it."""

    dependencies = [("calls", "0021_audit")]

    operations = [migrations.RunPython(make_group, migrations.RunPython.noop)]
