// The socket of a listener: opens, hears, opens again after a break, until there is an end. Knows no page: the browser's
// WebSocket, clock and chance, and what REST says of the call, are handed in, so that a test can play them.

import { pause } from "../backoff.js";
import { codeOfRefusal, GIVEN_UP, wordsOfBreak, wordsOfEnd } from "./ending.js";

export const MAX_ATTEMPTS = 15; // without a word of the server between them: two minutes
export const OPEN_WITHIN_MS = 10_000;
export const SILENT_AFTER_MS = 20_000; // the server speaks every 15 s at least, whoever is silent

export class ListenSocket {
  #socket = null;
  #timer = null;
  #attempt = 0;
  #wasOpen = false;
  #wasHeard = false;
  #isOver = false;

  /**
   * @param {object} world `open()` a WebSocket, `look()` a promise of {status, state}, `later(callback, ms)` a timer,
   *   `never(timer)`, `chance()`
   * @param {object} ears `opened()`, `message(data)`, `broken(words)`: it is tried again, `over(words)`: it is not
   */
  constructor(world, ears) {
    Object.assign(this, { world, ears });
  }

  open() {
    this.world.never(this.#timer);
    this.#wasOpen = false;
    const socket = this.world.open();
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = ({ data }) => this.#heard(socket, data);
    socket.onclose = ({ code }) => void this.#closed(socket, code);
    this.#timer = this.world.later(() => this.drop(), OPEN_WITHIN_MS); // an attempt that hangs is given up as well
  }

  /** Gives up a connection that is known to be dead; the next attempt follows by itself. */
  drop() {
    const socket = this.#socket;
    if (socket === null) return;
    void this.#closed(socket, 1006);
    socket.close();
  }

  /** Tries at once instead of waiting for the next attempt. */
  hurry() {
    if (this.#socket === null && this.#timer !== null && !this.#isOver) this.open();
  }

  /** Nobody listens any more; nothing is said of it. */
  close() {
    const socket = this.#socket;
    this.#isOver = true;
    this.#socket = null;
    this.world.never(this.#timer);
    socket?.close();
  }

  #opened(socket) {
    if (socket !== this.#socket) return;
    this.#watch(socket);
    this.#wasOpen = true;
    this.#wasHeard = true;
    this.ears.opened();
  }

  #heard(socket, data) {
    if (socket !== this.#socket) return;
    this.#attempt = 0;
    this.#watch(socket);
    this.ears.message(data);
  }

  #watch(socket) {
    this.world.never(this.#timer);
    this.#timer = this.world.later(() => socket === this.#socket && this.drop(), SILENT_AFTER_MS);
  }

  async #closed(socket, closedWith) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    this.world.never(this.#timer);
    this.#timer = null; // until it is known what the end means, nothing hurries
    const code = this.#wasOpen ? closedWith : codeOfRefusal(await this.world.look(), this.#wasHeard);
    if (this.#isOver) return;
    const end = wordsOfEnd(code) ?? (this.#attempt < MAX_ATTEMPTS ? null : GIVEN_UP);
    if (end === null) return this.#again(code);
    this.#isOver = true;
    this.ears.over(end);
  }

  #again(code) {
    const wait = pause(this.#attempt, this.world.chance());
    this.#attempt += 1;
    this.#timer = this.world.later(() => this.open(), wait);
    this.ears.broken(wordsOfBreak(code));
  }
}
