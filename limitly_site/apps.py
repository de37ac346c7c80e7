from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "limitly_site"

    def ready(self) -> None:
        from limitly_site import checks as checks  # registers the system checks
