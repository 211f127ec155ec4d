from django.db import migrations, models

from calls.models.schema_changes import AddField


class Migration(migrations.Migration):

    dependencies = [
        ('calls', '0014_socket_clocks'),
    ]

    operations = [
        AddField(
            model_name='segment',
            name='stamps',
            field=models.BinaryField(help_text='Timestamps of its packets; only for audio of two sockets at once.', null=True),
        ),
    ]
