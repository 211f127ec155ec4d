// The live socket: opens, hears, notices that it has gone silent, opens again. Knows no page: the browser's WebSocket,
// clock and chance are handed in, so that a test can play them.

import { pause } from "../backoff.js";

export const LOGGED_OUT = 4401;
export const SILENT_AFTER_MS = 15_000; // the server speaks every 5 s at least

export class LiveSocket {
  /**
   * @param {object} world `open(url)` a WebSocket, `later(callback, ms)` a timer, `never(timer)`, `chance()`.
   * @param {object} ears `message(object)`, `opened()`, `lost(ms until the next attempt)`, `refused(wasOpen)`.
   */
  constructor(url, world, ears) {
    Object.assign(this, { url, world, ears, socket: null, timer: null, attempt: 0, wasOpen: false });
  }

  open() {
    this.world.never(this.timer);
    this.wasOpen = false;
    const socket = this.world.open(this.url);
    this.socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (event) => this.#heard(socket, event);
    socket.onclose = (event) => this.#closed(socket, event);
    this.#watch(socket); // an attempt that hangs is given up as well
  }

  /** Gives up a connection that is known to be dead; the next attempt follows by itself. */
  drop() {
    const socket = this.socket;
    if (socket === null) return;
    this.#closed(socket, { code: 1006 });
    socket.close();
  }

  /** Tries at once instead of waiting for the next attempt. */
  hurry() {
    if (this.socket === null) this.open();
  }

  #opened(socket) {
    if (socket !== this.socket) return;
    this.wasOpen = true;
    this.ears.opened();
  }

  #heard(socket, event) {
    if (socket !== this.socket) return;
    this.attempt = 0; // only a server that speaks is well again
    this.#watch(socket);
    this.ears.message(JSON.parse(event.data));
  }

  #closed(socket, event) {
    if (socket !== this.socket) return;
    this.socket = null;
    this.world.never(this.timer);
    if (event.code === LOGGED_OUT || !this.wasOpen) this.ears.refused(event.code === LOGGED_OUT);
    const wait = pause(this.attempt, this.world.chance());
    this.attempt += 1;
    this.timer = this.world.later(() => this.open(), wait);
    this.ears.lost(wait);
  }

  #watch(socket) {
    this.world.never(this.timer);
    this.timer = this.world.later(() => socket === this.socket && this.drop(), SILENT_AFTER_MS);
  }
}
