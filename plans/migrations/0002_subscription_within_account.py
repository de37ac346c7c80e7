"""A subscription, its user and its plan belong to one account."""

from django.db import migrations

ADD = """
ALTER TABLE plans_subscription ADD CONSTRAINT subscription_user_of_account FOREIGN KEY (account_id, user_id) REFERENCES accounts_user (account_id, id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE plans_subscription ADD CONSTRAINT subscription_plan_of_account FOREIGN KEY (account_id, plan_id) REFERENCES plans_plan (account_id, id) DEFERRABLE INITIALLY DEFERRED;
"""
DROP = """
ALTER TABLE plans_subscription DROP CONSTRAINT subscription_user_of_account;
ALTER TABLE plans_subscription DROP CONSTRAINT subscription_plan_of_account;
"""


class Migration(migrations.Migration):
    dependencies = [("plans", "0001_initial")]

    operations = [migrations.RunSQL(ADD, DROP)]
