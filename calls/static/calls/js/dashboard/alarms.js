// Alarms in plain words, for the list, for the card of a call, and for who listens to the page. PURE.

import { counted, shortId } from "../format.js";
import { label } from "../identity.js";

const MAX_SPOKEN = 3;

/** The same for the same thing that is wrong, whenever it began. */
export function alarmKey({ call, participant, alarm }) {
  return JSON.stringify([call, participant, alarm]);
}

/** What an operator reads of an alarm; `call` and `who` are "" where it is of the recorder, or of the whole call. */
export function described(alarm, calls, { kinds, words }) {
  const call = calls.find((each) => each.id === alarm.call);
  const participant = call?.participants.find((each) => each.id === alarm.participant);
  return {
    what: words[alarm.alarm] ?? alarm.alarm,
    call: alarm.call === null ? "" : `Call ${shortId(call?.call_connection_id || alarm.call)}`,
    who: participant ? label(participant, kinds) : "",
  };
}

/** What stands on the card of a call; "" where all is well. */
export function onCard(alarms, call, names) {
  return alarms
    .filter((alarm) => alarm.call === call.id)
    .map((alarm) => described(alarm, [call], names))
    .map(({ what, who }) => (who ? `${what} (${who})` : what))
    .join(" · ");
}

/** What is said aloud when `before` has become `after`: one sentence for each change, "" where there is none. */
export function spoken(before, after, calls, names) {
  const raised = after.filter((alarm) => !has(before, alarm));
  const over = before.filter((alarm) => !has(after, alarm));
  return [...said("Alarm", raised, calls, names), ...said("Over", over, calls, names)].join(" ");
}

function said(opening, alarms, calls, names) {
  if (alarms.length > MAX_SPOKEN) return [`${opening}: ${counted(alarms.length, "alarm", "alarms")}.`];
  return alarms.map((alarm) => {
    const { what, call, who } = described(alarm, calls, names);
    return `${opening}: ${[what, who, call].filter(Boolean).join(", ")}.`;
  });
}

function has(alarms, alarm) {
  return alarms.some((each) => alarmKey(each) === alarmKey(alarm));
}
