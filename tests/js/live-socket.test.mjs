import assert from "node:assert/strict";
import test from "node:test";

import { pause } from "../../calls/static/calls/js/backoff.js";
import { LOGGED_OUT, LiveSocket, SILENT_AFTER_MS } from "../../calls/static/calls/js/dashboard/live-socket.js";
import { World } from "./socket-world.mjs";

/** A world whose time passes when the test says so. */
class Played extends World {
  constructor() {
    super();
    this.socket = new LiveSocket("ws://here/ws/live", this, {
      message: (message) => this.heard.push(message),
      opened: () => this.heard.push("opened"),
      lost: (wait) => this.heard.push(`lost ${wait}`),
      refused: (isLoggedOut) => this.heard.push(isLoggedOut ? "logged out" : "refused"),
    });
    this.socket.open();
  }

  connect() {
    this.newest.onopen();
    this.newest.onmessage({ data: '{"type":"snapshot","calls":[]}' });
  }
}

test("messages are heard as objects", () => {
  const world = new Played();
  world.connect();
  assert.deepEqual(world.heard, ["opened", { type: "snapshot", calls: [] }]);
});

test("a lost connection is opened again after a pause", () => {
  const world = new Played();
  world.connect();
  world.newest.onclose({ code: 1006 });
  assert.equal(world.heard.at(-1), "lost 250");
  world.pass(249);
  assert.equal(world.sockets.length, 1);
  world.pass(1);
  assert.equal(world.sockets.length, 2);
});

test("pauses grow while nobody answers, and begin anew once somebody has spoken", () => {
  const world = new Played();
  const waits = [];
  for (let attempt = 0; attempt < 7; attempt += 1) {
    world.newest.onclose({ code: 1006 });
    waits.push(world.heard.at(-1));
    world.pass(10_000);
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 5000, 5000].map((ms) => `lost ${ms}`));
  world.connect();
  world.newest.onclose({ code: 1006 });
  assert.equal(world.heard.at(-1), "lost 250");
});

test("chance spreads the pauses and never ends them", () => {
  assert.deepEqual([pause(0, 0), pause(0, 0.5), pause(50, 0.999)], [250, 375, 9995]);
});

test("a socket that falls silent is given up", () => {
  const world = new Played();
  world.connect();
  world.pass(SILENT_AFTER_MS - 1);
  world.newest.onmessage({ data: '{"type":"levels","levels":{}}' });
  world.pass(SILENT_AFTER_MS - 1);
  assert.equal(world.newest.isClosed, undefined);
  world.pass(1);
  assert.equal(world.sockets[0].isClosed, true);
  assert.match(world.heard.at(-1), /^lost/);
});

test("an attempt that hangs is given up", () => {
  const world = new Played();
  world.pass(SILENT_AFTER_MS);
  assert.equal(world.sockets[0].isClosed, true);
  world.pass(1000);
  assert.equal(world.sockets.length, 2);
});

test("a socket that was given up has nothing more to say", () => {
  const world = new Played();
  world.connect();
  world.socket.drop();
  const said = world.heard.length;
  world.sockets[0].onmessage({ data: '{"type":"snapshot","calls":[]}' });
  world.sockets[0].onclose({ code: 1006 });
  world.sockets[0].onopen();
  assert.equal(world.heard.length, said);
});

test("whoever hurries waits no longer, and opens no second socket", () => {
  const world = new Played();
  world.connect();
  world.socket.hurry();
  assert.equal(world.sockets.length, 1);
  world.newest.onclose({ code: 1006 });
  world.socket.hurry();
  world.pass(60_000);
  assert.ok(world.sockets.length >= 2);
  assert.equal(world.sockets[1].isClosed, true, "hung, and given up");
});

test("a refused handshake and a logout are told apart", () => {
  const world = new Played();
  world.newest.onclose({ code: 1006 });
  assert.ok(world.heard.includes("refused"));
  world.pass(1000);
  world.connect();
  world.newest.onclose({ code: LOGGED_OUT });
  assert.ok(world.heard.includes("logged out"));
});
