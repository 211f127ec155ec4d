// Socket of a listener: connects, receives, and reconnects until a close code is final. Independent
// of the page: tests pass their own WebSocket, timers, randomness and REST answers.

import { pause } from "../backoff.js";
import { codeOfRefusal, endText, GIVEN_UP, retryText } from "./ending.js";

export const MAX_ATTEMPTS = 15; // without a message in between: two minutes
export const OPEN_WITHIN_MS = 10_000;
export const SILENT_AFTER_MS = 20_000; // the server sends at least every 15 s

export class ListenSocket {
  #socket = null;
  #timer = null;
  #attempt = 0;
  #wasOpen = false;
  #wasConnected = false;
  #isOver = false;

  /**
   * @param {object} browser `open()`: a WebSocket; `fetchCall()`: a promise of {status, state};
   *   `schedule(callback, ms)`: a timer; `cancel(timer)`; `random()`
   * @param {object} listeners `opened()`, `message(data)`, `retrying(text)`, `ended(text)`
   */
  constructor(browser, listeners) {
    Object.assign(this, { browser, listeners });
  }

  open() {
    this.browser.cancel(this.#timer);
    this.#wasOpen = false;
    const socket = this.browser.open();
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = ({ data }) => this.#received(socket, data);
    socket.onclose = ({ code }) => void this.#closed(socket, code);
    // Limits a hanging attempt, too.
    this.#timer = this.browser.schedule(() => this.drop(), OPEN_WITHIN_MS);
  }

  /** Abandons a dead connection; the next attempt is scheduled. */
  drop() {
    const socket = this.#socket;
    if (socket === null) return;
    void this.#closed(socket, 1006);
    socket.close();
  }

  /** Reconnects now instead of waiting for the next attempt. */
  retryNow() {
    if (this.#socket === null && this.#timer !== null && !this.#isOver) this.open();
  }

  /** Stops for good, without calling a listener. */
  close() {
    const socket = this.#socket;
    this.#isOver = true;
    this.#socket = null;
    this.browser.cancel(this.#timer);
    socket?.close();
  }

  #opened(socket) {
    if (socket !== this.#socket) return;
    this.#watch(socket);
    this.#wasOpen = true;
    this.#wasConnected = true;
    this.listeners.opened();
  }

  #received(socket, data) {
    if (socket !== this.#socket) return;
    this.#attempt = 0;
    this.#watch(socket);
    this.listeners.message(data);
  }

  #watch(socket) {
    this.browser.cancel(this.#timer);
    this.#timer = this.browser.schedule(
      () => socket === this.#socket && this.drop(),
      SILENT_AFTER_MS,
    );
  }

  async #closed(socket, closedWith) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    this.browser.cancel(this.#timer);
    this.#timer = null; // `retryNow` has no effect until the close code is known
    const code = this.#wasOpen
      ? closedWith
      : codeOfRefusal(await this.browser.fetchCall(), this.#wasConnected);
    if (this.#isOver) return;
    const end = endText(code) ?? (this.#attempt < MAX_ATTEMPTS ? null : GIVEN_UP);
    if (end === null) return this.#retry(code);
    this.#isOver = true;
    this.listeners.ended(end);
  }

  #retry(code) {
    const wait = pause(this.#attempt, this.browser.random());
    this.#attempt += 1;
    this.#timer = this.browser.schedule(() => this.open(), wait);
    this.listeners.retrying(retryText(code));
  }
}
