import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { kindNote, label } from "../../calls/static/calls/js/identity.js";

const identities = JSON.parse(readFileSync(new URL("identities.json", import.meta.url)));
const kinds = {
  acs: "ACS user",
  teams_extension: "Teams extension user",
  phone: "Phone number",
  teams: "Teams user",
  teams_visitor: "Teams visitor",
  bot: "App or bot",
  mixed: "Mixed audio of everyone",
  unknown: "Unknown",
};

for (const identity of identities) {
  test(`${identity.kind} ${identity.raw_id.slice(0, 24)} is read as the server reads it`, () => {
    assert.equal(label(identity, kinds), identity.label);
    assert.equal(kindNote(identity, kinds), identity.note);
  });
}

test("a kind of tomorrow is shown as unknown", () => {
  const identity = { raw_id: "9:x", kind: "hologram", display_name: "" };
  assert.equal(label(identity, kinds), "Participant …x");
  assert.equal(kindNote({ ...identity, display_name: "Zoe" }, kinds), "Unknown");
});
