import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import {
  CLIP_MS,
  SPEAKING_MS,
  TALKING_MS,
  Voice,
  spokenSeconds,
  stepOf,
} from "../../calls/static/calls/js/dashboard/rows/voice.js";

test("a voice is talking while it is loud and a syllable longer", () => {
  const voice = new Voice();
  voice.addLevel(-30, -20, 1000);
  voice.addLevel(-90, -80, 1100);
  assert.ok(voice.isTalking(1000 + TALKING_MS - 1));
  assert.ok(!voice.isTalking(1000 + TALKING_MS));
  assert.ok(voice.hasSpoken(1000 + SPEAKING_MS - 1));
  assert.ok(!voice.hasSpoken(1000 + SPEAKING_MS));
});

test("noise below -45 dBFS is not talking", () => {
  const voice = new Voice();
  voice.addLevel(-50, -40, 0);
  assert.ok(!voice.isTalking(0));
});

test("the clip mark stays for some seconds, or until it is cleared", () => {
  const voice = new Voice();
  voice.addLevel(-3, 0, 0);
  voice.addLevel(-30, -20, 100);
  assert.ok(voice.isClipped(CLIP_MS - 1));
  assert.ok(!voice.isClipped(CLIP_MS));
  voice.clearClipping();
  assert.ok(!voice.isClipped(1));
});

test("a second has its loudest step, silence differs from no audio, a minute is kept", () => {
  const voice = new Voice();
  voice.addLevel(-30, -20, 0);
  voice.addLevel(-96, -96, 100);
  voice.endSecond();
  voice.addLevel(-96, -96, 1000);
  voice.endSecond();
  voice.endSecond();
  assert.equal(voice.minute, "50.");
  for (let count = 0; count < 100; count += 1) voice.endSecond();
  assert.equal(voice.minute, ".".repeat(60));
});

test("the minute of the recorder replaces the one of the page", () => {
  const voice = new Voice();
  voice.endSecond();
  voice.setMinute("0099", 0);
  voice.addLevel(-1, -1, 0);
  voice.endSecond();
  assert.equal(voice.minute, "00999");
  assert.equal(spokenSeconds(voice.minute), 3);
});

test("steps are those of the recorder", () => {
  const cases = JSON.parse(readFileSync(new URL("./steps.json", import.meta.url), "utf8"));
  for (const [rms, step] of cases) assert.equal(stepOf(rms), step, String(rms));
});

test("it is known since when a voice speaks, once it was quiet before", () => {
  const voice = new Voice();
  voice.addLevel(-30, -20, 0);
  assert.equal(voice.speakingSince(100), null, "it may have begun before the page was opened");
  voice.addLevel(-90, -80, 200);
  voice.addLevel(-30, -20, 10_000);
  voice.addLevel(-90, -80, 11_000);
  voice.addLevel(-30, -20, 12_000);
  assert.equal(voice.speakingSince(12_500), 10_000, "a breath is no end");
  assert.equal(voice.speakingSince(12_000 + SPEAKING_MS), null);
  assert.equal(voice.spokeAt, 12_000);
});

test("the minute of the recorder tells since when a voice speaks or is silent", () => {
  const since = (minute) => {
    const isLoud = minute.endsWith("9");
    const found = [true, false].map((isLevelFirst) => {
      const voice = new Voice();
      if (isLevelFirst) voice.addLevel(isLoud ? -20 : -90, -20, 60_000);
      voice.setMinute(minute, 60_000);
      if (!isLevelFirst) voice.addLevel(isLoud ? -20 : -90, -20, 60_000);
      return [voice.speakingSince(60_000), voice.spokeAt];
    });
    assert.deepEqual(found[0], found[1], "in either order");
    return found[0];
  };
  assert.deepEqual(since(`${"0".repeat(50)}${"9".repeat(10)}`), [50_000, 60_000]);
  assert.deepEqual(since(`${"0".repeat(50)}99900999`.padEnd(60, "9")), [50_000, 60_000]);
  assert.deepEqual(since("9".repeat(60)), [null, 60_000], "longer than the minute");
  assert.deepEqual(since("999"), [57_000, 60_000], "it was first heard three seconds ago");
  assert.deepEqual(since(`${"9".repeat(40)}${"0".repeat(20)}`), [null, 40_000]);
  assert.deepEqual(since("0".repeat(60)), [null, null]);
});

test("a voice that begins just before the minute of the recorder comes speaks since then", () => {
  const voice = new Voice();
  voice.addLevel(-20, -10, 59_000);
  voice.setMinute(`${"9".repeat(40)}${"0".repeat(20)}`, 60_000);
  assert.equal(voice.speakingSince(60_000), 59_000);
});
