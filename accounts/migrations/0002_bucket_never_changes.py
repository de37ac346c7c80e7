"""An account's bucket names its counters: changing it would lose them, so PostgreSQL refuses."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION accounts_refuse_new_bucket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the bucket of an account is for life' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER accounts_bucket_for_life BEFORE UPDATE OF bucket ON accounts_account
    FOR EACH ROW WHEN (OLD.bucket IS DISTINCT FROM NEW.bucket) EXECUTE FUNCTION accounts_refuse_new_bucket();
"""
ALLOW = (
    "DROP TRIGGER accounts_bucket_for_life ON accounts_account; DROP FUNCTION accounts_refuse_new_bucket();"
)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [migrations.RunSQL(REFUSE, ALLOW)]
