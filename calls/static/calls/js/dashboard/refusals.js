// Texts about the recorders and about refused connections. PURE.

import { timeOfDay } from "../format.js";

export const unknown = Object.freeze({
  reporting: 0,
  silent_since: null,
  unseen: 0,
  refused: { from_acs: {}, others: {} },
});

/** Returns the banner about recorders that are missing or not seen; "" if all is well. */
export function missingText({ reporting, silent_since: since, unseen = 0 }) {
  if (since === null) return unseen > 0 ? unseenText(unseen) : "";
  const at = timeOfDay(since);
  return reporting > 0
    ? `A recorder has not reported since ${at}. Calls that it should record may be lost.`
    : `No recorder has reported since ${at}. Calls are not being recorded.`;
}

function unseenText(count) {
  const recorders = count === 1 ? "1 recorder has" : `${count} recorders have`;
  const reason = "the processes need a common REDIS_URL";
  return `${recorders} calls that this page cannot show live: ${reason}.`;
}

/**
 * Returns the figure for the bar, and the words after it, which a phone has no room for; both are
 * "" if nothing was refused in the last hour.
 */
export function refusedText({ refused }) {
  const [fromAcs, others] = [sum(refused.from_acs), sum(refused.others)];
  if (fromAcs > 0) return [`${format(fromAcs)} refused`, " from ACS"];
  return others > 0 ? [`${format(others)} refused`, ", none from ACS"] : ["", ""];
}

/** Returns [reason as text, from ACS, others], the largest numbers from ACS first. */
export function refusedRows({ refused: { from_acs: fromAcs, others } }, words) {
  const reasons = [...new Set([...Object.keys(fromAcs), ...Object.keys(others)])];
  return reasons
    .map((reason) => [words[reason] ?? reason, fromAcs[reason] ?? 0, others[reason] ?? 0])
    .sort((first, second) => second[1] - first[1] || second[2] - first[2]);
}

/** Returns the reasons why ACS is refused, for the alarm; "" if they are not known yet. */
export function reasonsOf({ refused }, words) {
  return refusedRows({ refused: { from_acs: refused.from_acs, others: {} } }, words)
    .map(([text, count]) => `${text} (${format(count)})`)
    .join(", ");
}

export function format(number) {
  return number.toLocaleString("en");
}

function sum(counts) {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
