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
  #spellFrom = null; // since when it has been speaking; null: unknown
  #spellSeenFrom = null; // since when this page has seen it speak
  #seenFrom = null; // since when levels are known
  #clippedAt = -Infinity;
  #loudest = -Infinity; // of this second

  /** Adds a level in dBFS; -96 is silence. */
  addLevel(rms, peak, now) {
    this.meter = withLevel(this.meter, rms, peak, now);
    this.#seenFrom ??= now;
    if (rms > TALKING_DBFS) this.#speak(now);
    if (peak >= CLIPPED_DBFS) this.#clippedAt = now;
    if (rms > this.#loudest) this.#loudest = rms;
  }

  /** Appends the second that has ended to the minute. */
  endSecond() {
    this.minute = (this.minute + stepOf(this.#loudest)).slice(-MINUTE);
    this.#loudest = -Infinity;
  }

  /** Sets the minute before this page was opened, as sent by the recorder at `now`. */
  setMinute(minute, now) {
    this.minute = minute.slice(-MINUTE);
    this.#seenFrom = Math.min(this.#seenFrom ?? now, now - 1000 * this.minute.length);
    if (this.#spellFrom !== null) return; // seen here, to the tenth of a second
    const { quiet, spell } = lastSpeech(this.minute);
    const hasEnded = 1000 * quiet >= SPEAKING_MS;
    // A spell that fills the minute began before it.
    const from = quiet + spell < MINUTE ? now - 1000 * (quiet + spell) : null;
    if (this.hasSpoken(now)) this.#spellFrom = hasEnded ? this.#spellSeenFrom : from;
    else if (spell > 0) {
      this.#speechAt = Math.max(this.#speechAt, now - 1000 * quiet);
      if (!hasEnded) this.#spellFrom = from;
    }
  }

  /** Returns since when it has been speaking; null if it is not, or if that is unknown. */
  speakingSince(now) {
    return this.hasSpoken(now) ? this.#spellFrom : null;
  }

  /** Returns when it last spoke; null if that is unknown. */
  get spokeAt() {
    return this.#speechAt === -Infinity ? null : this.#speechAt;
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

  /** A voice that speaks when the page first hears of it may have begun earlier. */
  #speak(now) {
    if (!this.hasSpoken(now)) {
      this.#spellSeenFrom = now;
      this.#spellFrom = now - this.#seenFrom >= SPEAKING_MS ? now : null;
    }
    this.#speechAt = now;
  }
}

/** Returns the character of a second by its loudest rms, as `step_of` in calls/live/messages.py. */
export function stepOf(rms) {
  if (rms < SILENCE) return NO_AUDIO;
  return String(Math.min(9, Math.max(0, Math.floor((rms + 60) / 6))));
}

/** Returns the seconds since the last speech of a strip, and how long that speech was. */
function lastSpeech(minute) {
  const seconds = Array.from(minute).reverse();
  const quiet = seconds.findIndex(isSpeech);
  if (quiet < 0) return { quiet: seconds.length, spell: 0 };
  let end = quiet;
  for (let index = quiet; index < seconds.length; index += 1) {
    if (isSpeech(seconds[index])) end = index + 1;
    else if (1000 * (index + 1 - end) >= SPEAKING_MS) break;
  }
  return { quiet, spell: end - quiet };
}

/** Counts the seconds of a strip with speech. */
export function spokenSeconds(minute) {
  return Array.from(minute).filter(isSpeech).length;
}

function isSpeech(step) {
  return step >= "3";
}
