// One sound at a time: listening in and playing a recording do not sound together, neither in one
// page nor in several tabs of a browser.

const NAME = "acsmedia-sound";

export class OneSound {
  #stops = new Map();
  #channel;

  /** @param channel a `BroadcastChannel`, or null: then only this page is considered */
  constructor(channel) {
    this.#channel = channel;
    channel?.addEventListener("message", () => this.#stopOthers(null));
  }

  /** Adds a player. @param stop called when another one begins; it may be silent already */
  join(player, stop) {
    this.#stops.set(player, stop);
  }

  leave(player) {
    this.#stops.delete(player);
  }

  /** To be called when a player begins to sound: all others stop. */
  begin(player) {
    this.#stopOthers(player);
    this.#channel?.postMessage("begins");
  }

  #stopOthers(player) {
    for (const [other, stop] of this.#stops) if (other !== player) stop();
  }
}

const isBrowser = typeof window !== "undefined" && "BroadcastChannel" in window;

/** The sound of this page. */
export const sound = new OneSound(isBrowser ? new BroadcastChannel(NAME) : null);
