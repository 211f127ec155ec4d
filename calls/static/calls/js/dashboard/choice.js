// Filter and sort order of the live calls, as in the address bar. PURE.

import { label } from "../identity.js";
import { numberParts } from "../phone-number.js";

export const everything = Object.freeze({
  q: "",
  state: "",
  longer: 0,
  alarm: "",
  canaries: "",
  sort: "newest",
});
const SORTS = ["newest", "longest", "identity", "state", "alarm"];
const RANK = { speaking: 0, silent: 1, waiting: 2 };

/** @param {string} search as in `location.search`; unknown values are ignored */
export function read(search) {
  const given = new URLSearchParams(search);
  const longer = Number.parseInt(given.get("longer") ?? "", 10);
  return {
    q: given.get("q") ?? "",
    state: ["speaking", "silent", "waiting", "alarm"].includes(given.get("state"))
      ? given.get("state")
      : "",
    longer: longer > 0 ? longer : 0,
    alarm: given.get("alarm") ?? "",
    canaries: ["shown", "only"].includes(given.get("canaries")) ? given.get("canaries") : "",
    sort: SORTS.includes(given.get("sort")) ? given.get("sort") : "newest",
  };
}

/** Returns the search for the address bar, "" for the defaults. */
export function written(choice) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(choice))
    if (value !== everything[name]) search.set(name, String(value));
  const text = search.toString();
  return text ? `?${text}` : "";
}

/** Returns "speaking", "silent", or "waiting": no audio yet. */
export function stateOf(call, voices, now) {
  if (call.participants.length === 0) return "waiting";
  return call.participants.some((each) => voices.get(each.id)?.hasSpoken(now))
    ? "speaking"
    : "silent";
}

/**
 * Returns since when the call has been in its state, on the clock of the voices; null if unknown.
 * Speaking: since when the voice speaks that began last. Silent: since the end of the last speech.
 */
export function sinceOf(call, voices, now) {
  const known = call.participants.map((each) => voices.get(each.id)).filter(Boolean);
  const state = stateOf(call, voices, now);
  const times =
    state === "speaking"
      ? known.filter((voice) => voice.hasSpoken(now)).map((voice) => voice.speakingSince(now))
      : known.map((voice) => voice.spokeAt).filter((at) => at !== null);
  return times.length === 0 || times.includes(null) ? null : Math.max(...times);
}

/** Returns the calls without canary calls, with them ("shown"), or those alone ("only"). */
export function withCanaries(calls, canaries) {
  if (canaries === "shown") return calls;
  return calls.filter((call) => Boolean(call.canary) === (canaries === "only"));
}

/**
 * Filters and sorts `calls`, which come newest first.
 * @param context active `alarms`, `voices` by participant, `kinds`, `now` of the voices, `clock` of
 *   the server (ms)
 */
export function chosen(calls, choice, context) {
  const listed = withCanaries(calls, choice.canaries);
  const facts = new Map(listed.map((call) => [call, factsOf(call, context)]));
  const matching = listed.filter((call) => matches(call, facts.get(call), choice, context.clock));
  return choice.sort === "newest" ? matching : matching.sort(comparing(choice.sort, facts));
}

function factsOf(call, { alarms, voices, kinds, now }) {
  return {
    state: stateOf(call, voices, now),
    alarms: alarms.filter((alarm) => alarm.call === call.id),
    names: call.participants.map((each) => label(each, kinds)),
  };
}

function matches(call, { state, alarms, names }, choice, clock) {
  if (choice.q && !contains(call, names, choice.q)) return false;
  if (choice.state === "alarm" ? alarms.length === 0 : choice.state && choice.state !== state)
    return false;
  if (choice.alarm && !alarms.some((alarm) => alarm.alarm === choice.alarm)) return false;
  return clock - Date.parse(call.started_at) >= choice.longer * 60_000 || choice.longer === 0;
}

function contains(call, names, text) {
  const ids = [call.call_connection_id, call.correlation_id, call.id, ...names];
  const all = ids
    .concat(call.participants.map((each) => each.raw_id))
    .join("\n")
    .toLowerCase();
  if (numberParts(text).some((part) => all.includes(part))) return true;
  const words = text.toLowerCase().split(/\s+/);
  return words.every((word) => all.includes(word)) || hasNumber(call, text);
}

/** Whether the text is a part of a number of the call, however its digits are grouped. */
function hasNumber(call, text) {
  if (!/^[\d\s+().,/-]+$/.test(text)) return false;
  const digits = text.replace(/\D/g, "");
  return digits !== "" && call.participants.some((each) => digitsOf(each.raw_id).includes(digits));
}

function digitsOf(rawId) {
  return rawId.replace(/^\d+:/, "").replace(/\D/g, "");
}

function comparing(sort, facts) {
  const of = (call) => facts.get(call);
  return {
    longest: (first, second) => Date.parse(first.started_at) - Date.parse(second.started_at),
    identity: (first, second) =>
      (of(first).names[0] ?? "~").localeCompare(of(second).names[0] ?? "~"),
    state: (first, second) => RANK[of(first).state] - RANK[of(second).state],
    alarm: (first, second) => of(second).alarms.length - of(first).alarms.length,
  }[sort];
}
