"""What axe-core finds wrong with a page for people who cannot see it, or see little, or use no
mouse.

axe-core (MPL-2.0, Deque) comes with axe-playwright-python, for tests only.
"""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def violations(page: Page) -> list[str]:
    """One line for each element that breaks a rule, as the page is now; none where all is well."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['target'][0]}"
        for rule in found
        for node in rule["nodes"]
    ]
