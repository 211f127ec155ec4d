import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { callTitle, kindNote, label } from "../../calls/static/calls/js/identity.js";

const identities = JSON.parse(readFileSync(new URL("identities.json", import.meta.url)));
const kinds = {
  acs: "ACS user",
  teams_extension: "Teams extension user",
  phone: "Phone number",
  teams: "Teams user",
  teams_visitor: "Teams visitor",
  bot: "App or bot",
  mixed: "Mixed audio",
  unknown: "Unknown",
};

for (const identity of identities) {
  test(`${identity.kind} ${identity.raw_id.slice(0, 24)} has the label of the server`, () => {
    assert.equal(label(identity, kinds), identity.label);
    assert.equal(kindNote(identity, kinds), identity.note);
  });
}

test("an unknown kind is shown as unknown", () => {
  const identity = { raw_id: "9:x", kind: "hologram", display_name: "" };
  assert.equal(label(identity, kinds), "Participant …x");
  assert.equal(kindNote({ ...identity, display_name: "Zoe" }, kinds), "Unknown");
});

test("a call is titled by its participants, before the first by its id", () => {
  const people = ["Ada", "Bob", "Eve", "Zoe"].map((name) => ({
    raw_id: "4:1",
    display_name: name,
  }));
  const titled = (count, ids) => callTitle({ participants: people.slice(0, count), ...ids }, kinds);
  const ids = { id: "0123456789ab", call_connection_id: "" };
  assert.equal(titled(0, { ...ids, call_connection_id: "connection-of-ada" }), "Call …n-of-ada");
  assert.equal(titled(0, ids), "Call …456789ab");
  assert.equal(titled(1, ids), "Ada");
  assert.equal(titled(2, ids), "Ada ↔ Bob");
  assert.equal(titled(4, ids), "Ada, Bob and 2 more");
});
