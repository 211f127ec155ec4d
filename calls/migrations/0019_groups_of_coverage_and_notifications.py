"""Adds the permissions of coverage, refusals, alarms and webhooks to the groups of migration 0008.

Viewers, Listeners and Exporters may see coverage, events, statements, refusals and alarms; Listeners
may also acknowledge alarms; Administrators may do all of that and manage webhooks. Makes no group: a
site that has deleted or renamed one keeps to that. A group of one of these names that a site has
made itself gets the permissions too, since nothing tells them apart.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

SEE = ["view_callcoverage", "view_callevent", "view_expectedcall", "view_refusedhandshake", "view_raisedalarm"]
GROUPS = {
    "Viewers": SEE,
    "Listeners": [*SEE, "change_raisedalarm"],
    "Exporters": SEE,
}
ADMINISTRATORS = "Administrators"
OF_ADMINISTRATORS = (
    *("callcoverage", "callevent", "expectedcall", "refusedhandshake", "raisedalarm"),
    *("webhookendpoint", "outgoingevent", "webhookdelivery", "deliveryattempt", "joblease"),
)
"""All permissions of these models."""


def allow(apps: Any, schema_editor: Any) -> None:
    """Adds the permissions to groups of these names."""
    database = schema_editor.connection.alias
    config = apps.get_app_config("calls")
    config.models_module = True  # historical apps have none, and nothing would be made
    create_permissions(config, apps=apps, using=database, verbosity=0)
    groups = apps.get_model("auth", "Group").objects.using(database)
    added = apps.get_model("auth", "Permission").objects.using(database).filter(content_type__app_label="calls")
    for name, codenames in GROUPS.items():
        for group in groups.filter(name=name):
            group.permissions.add(*added.filter(codename__in=codenames))
    for group in groups.filter(name=ADMINISTRATORS):
        group.permissions.add(*added.filter(content_type__model__in=OF_ADMINISTRATORS))


class Migration(migrations.Migration):
    """Going back leaves them: they go with their tables."""

    dependencies = [("calls", "0018_coverage_and_notifications")]

    operations = [migrations.RunPython(allow, migrations.RunPython.noop)]
