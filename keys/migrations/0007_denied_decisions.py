"""What was refused is looked for far more often than what passed, and is far less: an index of it alone."""

from django.db import migrations

CREATE = "CREATE INDEX decision_denied ON keys_decision (account_id, at, id) WHERE outcome <> 1"


class Migration(migrations.Migration):
    dependencies = [("keys", "0006_lists_by_index")]

    operations = [migrations.RunSQL(CREATE, "DROP INDEX decision_denied")]
