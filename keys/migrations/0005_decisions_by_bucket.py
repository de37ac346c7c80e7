"""The order of a bucket's stream, kept by an index: who follows the ledger reads on from where it was."""

from django.db import migrations

CREATE = "CREATE INDEX decision_of_bucket ON keys_decision ((get_byte(uuid_send(id), 6) & 15), id)"


class Migration(migrations.Migration):
    dependencies = [("keys", "0004_find_keys")]

    operations = [migrations.RunSQL(CREATE, "DROP INDEX decision_of_bucket")]
