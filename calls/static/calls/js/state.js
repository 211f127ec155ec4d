// Messages of the live socket -> the calls of this moment, newest first. PURE: a new state for each message, the same
// object for a message that changes nothing.

export const nothing = Object.freeze({ calls: Object.freeze([]) });

export function reduce(state, message) {
  switch (message.type) {
    case "snapshot":
      return { calls: [...message.calls].sort(newestFirst) };
    case "call.started":
    case "call.updated":
      return { calls: [...without(state, message.call.id), message.call].sort(newestFirst) };
    case "call.ended":
      return state.calls.some((call) => call.id === message.call.id)
        ? { calls: without(state, message.call.id) }
        : state;
    default: // levels are no state: the newest wins, and a lost one is not missed
      return state;
  }
}

export function participantCount(state) {
  return state.calls.reduce((count, call) => count + call.participants.length, 0);
}

function without(state, id) {
  return state.calls.filter((call) => call.id !== id);
}

function newestFirst(first, second) {
  const difference = Date.parse(second.started_at) - Date.parse(first.started_at);
  return difference || (first.id < second.id ? 1 : -1);
}
