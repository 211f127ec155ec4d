// Totals at the top of the page: its own counts, and figures that the recorders send once a second.

import { withCanaries } from "./choice.js";
import { participantCount } from "./state.js";

const UNKNOWN = "–";

export class Totals {
  show(state) {
    const calls = withCanaries(state.calls, "");
    const participants = participantCount({ calls });
    this.#write("call-count", calls.length);
    this.#write("call-word", calls.length === 1 ? "live call" : "live calls");
    this.#write("participant-count", participants);
    this.#write("participant-word", participants === 1 ? "participant" : "participants");
  }

  update({ packets_per_second: packets, seal_lag_seconds: lag, processes }) {
    this.#write("packet-count", processes ? Math.round(packets).toLocaleString("en") : UNKNOWN);
    this.#write("lag", processes ? `${lag < 10 ? lag.toFixed(1) : Math.round(lag)} s` : UNKNOWN);
  }

  /** Shows the figures of the recorders as unknown. */
  reset() {
    this.update({ processes: 0 });
  }

  #write(id, text) {
    const element = document.getElementById(id);
    if (element.textContent !== String(text)) element.textContent = String(text);
  }
}
