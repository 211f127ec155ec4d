// <time class="local" datetime="…"> in the zone of the page, with UTC as tooltip. The browser names
// its zone to the server in a cookie, so that both mean the same days (calls/http/zones.py).

const COOKIE = "zone";
const KEPT_SECONDS = 365 * 24 * 3600;

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

/**
 * Returns the zone of a page: the one of the browser, `own`, or the one that the server has
 * `stated` if it knew `own` already: it may lack that zone. PURE.
 * @param sent the zone in the cookie that the server got
 */
export function zoneOf({ own, sent, stated }) {
  return stated && sent === own ? stated : own;
}

let zone; // of the page; undefined before `adoptZone`: the browser's

/** Makes `name` the zone of all times of this page, also of those that are converted later. */
export function adoptZone(name) {
  zone = name;
  nameZone();
}

/** Returns the zone of the page. */
export function currentZone() {
  return zone;
}

/** Formats in the zone of the page. */
export function shownText(iso, style = "datetime") {
  return localText(iso, style, zone);
}

/** Converts all times below `root`, again only if their `datetime` has changed. */
export function localiseTimes(root = document) {
  for (const element of root.querySelectorAll("time.local[datetime]")) {
    const iso = element.getAttribute("datetime");
    const key = `${iso} ${zone}`;
    if (element.dataset.localised === key) continue;
    const text = shownText(iso, element.dataset.style);
    if (!text) continue;
    element.textContent = text;
    element.title = utcText(iso);
    element.dataset.localised = key;
  }
  nameZone(root);
}

function nameZone(root = document) {
  if (!zone) return;
  for (const element of root.querySelectorAll("[data-zone-name]")) element.textContent = zone;
}

/** Returns the browser's zone, and the one in the cookie, which is then the browser's. */
function exchangeZones() {
  const own = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const sent = new RegExp(`(?:^|; )${COOKIE}=([^;]*)`).exec(document.cookie)?.[1] ?? "";
  if (own && own !== sent) {
    const secure = window.location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${COOKIE}=${own}; Path=/; Max-Age=${KEPT_SECONDS}; SameSite=Lax${secure}`;
  }
  return { own, sent };
}

if (typeof document !== "undefined") {
  adoptZone(zoneOf({ ...exchangeZones(), stated: document.documentElement.dataset.zone }));
  localiseTimes();
}
