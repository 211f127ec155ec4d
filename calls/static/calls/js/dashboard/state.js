// State of the dashboard: live calls, newest first, active alarms, oldest first, and the number of
// listeners by call. PURE: each message of the live socket gives a new state, or the same object if
// it changes nothing.

import { alarmKey } from "./alarms.js";

export const nothing = Object.freeze({
  calls: Object.freeze([]),
  alarms: Object.freeze([]),
  listening: Object.freeze({}),
});

export function reduce(state, message) {
  switch (message.type) {
    case "snapshot":
      return {
        calls: [...message.calls].sort(newestFirst),
        alarms: [...(message.alarms ?? [])].sort(oldestFirst),
        listening: message.listening ?? {},
      };
    case "call.started":
    case "call.updated":
      return {
        ...state,
        calls: [...without(state, message.call.id), message.call].sort(newestFirst),
      };
    case "call.ended":
      return state.calls.some((call) => call.id === message.call.id)
        ? { ...state, calls: without(state, message.call.id) }
        : state;
    case "alarm": {
      const { type, ...alarm } = message;
      return { ...state, alarms: [...others(state, alarm), alarm].sort(oldestFirst) };
    }
    case "alarm.cleared": {
      const left = others(state, message);
      return left.length < state.alarms.length ? { ...state, alarms: left } : state;
    }
    case "listening":
      return { ...state, listening: message.calls };
    default: // levels are not part of the state: only the newest matters
      return state;
  }
}

export function participantCount(state) {
  return state.calls.reduce((count, call) => count + call.participants.length, 0);
}

function others(state, alarm) {
  return state.alarms.filter((each) => alarmKey(each) !== alarmKey(alarm));
}

function oldestFirst(first, second) {
  return (
    Date.parse(first.since) - Date.parse(second.since) ||
    (alarmKey(first) < alarmKey(second) ? -1 : 1)
  );
}

function without(state, id) {
  return state.calls.filter((call) => call.id !== id);
}

/** The order of the server, which sends microseconds. */
function newestFirst(first, second) {
  return (
    Date.parse(second.started_at) - Date.parse(first.started_at) ||
    belowMilliseconds(second.started_at) - belowMilliseconds(first.started_at) ||
    (first.id < second.id ? 1 : -1)
  );
}

/** Returns the digits of an ISO time that `Date.parse` leaves out, as a number. */
function belowMilliseconds(time) {
  return Number(/\.\d{3}(\d{3})/.exec(time)?.[1] ?? 0);
}
