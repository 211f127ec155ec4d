"""Accessibility checks by axe-core.

axe-core (MPL-2.0, Deque) comes with axe-playwright-python, for tests only.
"""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def violations(page: Page) -> list[str]:
    """Returns a line for each element of the page that violates a rule."""
    rules = Axe().run(page).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['target'][0]}"
        for rule in rules
        for node in rule["nodes"]
    ]
