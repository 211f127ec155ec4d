// The live socket: connects, receives, detects silence and reconnects. Independent of the page:
// tests pass their own WebSocket, timers and randomness.

import { pause } from "../backoff.js";

export const LOGGED_OUT = 4401;
export const SILENT_AFTER_MS = 15_000; // the server sends at least every 5 s

export class LiveSocket {
  /**
   * @param {object} browser `open(url)`: a WebSocket; `schedule(callback, ms)`: a timer;
   *   `cancel(timer)`; `random()`
   * @param {object} listeners `message(object)`, `opened()`, `lost(ms until the next attempt)`,
   *   `refused(isLoggedOut)`
   */
  constructor(url, browser, listeners) {
    Object.assign(this, {
      url,
      browser,
      listeners,
      socket: null,
      timer: null,
      attempt: 0,
      wasOpen: false,
      hasSnapshot: false,
    });
  }

  open() {
    this.browser.cancel(this.timer);
    this.wasOpen = this.hasSnapshot = false;
    const socket = this.browser.open(this.url);
    this.socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (event) => this.#received(socket, event);
    socket.onclose = (event) => this.#closed(socket, event);
    this.#watch(socket); // limits a hanging attempt, too
  }

  /** Abandons a dead connection; the next attempt is scheduled. */
  drop() {
    const socket = this.socket;
    if (socket === null) return;
    this.#closed(socket, { code: 1006 });
    socket.close();
  }

  /** Reconnects now instead of waiting for the next attempt. */
  retryNow() {
    if (this.socket === null) this.open();
  }

  #opened(socket) {
    if (socket !== this.socket) return;
    this.wasOpen = true;
    this.listeners.opened();
  }

  #received(socket, event) {
    if (socket !== this.socket) return;
    this.attempt = 0; // only a message proves that the server works again
    this.#watch(socket);
    const message = JSON.parse(event.data);
    // What comes before the first snapshot changes a state that this page does not have yet.
    this.hasSnapshot ||= message.type === "snapshot";
    if (this.hasSnapshot) this.listeners.message(message);
  }

  #closed(socket, event) {
    if (socket !== this.socket) return;
    this.socket = null;
    this.browser.cancel(this.timer);
    if (event.code === LOGGED_OUT || !this.wasOpen)
      this.listeners.refused(event.code === LOGGED_OUT);
    const wait = pause(this.attempt, this.browser.random());
    this.attempt += 1;
    this.timer = this.browser.schedule(() => this.open(), wait);
    this.listeners.lost(wait);
  }

  #watch(socket) {
    this.browser.cancel(this.timer);
    this.timer = this.browser.schedule(
      () => socket === this.socket && this.drop(),
      SILENT_AFTER_MS,
    );
  }
}
