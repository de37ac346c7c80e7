"""A key, its user, its plan and its secrets belong to one account."""

from django.db import migrations

ADD = """
ALTER TABLE keys_apikey ADD CONSTRAINT api_key_user_of_account FOREIGN KEY (account_id, user_id) REFERENCES accounts_user (account_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE keys_apikey ADD CONSTRAINT api_key_plan_of_account FOREIGN KEY (account_id, plan_id) REFERENCES plans_plan (account_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE keys_apikeysecret ADD CONSTRAINT api_key_secret_of_account FOREIGN KEY (account_id, api_key_id) REFERENCES keys_apikey (account_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
DROP = """
ALTER TABLE keys_apikey DROP CONSTRAINT api_key_user_of_account;
ALTER TABLE keys_apikey DROP CONSTRAINT api_key_plan_of_account;
ALTER TABLE keys_apikeysecret DROP CONSTRAINT api_key_secret_of_account;
"""


class Migration(migrations.Migration):
    dependencies = [("keys", "0002_partitioned_decisions")]

    operations = [migrations.RunSQL(ADD, DROP)]
