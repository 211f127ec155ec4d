// Alarms together with who looks after them: the live socket has the alarms, the database has the
// rest. PURE.

import { alarmKey } from "../alarms.js";
import { timeOfDay } from "../../format.js";

const A_DAY_MS = 24 * 3_600_000;

/**
 * Returns the alarms with `care`: `{ids, by, since, until}`, or null if it is not known yet, and the
 * alarms of jobs, which the live socket does not have.
 * @param alarms of the live socket @param rows of the database
 */
export function withCare(alarms, rows) {
  const found = new Map();
  for (const row of rows) found.set(alarmKey(row), [...(found.get(alarmKey(row)) ?? []), row]);
  const keys = new Set(alarms.map(alarmKey));
  const ofJobs = rows
    .filter((row) => row.is_of_job && !keys.has(alarmKey(row)))
    .map(({ call, participant, alarm, since }) => ({
      ...{ call, participant, alarm, since },
      isOfJob: true,
    }));
  return [...alarms, ...ofJobs].map((alarm) => ({
    ...alarm,
    care: careOf(found.get(alarmKey(alarm)) ?? []),
  }));
}

/** Returns whether an alarm is snoozed. @param now the time of the server, in ms */
export function isSnoozed({ care }, now) {
  return Boolean(care?.until) && Date.parse(care.until) > now;
}

/** Returns who looks after an alarm, as text; "" if nobody does. @param now in ms */
export function careText(alarm, now) {
  const { care } = alarm;
  const texts = [];
  if (care?.by) texts.push(`${care.by} since ${timeOfDay(care.since).slice(0, 5)}`);
  if (isSnoozed(alarm, now)) {
    const isLong = Date.parse(care.until) - now > A_DAY_MS;
    texts.push(isLong ? "snoozed" : `snoozed until ${timeOfDay(care.until).slice(0, 5)}`);
  }
  return texts.join(", ");
}

/** Several processes may report one alarm: an action is for all of their rows. */
function careOf(rows) {
  if (rows.length === 0) return null;
  const ids = rows.map((row) => row.id);
  const cared = rows.find((row) => row.acknowledged_by);
  const until = rows.every((row) => row.snoozed_until)
    ? rows.map((row) => row.snoozed_until).sort()[0]
    : null;
  return {
    ids,
    by: cared?.acknowledged_by ?? null,
    since: cared?.acknowledged_at ?? null,
    until,
  };
}
