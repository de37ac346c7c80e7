from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "limitly_site"

    def ready(self) -> None:
        import limitly_site.checks  # noqa: F401  # registers the system checks
