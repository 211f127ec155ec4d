from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

SEE = [f"view_{model}" for model in ("call", "subscription", "participant", "segment", "ledgerentry")]
GROUPS = {
    "Viewers": SEE,
    "Listeners": [*SEE, "hear_recording", "listen_live"],
    "Exporters": [*SEE, "hear_recording", "export_recording"],
}
ADMINISTRATORS = "Administrators"
OF_ADMINISTRATORS = ("calls", "auth", "authtoken")
"""All permissions of these."""


def make_groups(apps: Any, schema_editor: Any) -> None:
    """A group of that name that is there already is the site's own, and stays as it is."""
    for label in OF_ADMINISTRATORS:
        config = apps.get_app_config(label)
        config.models_module = True  # historical apps have none, and nothing would be made
        create_permissions(config, apps=apps, using=schema_editor.connection.alias, verbosity=0)
    group, permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    database = schema_editor.connection.alias
    everything = permission.objects.using(database)
    for name, codenames in GROUPS.items():
        made, is_new = group.objects.using(database).get_or_create(name=name)
        if is_new:
            made.permissions.set(everything.filter(content_type__app_label="calls", codename__in=codenames))
    made, is_new = group.objects.using(database).get_or_create(name=ADMINISTRATORS)
    if is_new:
        made.permissions.set(everything.filter(content_type__app_label__in=OF_ADMINISTRATORS))


class Migration(migrations.Migration):
    """Groups to put people into. Going back leaves them: people may be in them."""

    dependencies = [
        ("calls", "0007_permissions_and_listening"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("authtoken", "0004_alter_tokenproxy_options"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
