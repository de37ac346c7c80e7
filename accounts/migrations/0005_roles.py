"""The staff's roles, as groups; their permissions come after each `migrate` (accounts.roles)."""

from django.db import migrations

ROLES = ("Viewer", "Support", "Operator", "Administrator")


def make_groups(apps, schema_editor):
    groups = apps.get_model("auth", "Group").objects
    for name in ROLES:
        groups.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_personal_data_permission"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
