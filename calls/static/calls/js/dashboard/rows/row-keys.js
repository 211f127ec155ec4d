// Keyboard shortcuts of the dashboard: arrows or j and k move, Enter opens a call (it is a link), l
// starts or stops listening if permitted, / filters, a opens and closes the alarms.

const STEPS = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

/**
 * @param list parent of the rows @param search the field that / focuses
 * @param toggleAlarms opens or closes the alarms
 */
export function listenToKeys(list, search, toggleAlarms) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key === "/") {
      event.preventDefault();
      search.focus();
    } else if (event.key === "a") {
      toggleAlarms();
    } else if (event.key === "l") {
      const row = document.activeElement.closest("[data-call], [data-alarm]");
      row?.querySelector("[data-do=listen]")?.click();
    } else if (
      event.key in STEPS &&
      (event.key.length === 1 || list.contains(document.activeElement))
    ) {
      step(list, STEPS[event.key], event);
    }
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && search.value === "") search.blur();
    if (event.key === "ArrowDown") step(list, 1, event);
  });
}

function step(list, by, event) {
  const titles = Array.from(list.querySelectorAll('[data-part="title"]'));
  const current = titles.indexOf(
    document.activeElement?.closest("[data-call]")?.querySelector('[data-part="title"]'),
  );
  const next = titles[current < 0 ? 0 : Math.min(titles.length - 1, Math.max(0, current + by))];
  if (!next) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.closest("[data-call]").scrollIntoView({ block: "nearest" });
}

function isTyping(target) {
  return (
    target instanceof Element &&
    target.closest("input, select, textarea, [contenteditable]") !== null
  );
}
