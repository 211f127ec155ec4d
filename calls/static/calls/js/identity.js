// Labels of participants and calls. PURE.
//
// First paint uses the same rules in calls/identity.py and calls/templatetags/live.py; tests hold
// both to tests/js/identities.json.

import { shortId } from "./format.js";

const LONGEST = 40;

/**
 * @param {{raw_id: string, kind: string, display_name: string}} participant
 * @param {Object<string, string>} kinds
 */
export function label(participant, kinds) {
  if (participant.display_name) return participant.display_name;
  const rawId = participant.raw_id;
  if (participant.kind === "mixed") return "Everyone (mixed)";
  if (participant.kind === "phone") {
    const number = rawId.replace(/^4:/, "").split("_", 1)[0];
    return number === "anonymous" ? "Withheld number" : number;
  }
  const characters = Array.from(rawId); // as Python counts them
  if (participant.kind === "unknown") {
    return characters.length <= LONGEST ? rawId : `${characters.slice(0, LONGEST - 1).join("")}…`;
  }
  const tail = rawId.slice(rawId.lastIndexOf(":") + 1);
  const last = Array.from(tail.slice(tail.lastIndexOf("_") + 1));
  return `${kinds[participant.kind] ?? "Participant"} …${last.slice(-6).join("")}`;
}

/**
 * Returns the participants of a call, or its short id before the first.
 * @param {{id: string, call_connection_id: string, participants: object[]}} call
 */
export function callTitle(call, kinds) {
  const names = call.participants.map((participant) => label(participant, kinds));
  if (names.length === 0) return `Call ${shortId(call.call_connection_id || call.id)}`;
  if (names.length > 2) return `${names[0]}, ${names[1]} and ${names.length - 2} more`;
  return names.join(" ↔ ");
}

/** Returns the kind as text, or "" if the label already contains it. */
export function kindNote(participant, kinds) {
  const isInLabel = !participant.display_name && !["phone", "unknown"].includes(participant.kind);
  return isInLabel ? "" : (kinds[participant.kind] ?? kinds.unknown);
}
