"""Accessibility checks by axe-core, and of two rules that it does not have: targets of at least 24
pixels (WCAG 2.5.8) and borders of controls with a contrast of 3:1 (WCAG 1.4.11).

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


def small_targets(page: Page) -> list[str]:
    """Returns the controls of the page that are less than 24 pixels wide or tall. Links within a
    text are no controls.
    """
    found: list[str] = page.evaluate(SMALL_TARGETS)
    return found


def faint_borders(page: Page) -> list[str]:
    """Returns the controls whose border has a contrast below 3:1, and no other sign of its own."""
    found: list[str] = page.evaluate(FAINT_BORDERS)
    return found


_CONTROLS = """
const named = each => `${each.localName}.${each.className} "${
  (each.getAttribute("aria-label") ?? each.textContent ?? "").trim().slice(0, 30)}"`;
const controls = selector => [...document.querySelectorAll(selector)].filter(each =>
  each.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })
  && !each.closest(".swagger-ui") && each.getBoundingClientRect().bottom > 0);
"""

SMALL_TARGETS = f"""() => {{ {_CONTROLS}
  return controls("a[href], button, input, select, summary").flatMap(each => {{
    if (each.localName === "a" && getComputedStyle(each).display === "inline") return [];
    const boxes = [each, ...(each.labels ?? [])].map(part => part.getBoundingClientRect());
    const width = Math.max(...boxes.map(box => box.width));
    const height = Math.max(...boxes.map(box => box.height));
    return Math.min(width, height) < 23.9 ? [`${{named(each)}} ${{width}} x ${{height}}`] : [];
  }});
}}"""

FAINT_BORDERS = f"""() => {{ {_CONTROLS}
  const rgba = text => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => {{
    const linear = [red, green, blue].map(value => value / 255).map(value =>
      value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  }};
  const contrast = (one, other) => {{
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }};
  const behind = each => {{
    for (let at = each.parentElement; at; at = at.parentElement) {{
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if ((colour[3] ?? 1) > 0.5) return colour;
    }}
    return [255, 255, 255];
  }};
  return controls("button, select, input:not([type=range], [type=checkbox]), .quiet-button")
    .flatMap(each => {{
      const style = getComputedStyle(each);
      if (each.disabled || !parseFloat(style.borderTopWidth)) return [];
      const ratio = contrast(rgba(style.borderTopColor), behind(each));
      return ratio < 3 ? [`${{named(each)}} ${{ratio.toFixed(2)}}`] : [];
    }});
}}"""
