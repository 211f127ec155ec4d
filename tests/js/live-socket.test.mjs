import assert from "node:assert/strict";
import test from "node:test";

import { pause } from "../../calls/static/calls/js/backoff.js";
import {
  LOGGED_OUT,
  LiveSocket,
  SILENT_AFTER_MS,
} from "../../calls/static/calls/js/dashboard/live-socket.js";
import { FakeBrowser } from "./fake-browser.mjs";

/** A live socket in a fake browser. */
class Connection extends FakeBrowser {
  constructor() {
    super();
    this.socket = new LiveSocket("ws://here/ws/live", this, {
      message: (message) => this.events.push(message),
      opened: () => this.events.push("opened"),
      lost: (wait) => this.events.push(`lost ${wait}`),
      refused: (isLoggedOut) => this.events.push(isLoggedOut ? "logged out" : "refused"),
    });
    this.socket.open();
  }

  connect() {
    this.newest.onopen();
    this.newest.onmessage({ data: '{"type":"snapshot","calls":[]}' });
  }
}

test("messages are parsed", () => {
  const browser = new Connection();
  browser.connect();
  assert.deepEqual(browser.events, ["opened", { type: "snapshot", calls: [] }]);
});

test("messages before the first snapshot of each connection are ignored", () => {
  const browser = new Connection();
  for (let connection = 0; connection < 2; connection += 1) {
    browser.newest.onopen();
    browser.newest.onmessage({ data: '{"type":"call.started","call":{"id":"a"}}' });
    browser.newest.onmessage({ data: '{"type":"levels","levels":{}}' });
    browser.newest.onmessage({ data: '{"type":"snapshot","calls":[]}' });
    browser.newest.onmessage({ data: '{"type":"call.ended","call":{"id":"a"}}' });
    browser.newest.onclose({ code: 1006 });
    browser.pass(250);
  }
  const types = browser.events.map((event) => event.type).filter((type) => type);
  assert.deepEqual(types, ["snapshot", "call.ended", "snapshot", "call.ended"]);
});

test("a lost connection is opened again after a pause", () => {
  const browser = new Connection();
  browser.connect();
  browser.newest.onclose({ code: 1006 });
  assert.equal(browser.events.at(-1), "lost 250");
  browser.pass(249);
  assert.equal(browser.sockets.length, 1);
  browser.pass(1);
  assert.equal(browser.sockets.length, 2);
});

test("pauses grow without an answer, and are short again after a message", () => {
  const browser = new Connection();
  const waits = [];
  for (let attempt = 0; attempt < 7; attempt += 1) {
    browser.newest.onclose({ code: 1006 });
    waits.push(browser.events.at(-1));
    browser.pass(10_000);
  }
  assert.deepEqual(
    waits,
    [250, 500, 1000, 2000, 4000, 5000, 5000].map((ms) => `lost ${ms}`),
  );
  browser.connect();
  browser.newest.onclose({ code: 1006 });
  assert.equal(browser.events.at(-1), "lost 250");
});

test("chance spreads the pauses and never ends them", () => {
  assert.deepEqual([pause(0, 0), pause(0, 0.5), pause(50, 0.999)], [250, 375, 9995]);
});

test("a silent socket is abandoned", () => {
  const browser = new Connection();
  browser.connect();
  browser.pass(SILENT_AFTER_MS - 1);
  browser.newest.onmessage({ data: '{"type":"levels","levels":{}}' });
  browser.pass(SILENT_AFTER_MS - 1);
  assert.equal(browser.newest.isClosed, undefined);
  browser.pass(1);
  assert.equal(browser.sockets[0].isClosed, true);
  assert.match(browser.events.at(-1), /^lost/);
});

test("a hanging attempt is abandoned", () => {
  const browser = new Connection();
  browser.pass(SILENT_AFTER_MS);
  assert.equal(browser.sockets[0].isClosed, true);
  browser.pass(1000);
  assert.equal(browser.sockets.length, 2);
});

test("an abandoned socket reports nothing more", () => {
  const browser = new Connection();
  browser.connect();
  browser.socket.drop();
  const count = browser.events.length;
  browser.sockets[0].onmessage({ data: '{"type":"snapshot","calls":[]}' });
  browser.sockets[0].onclose({ code: 1006 });
  browser.sockets[0].onopen();
  assert.equal(browser.events.length, count);
});

test("retrying now does not wait, and opens no second socket", () => {
  const browser = new Connection();
  browser.connect();
  browser.socket.retryNow();
  assert.equal(browser.sockets.length, 1);
  browser.newest.onclose({ code: 1006 });
  browser.socket.retryNow();
  browser.pass(60_000);
  assert.ok(browser.sockets.length >= 2);
  assert.equal(browser.sockets[1].isClosed, true, "hung, and abandoned");
});

test("a refused handshake and a logout are distinguished", () => {
  const browser = new Connection();
  browser.newest.onclose({ code: 1006 });
  assert.ok(browser.events.includes("refused"));
  browser.pass(1000);
  browser.connect();
  browser.newest.onclose({ code: LOGGED_OUT });
  assert.ok(browser.events.includes("logged out"));
});
