"""Application configuration of `streams`; registers its system checks."""

from django.apps import AppConfig


class StreamsConfig(AppConfig):
    name = "streams"
    verbose_name = "Live streams"

    def ready(self) -> None:
        from streams import checks  # noqa: F401 - registers the system checks
