// <time class="local" datetime="…"> in the reader's own zone, UTC on hover. Without JavaScript the server's UTC stays.

const STYLES = {
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  date: { year: "numeric", month: "2-digit", day: "2-digit" },
};
STYLES.datetime = { ...STYLES.date, ...STYLES.time };

/** "2026-11-25 14:03:09" in `zone` (the reader's own if absent), "" for what is no time. PURE. */
export function localText(iso, style = "datetime", zone = undefined) {
  const moment = new Date(iso);
  if (!iso || Number.isNaN(moment.getTime())) return "";
  // Sweden writes dates as ISO 8601 does; readers of all countries understand them.
  return new Intl.DateTimeFormat("sv-SE", { ...(STYLES[style] ?? STYLES.datetime), timeZone: zone }).format(moment);
}

/** "2026-11-25 13:03:09 UTC". PURE. */
export function utcText(iso) {
  return `${localText(iso, "datetime", "UTC")} UTC`;
}

/** All times below `root`, once each, also those whose `datetime` has changed since. */
export function localiseTimes(root = document) {
  for (const element of root.querySelectorAll("time.local[datetime]")) {
    const iso = element.getAttribute("datetime");
    if (element.dataset.localised === iso) continue;
    const text = localText(iso, element.dataset.style);
    if (!text) continue;
    element.textContent = text;
    element.title = utcText(iso);
    element.dataset.localised = iso;
  }
}

if (typeof document !== "undefined") localiseTimes();
