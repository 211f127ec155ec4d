// Close codes of a listener's socket: final ones with their text, and those after which it
// reconnects. PURE.

const FINAL = {
  4401: "Disconnected: your session has ended.",
  4403: "Disconnected: you no longer have permission to listen.",
  4410: "The call has ended.",
  4503: "Disconnected: too many listeners, or this session could not be logged.",
};

export const LOST = "Connection lost. Reconnecting…";
export const SLOW = "Connection too slow. Reconnecting…";
export const GIVEN_UP = "Connection lost.";

const TOO_SLOW = 4408;

/** Returns the text of a final close code; null if a reconnect may succeed. */
export function endText(code) {
  return FINAL[code] ?? null;
}

export function retryText(code) {
  return code === TOO_SLOW ? SLOW : LOST;
}

/**
 * Derives the close code of a refused handshake from REST, because a browser hides the reason.
 * @param {{status: number, state: ?string}} call answer of `GET /api/v1/calls/<id>/`; status 0:
 *   none
 * @param wasConnected whether this listener was connected before: its lost socket may still count
 */
export function codeOfRefusal({ status, state }, wasConnected) {
  if (status === 401) return 4401;
  if (status === 403) return 4403;
  if (status === 404) return 4410;
  if (status !== 200) return null;
  if (state !== "live") return 4410;
  return wasConnected ? null : 4503;
}
