// Who is heard: muted ones, and the one that alone is. Knows no page.

const REFUSED = "You are not connected: the call may be over, or too many listen already.";
const ENDED = {
  1000: "Stopped.",
  4401: "Cut off: your login has ended.",
  4403: "Cut off: your account may not listen any more.",
  4408: "Cut off: your connection is too slow.",
  4410: "The call is over.",
  4503: "Cut off: the server cannot write down who listens.",
};

/** What to say of a socket that closed. */
export function wordsOfEnd(code, wasOpen) {
  if (!wasOpen) return REFUSED;
  return ENDED[code] ?? "Cut off: the connection broke.";
}

export class Voices {
  #muted = new Set();
  #only = null;

  toggleMute(id) {
    if (!this.#muted.delete(id)) this.#muted.add(id);
  }

  toggleOnly(id) {
    this.#only = this.#only === id ? null : id;
  }

  isMuted(id) {
    return this.#muted.has(id);
  }

  isOnly(id) {
    return this.#only === id;
  }

  gainOf(id) {
    if (this.#only !== null) return this.#only === id ? 1 : 0;
    return this.#muted.has(id) ? 0 : 1;
  }
}
