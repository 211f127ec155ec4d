// State of one voice: its meter, whether it is speaking, its last minute. PURE: the time
// (milliseconds) is an argument. Updated for every voice; only drawing is limited to visible rows.

import { SILENCE, quiet, withLevel } from "./ballistics.js";

export const TALKING_DBFS = -45;
export const TALKING_MS = 400; // longer than a pause between syllables
export const SPEAKING_MS = 3000; // longer than a breath
export const CLIPPED_DBFS = -0.1;
export const CLIP_MS = 10_000;
export const MINUTE = 60; // seconds of the strip
export const NO_AUDIO = ".";

export class Voice {
  meter = quiet;
  minute = ""; // a character per second, the newest last, as in calls/live/messages.py
  #speechAt = -Infinity;
  #clippedAt = -Infinity;
  #loudest = -Infinity; // of this second

  /** Adds a level in dBFS; -96 is silence. */
  addLevel(rms, peak, now) {
    this.meter = withLevel(this.meter, rms, peak, now);
    if (rms > TALKING_DBFS) this.#speechAt = now;
    if (peak >= CLIPPED_DBFS) this.#clippedAt = now;
    if (rms > this.#loudest) this.#loudest = rms;
  }

  /** Appends the second that has ended to the minute. */
  endSecond() {
    this.minute = (this.minute + stepOf(this.#loudest)).slice(-MINUTE);
    this.#loudest = -Infinity;
  }

  /** Sets the minute before this page was opened, as sent by the recorder. */
  setMinute(minute) {
    this.minute = minute.slice(-MINUTE);
  }

  isTalking(now) {
    return now - this.#speechAt < TALKING_MS;
  }

  hasSpoken(now) {
    return now - this.#speechAt < SPEAKING_MS;
  }

  isClipped(now) {
    return now - this.#clippedAt < CLIP_MS;
  }

  clearClipping() {
    this.#clippedAt = -Infinity;
  }
}

/** Returns the character of a second by its loudest rms, as `step_of` in calls/live/messages.py. */
export function stepOf(rms) {
  if (rms < SILENCE) return NO_AUDIO;
  return String(Math.min(9, Math.max(0, Math.floor((rms + 60) / 6))));
}

/** Counts the seconds of a strip with speech. */
export function spokenSeconds(minute) {
  return Array.from(minute).filter((step) => step >= "3").length;
}
