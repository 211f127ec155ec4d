"""Django's runner; a place for what the whole run shares."""

from django.test.runner import DiscoverRunner


class Runner(DiscoverRunner):
    """Discovers below tests/."""
