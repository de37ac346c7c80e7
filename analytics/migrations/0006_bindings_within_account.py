"""An access key is bound within its account: the key, its account, the app and the environment agree."""

import django.db.models.deletion
from django.db import migrations, models

BIND = """
ALTER TABLE analytics_keybinding ADD COLUMN account_id bigint, ADD COLUMN app_id bigint;
UPDATE analytics_keybinding AS binding SET account_id = accesskey.account_id, app_id = environment.app_id
  FROM accounts_accesskey AS accesskey, analytics_environment AS environment
 WHERE accesskey.id = binding.access_key_id AND environment.id = binding.environment_id;
ALTER TABLE analytics_keybinding ALTER COLUMN account_id SET NOT NULL, ALTER COLUMN app_id SET NOT NULL,
    ADD CONSTRAINT binding_key_of_account FOREIGN KEY (account_id, access_key_id) REFERENCES accounts_accesskey (account_id, id) DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT binding_app_of_account FOREIGN KEY (account_id, app_id) REFERENCES analytics_app (account_id, id) DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT binding_environment_of_app FOREIGN KEY (app_id, environment_id) REFERENCES analytics_environment (app_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
UNBIND = "ALTER TABLE analytics_keybinding DROP COLUMN account_id, DROP COLUMN app_id"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_access_key_account_id"), ("analytics", "0005_folding_of_decisions")]

    operations = [
        migrations.RemoveIndex(model_name="app", name="app_of_account"),
        migrations.AddConstraint(
            model_name="app",
            constraint=models.UniqueConstraint(fields=("account", "id"), name="app_account_id"),
        ),
        migrations.AddConstraint(
            model_name="environment",
            constraint=models.UniqueConstraint(fields=("app", "id"), name="environment_app_id"),
        ),
        migrations.RunSQL(
            BIND,
            UNBIND,
            state_operations=[
                migrations.AddField(
                    model_name="keybinding",
                    name="account",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.account",
                    ),
                    preserve_default=False,
                ),
                migrations.AddField(
                    model_name="keybinding",
                    name="app",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="analytics.app",
                    ),
                    preserve_default=False,
                ),
            ],
        ),
    ]
