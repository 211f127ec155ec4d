// <time class="local" datetime="…"> in the browser's time zone, with UTC as tooltip.

const STYLES = {
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  date: { year: "numeric", month: "2-digit", day: "2-digit" },
};
STYLES.datetime = { ...STYLES.date, ...STYLES.time };

/** Formats as "2026-11-25 14:03:09" in `zone` (default: the browser's); "" if invalid. PURE. */
export function localText(iso, style = "datetime", zone = undefined) {
  const moment = new Date(iso);
  if (!iso || Number.isNaN(moment.getTime())) return "";
  // Swedish dates look like ISO 8601, which all countries understand.
  return new Intl.DateTimeFormat("sv-SE", {
    ...(STYLES[style] ?? STYLES.datetime),
    timeZone: zone,
  }).format(moment);
}

/** Formats as "2026-11-25 13:03:09 UTC". PURE. */
export function utcText(iso) {
  return `${localText(iso, "datetime", "UTC")} UTC`;
}

/** Converts all times below `root`, again only if their `datetime` has changed. */
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
