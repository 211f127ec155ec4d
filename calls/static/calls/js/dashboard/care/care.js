// Who looks after the alarms: asks the server while there are alarms, and sends what the operator
// decides. The answer of the server is shown at once, to others within seconds.

import { alarmKey } from "../alarms.js";
import { withCare } from "./cared.js";

const POLL_MS = 10_000;
const IDLE_MS = 60_000; // without alarms: those of jobs come this late
const SOON_MS = 1_500; // a new alarm becomes a row about a second after it was raised

export class Care {
  #alarms = [];
  #rows = [];
  #timer = null;
  #dueAt = Infinity; // on the clock of `performance`

  /** @param address of the active alarms @param changed called when something has changed */
  constructor(address, changed) {
    Object.assign(this, { address, changed });
    this.#schedule(0);
  }

  /** Returns these alarms of the live socket with who looks after them, and those of jobs. */
  of(alarms) {
    if (alarms !== this.#alarms) {
      if (hasNew(this.#alarms, alarms)) this.#schedule(SOON_MS);
      this.#alarms = alarms;
    }
    return withCare(alarms, this.#rows);
  }

  /**
   * Sends "acknowledge", "snooze" or "release"; returns "" or what went wrong.
   * @param ids of the rows of one alarm @param fields such as `{minutes: 15}`
   */
  async act(action, ids, fields = {}) {
    try {
      const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
      for (const id of ids) {
        const answer = await fetch(`${this.address}${id}/${action}`, {
          method: "POST",
          headers: { "X-CSRFToken": token },
          body: new URLSearchParams(fields),
          redirect: "error",
        });
        if (answer.status === 409 || answer.status === 404) continue; // cleared meanwhile
        if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
        const row = await answer.json();
        this.#rows = this.#rows.map((each) => (each.id === id ? { ...each, ...row } : each));
      }
    } catch (error) {
      return `That was not saved: ${error.message}.`;
    }
    this.changed();
    return "";
  }

  /** A later wish never delays an earlier one: on a busy page there is always a later one. */
  #schedule(wait) {
    const dueAt = performance.now() + wait;
    if (dueAt >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => void this.#fetch(), wait);
  }

  async #fetch() {
    this.#dueAt = Infinity;
    try {
      const answer = await fetch(this.address, { redirect: "error" });
      if (answer.ok) this.#show((await answer.json()).alarms);
    } catch {
      // The banner of the live socket says so; asked again.
    }
    this.#schedule(this.#alarms.length + this.#rows.length > 0 ? POLL_MS : IDLE_MS);
  }

  #show(rows) {
    if (JSON.stringify(rows) === JSON.stringify(this.#rows)) return;
    this.#rows = rows;
    this.changed();
  }
}

/** Recorders repeat their alarms every second: only an alarm that was not there is new. */
function hasNew(before, after) {
  const known = new Set(before.map(alarmKey));
  return after.some((alarm) => !known.has(alarmKey(alarm)));
}
