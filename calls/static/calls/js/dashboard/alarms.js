// Order and texts of alarms: for the drawer, the row of a call, and screen readers. PURE.

import { counted, shortId } from "../format.js";
import { callTitle, label } from "../identity.js";

const MAX_ANNOUNCED = 3;
const SEVERITIES = ["critical", "major", "minor"];
const UNKNOWN_SEVERITY = "major"; // of an alarm that this version does not know

/** Identifies an alarm regardless of when it was raised. */
export function alarmKey({ call, participant, alarm }) {
  return JSON.stringify([call, participant, alarm]);
}

/**
 * Returns the texts of an alarm; `call` and `participant` are "" if it concerns the recorder or the
 * whole call.
 */
export function described(alarm, calls, { kinds, words }) {
  const call = calls.find((each) => each.id === alarm.call);
  const participant = call?.participants.find((each) => each.id === alarm.participant);
  return {
    text: words[alarm.alarm] ?? alarm.alarm,
    call: titleOf(alarm, call, kinds),
    participant: participant ? label(participant, kinds) : "",
  };
}

/** Returns the alarms without those of canary calls, which nobody has to look after. */
export function withoutCanaries(alarms, calls) {
  const canaries = new Set(calls.filter((call) => call.canary).map((call) => call.id));
  return alarms.filter((alarm) => !canaries.has(alarm.call));
}

/** Returns "critical", "major" or "minor". @param severities names of alarms by severity */
export function severityOf({ alarm }, severities) {
  return SEVERITIES.find((severity) => severities[severity]?.includes(alarm)) ?? UNKNOWN_SEVERITY;
}

/**
 * Returns the alarms, the most severe first, and of these the newest.
 * @param isLast whether an alarm comes after all others
 */
export function ranked(alarms, severities, isLast = () => false) {
  const rank = (alarm) =>
    SEVERITIES.indexOf(severityOf(alarm, severities)) + (isLast(alarm) ? SEVERITIES.length : 0);
  return [...alarms].sort(
    (first, second) =>
      rank(first) - rank(second) ||
      Date.parse(second.since) - Date.parse(first.since) ||
      (alarmKey(first) < alarmKey(second) ? -1 : 1),
  );
}

/** Returns the alarms of a call as one line, the most severe first; "" if there are none. */
export function alarmsOf(alarms, call, names) {
  const own = alarms.filter((alarm) => alarm.call === call.id);
  return ranked(own, names.severities)
    .map((alarm) => {
      const { text, participant } = described(alarm, [call], names);
      if (!participant) return text;
      return alarm.alarm === "one_way" ? `${text} from ${participant}` : `${text} (${participant})`;
    })
    .join(" · ");
}

/**
 * Returns the text for screen readers when `before` becomes `after`: one sentence per change, or
 * "".
 */
export function announcement(before, after, calls, names) {
  const raised = after.filter((alarm) => !includes(before, alarm));
  const cleared = before.filter((alarm) => !includes(after, alarm));
  return [
    ...sentences("Alarm", raised, calls, names),
    ...sentences("Cleared", cleared, calls, names),
  ].join(" ");
}

function titleOf(alarm, call, kinds) {
  if (alarm.call === null) return "";
  return call ? callTitle(call, kinds) : `Call ${shortId(alarm.call)}`;
}

function sentences(opening, alarms, calls, names) {
  if (alarms.length > MAX_ANNOUNCED)
    return [`${opening}: ${counted(alarms.length, "alarm", "alarms")}.`];
  return alarms.map((alarm) => {
    const { text, call, participant } = described(alarm, calls, names);
    return `${opening}: ${[text, participant, call].filter(Boolean).join(", ")}.`;
  });
}

function includes(alarms, alarm) {
  return alarms.some((each) => alarmKey(each) === alarmKey(alarm));
}
