"""Adds the audit and the triggers that protect it."""

from django.db import migrations, models

from calls.models.audit import protection


class Migration(migrations.Migration):

    dependencies = [
        ('calls', '0020_names_of_participants'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('number', models.BigIntegerField(help_text='The place in the chain, from 1.', primary_key=True, serialize=False)),
                ('at', models.DateTimeField(help_text='By the clock of the database.')),
                ('actor_kind', models.CharField(choices=[('user', 'User'), ('key', 'Key of REST'), ('command', 'Management command'), ('system', 'System')], max_length=16)),
                ('actor_name', models.CharField(blank=True, max_length=256)),
                ('actor_id', models.CharField(blank=True, help_text='The id of the user.', max_length=64)),
                ('address', models.CharField(blank=True, max_length=64)),
                ('action', models.CharField(help_text='A value of `Action`.', max_length=32)),
                ('call', models.UUIDField(help_text='No foreign key: calls are deleted, this is not.', null=True)),
                ('call_connection_id', models.CharField(blank=True, max_length=256)),
                ('reason', models.TextField(blank=True)),
                ('detail', models.JSONField(default=dict)),
                ('previous_hash', models.CharField(max_length=64)),
                ('hash', models.CharField(max_length=64)),
            ],
            options={
                'verbose_name_plural': 'audit entries',
                'ordering': ['-number'],
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['call', 'number'], name='audit_of_call'), models.Index(fields=['actor_name', 'number'], name='audit_of_actor'), models.Index(fields=['action', 'number'], name='audit_of_action'), models.Index(fields=['at'], name='audit_at')],
            },
        ),
        migrations.RunPython(protection.add, protection.remove),
    ]
