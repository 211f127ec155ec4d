// What a dashboard tells about new alarms: which ones are new, the text of the notification, the
// tones, the title of the tab and its icon. PURE.

import { alarmKey, described, ranked, severityOf } from "../alarms.js";
import { counted } from "../../format.js";

const MAX_KEPT = 1_000; // of those that are not active any more: all others must stay told
const RING_MS = 5_000;
const MAX_LINES = 3;
const MAX_FIGURE = 9; // the icon has no room for a second digit
const RANK = { critical: 2, major: 1, minor: 0 };

// Of the design in base.css: a tab has no theme of the page.
const BADGES = { critical: "#c2362f", major: "#b7791f", minor: "#536362" };

/** The tones of a severity: beginning and length in seconds, frequency in Hz. */
export const TONES = Object.freeze({
  critical: [
    { at: 0, seconds: 0.16, hertz: 880 },
    { at: 0.2, seconds: 0.16, hertz: 660 },
    { at: 0.4, seconds: 0.16, hertz: 880 },
    { at: 0.6, seconds: 0.3, hertz: 660 },
  ],
  major: [
    { at: 0, seconds: 0.16, hertz: 660 },
    { at: 0.2, seconds: 0.3, hertz: 520 },
  ],
  minor: [{ at: 0, seconds: 0.25, hertz: 520 }],
});

/**
 * Returns the alarms that are not `told` yet, and what is told afterwards. An alarm that is raised
 * again is a new one; one that a lost connection hid for a while is not.
 * @param {string[]} told of the result before; [] at first
 */
export function untold(told, alarms) {
  const known = new Set(told);
  const fresh = alarms.filter((alarm) => !known.has(occurrence(alarm)));
  const active = new Set(alarms.map(occurrence));
  const past = told.filter((each) => !active.has(each)).slice(-MAX_KEPT);
  return { fresh, told: [...past, ...active] };
}

/** Returns the most severe of the severities of `alarms`, which are not empty. */
export function worst(alarms, severities) {
  return severityOf(ranked(alarms, severities)[0], severities);
}

/** Returns title and body of the notification about new alarms, the most severe first. */
export function notificationOf(alarms, calls, names) {
  const order = ranked(alarms, names.severities);
  const lines = order.map((alarm) => {
    const { text, call, participant } = described(alarm, calls, names);
    return { text, where: joined(participant, call) };
  });
  if (lines.length === 1) return { title: lines[0].text, body: lines[0].where };
  const more = lines.length - MAX_LINES;
  const listed = lines.slice(0, MAX_LINES).map(({ text, where }) => joined(text, where));
  return {
    title: counted(lines.length, "new alarm", "new alarms"),
    body: [...listed, ...(more > 0 ? [`and ${more} more`] : [])].join("\n"),
  };
}

/**
 * Returns whether a sound may begin: at most one in five seconds, unless it is more severe.
 * @param last `{at, severity}` of the sound before, null if there was none
 */
export function mayRing(last, now, severity) {
  return !last || now - last.at >= RING_MS || RANK[severity] > RANK[last.severity];
}

/** Returns the title of the tab. @param alarms, calls their numbers */
export function titleWith(title, { alarms, calls }) {
  const live = calls > 0 ? `(${calls}) ${title}` : title;
  return alarms > 0 ? `⚠ ${alarms} · ${live}` : live;
}

/**
 * Returns the icon of the tab as an address that contains it, with the number of alarms; "" if
 * there are none: the icon of the page is right then.
 */
export function iconWith(alarms, severity) {
  if (alarms === 0) return "";
  const figure = alarms > MAX_FIGURE ? `${MAX_FIGURE}+` : String(alarms);
  const size = figure.length > 1 ? 14 : 18;
  const svg = [
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">',
    '<rect width="32" height="32" rx="8" fill="#0f6f6b"/>',
    '<path d="M5 13v6M9.5 9v14" stroke="#fff" stroke-width="2.2" stroke-linecap="round"/>',
    `<circle cx="20.500" cy="16" r="11.500" fill="${BADGES[severity]}"/>`,
    `<text x="20.500" y="16" dy=".36em" fill="#fff" font-size="${size}" font-weight="700"`,
    ` font-family="sans-serif" text-anchor="middle">${figure}</text></svg>`,
  ].join("");
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

/** Joins texts; one that is empty or repeated is left out. */
function joined(...texts) {
  return [...new Set(texts.filter(Boolean))].join(" · ");
}

/** Identifies an alarm, each time it is raised, and again after it was snoozed. */
function occurrence(alarm) {
  return `${alarmKey(alarm)} ${alarm.since} ${alarm.care?.until ?? ""}`;
}
