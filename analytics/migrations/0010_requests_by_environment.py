"""An environment's requests by an index of its own: those of a rare one are found without reading its neighbours'."""

from django.db import migrations

# On a partitioned table an index is made on every day in turn, and cannot be made concurrently.
CREATE = "CREATE INDEX request_of_environment ON analytics_requestlog (app_id, environment_id, at, uuid)"
DROP = "DROP INDEX request_of_environment"


class Migration(migrations.Migration):
    dependencies = [("analytics", "0009_environment_quarters")]

    operations = [migrations.RunSQL(CREATE, DROP)]
