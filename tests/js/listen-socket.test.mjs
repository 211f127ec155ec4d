import assert from "node:assert/strict";
import test from "node:test";

import {
  LOST,
  codeOfRefusal,
  GIVEN_UP,
  SLOW,
  endText,
} from "../../calls/static/calls/js/listen/ending.js";
import {
  ListenSocket,
  MAX_ATTEMPTS,
  OPEN_WITHIN_MS,
  SILENT_AFTER_MS,
} from "../../calls/static/calls/js/listen/listen-socket.js";
import { FakeBrowser } from "./fake-browser.mjs";

/** A listener's socket in a fake browser, where REST answers `call`. */
class Connection extends FakeBrowser {
  call = { status: 200, state: "live" };

  constructor() {
    super();
    this.socket = new ListenSocket(this, {
      opened: () => this.events.push("opened"),
      message: (data) => this.events.push(data),
      retrying: (text) => this.events.push(text),
      ended: (text) => this.events.push(`ended: ${text}`),
    });
    this.socket.open();
  }

  async fetchCall() {
    return this.call;
  }

  /** Closes the newest socket; resolves once the close code has been handled. */
  async close(code = 1006) {
    this.newest.onclose({ code });
    await new Promise((done) => setImmediate(done));
  }
}

test("messages are reported, but not those of an abandoned socket", () => {
  const browser = new Connection();
  browser.newest.onopen();
  browser.newest.onmessage({ data: "audio" });
  const first = browser.newest;
  browser.socket.drop();
  first.onmessage({ data: "late" });
  assert.deepEqual(browser.events.slice(0, 2), ["opened", "audio"]);
  assert.ok(first.isClosed);
  assert.ok(!browser.events.includes("late"));
});

test("a lost connection is reported, and reopened after a pause", async () => {
  const browser = new Connection();
  browser.newest.onopen();
  await browser.close(1006);
  assert.equal(browser.events.at(-1), LOST);
  browser.pass(249);
  assert.equal(browser.sockets.length, 1);
  browser.pass(1);
  assert.equal(browser.sockets.length, 2);
  browser.newest.onopen();
  browser.newest.onmessage({ data: "audio" });
  assert.deepEqual(browser.events.slice(-2), ["opened", "audio"]);
});

test("pauses grow up to a limit, and attempts are limited", async () => {
  const browser = new Connection();
  browser.call = { status: 0, state: null };
  browser.newest.onopen();
  await browser.close();
  const waits = [];
  while (browser.timers.size > 0) {
    const [{ at }] = browser.timers.values();
    waits.push(at - browser.now);
    browser.pass(at - browser.now);
    await browser.close();
  }
  assert.deepEqual(waits.slice(0, 6), [250, 500, 1000, 2000, 4000, 5000]);
  assert.deepEqual([waits.length, Math.max(...waits)], [MAX_ATTEMPTS, 5000]);
  assert.equal(browser.events.at(-1), `ended: ${GIVEN_UP}`);
});

test("pauses are short again after a message", async () => {
  const browser = new Connection();
  for (let count = 0; count < 3; count += 1) {
    browser.newest.onopen();
    browser.newest.onmessage({ data: "audio" });
    await browser.close();
    browser.pass(250);
  }
  assert.equal(browser.sockets.length, 4);
});

test("a final close code is not retried", async () => {
  for (const code of [4401, 4403, 4410, 4503]) {
    const browser = new Connection();
    browser.newest.onopen();
    await browser.close(code);
    assert.equal(browser.events.at(-1), `ended: ${endText(code)}`);
    assert.equal(browser.timers.size, 0);
    browser.socket.retryNow();
    assert.equal(browser.sockets.length, 1, "not even when the network comes back");
  }
});

test("a slow listener is informed and reconnects", async () => {
  const browser = new Connection();
  browser.newest.onopen();
  await browser.close(4408);
  assert.equal(browser.events.at(-1), SLOW);
  assert.equal(browser.timers.size, 1);
});

test("the reason of a refusal comes from REST", async () => {
  const browser = new Connection();
  browser.call = { status: 200, state: "ended" };
  await browser.close();
  assert.deepEqual(browser.events, [`ended: ${endText(4410)}`]);
});

test("a call that ended while disconnected has ended", async () => {
  const browser = new Connection();
  browser.newest.onopen();
  await browser.close();
  browser.pass(250);
  browser.call = { status: 404, state: null };
  await browser.close();
  assert.equal(browser.events.at(-1), `ended: ${endText(4410)}`);
});

test("a refusal is interpreted by the answer of REST", () => {
  const live = { status: 200, state: "live" };
  assert.equal(codeOfRefusal({ status: 401, state: null }, true), 4401);
  assert.equal(codeOfRefusal({ status: 403, state: null }, true), 4403);
  assert.equal(codeOfRefusal(live, false), 4503, "it is live: too many listeners, or no ledger");
  assert.equal(codeOfRefusal(live, true), null, "the lost socket may still count");
  for (const status of [0, 429, 503])
    assert.equal(codeOfRefusal({ status, state: null }, false), null);
});

test("a hanging attempt is abandoned", async () => {
  const browser = new Connection();
  browser.call = { status: 0, state: null };
  const hanging = browser.newest;
  browser.pass(OPEN_WITHIN_MS);
  await new Promise((done) => setImmediate(done));
  assert.ok(hanging.isClosed);
  assert.equal(browser.events.at(-1), LOST);
});

test("a silent connection is abandoned and reopened", async () => {
  const browser = new Connection();
  browser.newest.onopen();
  browser.pass(SILENT_AFTER_MS - 1);
  browser.newest.onmessage({ data: "heartbeat" });
  browser.pass(SILENT_AFTER_MS - 1);
  assert.equal(browser.events.at(-1), "heartbeat");
  const silent = browser.newest;
  browser.pass(1);
  await new Promise((done) => setImmediate(done));
  assert.ok(silent.isClosed);
  assert.equal(browser.events.at(-1), LOST);
  browser.pass(250);
  assert.equal(browser.sockets.length, 2);
});

test("it reconnects at once when the network is back", async () => {
  const browser = new Connection();
  browser.newest.onopen();
  await browser.close();
  browser.socket.retryNow();
  assert.equal(browser.sockets.length, 2);
});

test("after a stop nothing is reported, even if a close was being handled", async () => {
  const browser = new Connection();
  const closing = browser.close();
  browser.socket.close();
  await closing;
  assert.deepEqual([browser.events, browser.timers.size], [[], 0]);
});
