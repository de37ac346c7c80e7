from django.apps import AppConfig


class KeysConfig(AppConfig):
    name = "keys"

    def ready(self) -> None:
        from accounts.signals import changed
        from keys.invalidation import record_invalidation

        changed.connect(record_invalidation, dispatch_uid="keys.invalidation")
