// Draws meters and strips of the visible rows in one pass per frame.

import { clock } from "../../format.js";
import { localiseTimes } from "../../local-time.js";
import { sinceOf, stateOf } from "../choice.js";

const FRAME_MS = 33; // thirty frames per second are smooth enough, at half the work
const REDUCED_FRAME_MS = 250; // with "prefers-reduced-motion"
const FIGURE_MS = 250; // faster changes are not readable
const MARGIN = "120px"; // drawn shortly before it becomes visible

export class Painter {
  #rows = new Set();
  #drawnAt = 0;
  #figureAt = 0;
  #inks = null;
  #reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)");
  #observer = new IntersectionObserver((entries) => this.#visibilityChanged(entries), {
    rootMargin: MARGIN,
  });

  /** @param voices by participant id @param serverNow the server's time, milliseconds since 1970 */
  constructor(voices, serverNow) {
    Object.assign(this, { voices, serverNow });
    window
      .matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => this.#resetInks());
    requestAnimationFrame((now) => this.#frame(now));
  }

  watch(row) {
    this.#observer.observe(row.card);
    rowsByCard.set(row.card, row);
  }

  /** Draws a row whose call has changed. */
  refresh(row) {
    if (this.#rows.has(row)) this.#update(row, performance.now());
  }

  unwatch(row) {
    this.#observer.unobserve(row.card);
    this.#rows.delete(row);
  }

  /** Updates strips, durations and states; to be called once a second. */
  everySecond() {
    const now = performance.now();
    for (const row of this.#rows) this.#update(row, now);
  }

  #visibilityChanged(entries) {
    for (const { target, isIntersecting } of entries) {
      const row = rowsByCard.get(target);
      if (isIntersecting) {
        this.#rows.add(row);
        this.#update(row, performance.now());
      } else if (this.#rows.delete(row)) {
        for (const { meter, strip } of row.participants.values()) {
          meter.release();
          strip.release();
        }
      }
    }
  }

  #frame(now) {
    requestAnimationFrame((next) => this.#frame(next));
    if (now - this.#drawnAt < (this.#reducedMotion.matches ? REDUCED_FRAME_MS : FRAME_MS) - 4)
      return;
    this.#drawnAt = now;
    const figureIsDue = now - this.#figureAt > FIGURE_MS;
    if (figureIsDue) this.#figureAt = now;
    const inks = this.#inksNow();
    for (const row of this.#rows) {
      let hasChanged = false;
      for (const [id, participant] of row.participants) {
        const voice = this.voices.get(id);
        if (!voice) continue;
        participant.meter.draw(voice, now, inks, figureIsDue);
        if (participant.strip.isStale) participant.strip.draw(voice, inks);
        if (mark(participant, "talking", voice.isTalking(now))) hasChanged = true;
        mark(participant, "clipped", voice.isClipped(now));
      }
      // at once: "silent" must not stand beside a loudspeaker
      if (hasChanged && !row.hasEnded) this.#updateState(row, now);
    }
  }

  #update(row, now) {
    if (row.hasEnded) return;
    for (const [id, { strip }] of row.participants) {
      const voice = this.voices.get(id);
      if (voice) strip.draw(voice, this.#inksNow());
    }
    write(row.duration, clock((this.serverNow() - Date.parse(row.call.started_at)) / 1000));
    this.#updateState(row, now);
  }

  #updateState(row, now) {
    const state = stateOf(row.call, this.voices, now);
    write(row.status, STATE_TEXTS[state] ?? state);
    if (row.card.dataset.state !== state) row.card.dataset.state = state;
    const since = sinceOf(row.call, this.voices, now);
    // Nobody has been heard: the state is as old as the call.
    if (state === "waiting") this.#showSince(row, Date.parse(row.call.started_at), 0);
    else this.#showSince(row, since, this.serverNow() - now);
  }

  /** Shows a time once, because its conversion from another clock may round differently later. */
  #showSince(row, since, offset) {
    if (row.since === since) return;
    row.since = since;
    row.sinceMark.hidden = since === null;
    if (since === null) return;
    row.sinceTime.dateTime = new Date(since + offset).toISOString();
    localiseTimes(row.sinceMark);
  }

  #resetInks() {
    this.#inks = null;
    for (const row of this.#rows) {
      for (const { meter, strip } of row.participants.values())
        meter.isStale = strip.isStale = true;
    }
  }

  #inksNow() {
    this.#inks ??= readInks();
    return this.#inks;
  }
}

const STATE_TEXTS = { waiting: "no audio yet" };

const rowsByCard = new WeakMap();

function readInks() {
  const style = getComputedStyle(document.documentElement);
  const ink = (name) => style.getPropertyValue(`--${name}`).trim();
  const names = ["accent", "warm", "hot", "ink", "line", "sunken", "surface", "wave"];
  return {
    ...Object.fromEntries(names.map((name) => [name, ink(name)])),
    soft: ink("ink-soft"),
    font: `12px ${style.fontFamily}`,
  };
}

/** Sets an attribute of the participant's row, only if it changes; returns whether it did. */
function mark(participant, name, isOn) {
  if (participant[name] === isOn) return false;
  participant[name] = isOn;
  participant.row.toggleAttribute(`data-${name}`, isOn);
  return true;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
