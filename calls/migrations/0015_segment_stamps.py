from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('calls', '0014_socket_clocks'),
    ]

    operations = [
        migrations.AddField(
            model_name='segment',
            name='stamps',
            field=models.BinaryField(help_text='Timestamps of its packets; only for audio of two sockets at once.', null=True),
        ),
    ]
