// A short name that an operator recognises, from a raw id. PURE. The same as calls/identity.py and calls/templatetags/live.py
// on first paint: all are held to tests/js/identities.json.

const LONGEST = 40;

/** @param {{raw_id: string, kind: string, display_name: string}} participant @param {Object<string, string>} kinds */
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

/** The kind in words, where the label does not say it already. */
export function kindNote(participant, kinds) {
  const saysIt = !participant.display_name && !["phone", "unknown"].includes(participant.kind);
  return saysIt ? "" : (kinds[participant.kind] ?? kinds.unknown);
}
