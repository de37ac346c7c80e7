"""Denials of a kind that is rare among an account's: the few are found without reading those over the quota."""

from django.db import migrations

# 2 is over the quota (keys.models.Outcome); an index of each kind's order serves the kinds beyond.
CREATE = "CREATE INDEX decision_rare ON keys_decision (account_id, outcome, at, id) WHERE outcome > 2"


class Migration(migrations.Migration):
    dependencies = [("keys", "0011_grants_taken_back")]

    operations = [migrations.RunSQL(CREATE, "DROP INDEX decision_rare")]
