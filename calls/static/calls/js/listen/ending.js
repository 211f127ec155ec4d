// What a closed socket of a listener means: an end, in words, or a break after which it is tried again. PURE.

const FINAL = {
  4401: "Cut off: your login has ended.",
  4403: "Cut off: your account may not listen any more.",
  4410: "The call is over.",
  4503: "Cut off: too many listen already, or the server cannot write down who does.",
};

export const BROKE = "The connection broke. Trying again…";
export const SLOW = "Your connection was too slow. Trying again…";
export const GIVEN_UP = "The connection broke and did not come back.";

const TOO_SLOW = 4408;

/** What to say of an end that no further attempt would change; null for a break. */
export function wordsOfEnd(code) {
  return FINAL[code] ?? null;
}

export function wordsOfBreak(code) {
  return code === TOO_SLOW ? SLOW : BROKE;
}

/**
 * The code that a refused handshake stands for: a browser hides its reason from the page, REST tells what it may be.
 * @param {{status: number, state: ?string}} call what `GET /api/v1/calls/<id>/` answered; status 0: nothing
 * @param wasHeard whether this listener has been connected before: then the place of the lost socket may still be taken
 */
export function codeOfRefusal({ status, state }, wasHeard) {
  if (status === 401) return 4401;
  if (status === 403) return 4403;
  if (status === 404) return 4410;
  if (status !== 200) return null;
  if (state !== "live") return 4410;
  return wasHeard ? null : 4503;
}
