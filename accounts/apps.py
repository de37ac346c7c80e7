from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        """Once the models are there: what Django does not look for by itself."""
        from accounts.desk import changes, logins, staff  # noqa: F401  # pages beside accounts.admin's, and receivers

        post_migrate.connect(_sync_roles, dispatch_uid="accounts.roles")


def _sync_roles(app_config: AppConfig, **_: object) -> None:
    """Once all models have their permissions: the last of our apps was migrated."""
    from accounts.roles import sync_roles

    if app_config.name == "analytics":
        sync_roles()
