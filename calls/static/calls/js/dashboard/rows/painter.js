// Draws meters and strips of the rows that are in sight, all in one pass; what is out of sight costs nothing.

import { clock } from "../../format.js";
import { stateOf } from "../choice.js";

const FRAME_MS = 33; // thirty pictures a second are smooth enough, and half the work
const CALM_FRAME_MS = 250; // for readers who asked for less motion
const FIGURE_MS = 250; // a figure that changes more often cannot be read
const MARGIN = "120px"; // drawn a little before it is seen

export class Painter {
  #rows = new Set();
  #drawnAt = 0;
  #figureAt = 0;
  #inks = null;
  #calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  #sight = new IntersectionObserver((entries) => this.#see(entries), { rootMargin: MARGIN });

  /** @param voices by participant id @param serverNow the server's clock, milliseconds since 1970 */
  constructor(voices, serverNow) {
    Object.assign(this, { voices, serverNow });
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#refresh());
    requestAnimationFrame((now) => this.#frame(now));
  }

  watch(row) {
    this.#sight.observe(row.card);
    rowsByCard.set(row.card, row);
  }

  /** The row was filled anew. */
  changed(row) {
    if (this.#rows.has(row)) this.#tell(row, performance.now());
  }

  forget(row) {
    this.#sight.unobserve(row.card);
    this.#rows.delete(row);
  }

  /** Once a second: strips, durations, states. */
  second() {
    const now = performance.now();
    for (const row of this.#rows) this.#tell(row, now);
  }

  #see(entries) {
    for (const { target, isIntersecting } of entries) {
      const row = rowsByCard.get(target);
      if (isIntersecting) {
        this.#rows.add(row);
        this.#tell(row, performance.now());
      } else if (this.#rows.delete(row)) {
        for (const { meter, strip } of row.participants.values()) {
          meter.rest();
          strip.rest();
        }
      }
    }
  }

  #frame(now) {
    requestAnimationFrame((next) => this.#frame(next));
    if (now - this.#drawnAt < (this.#calm.matches ? CALM_FRAME_MS : FRAME_MS) - 4) return;
    this.#drawnAt = now;
    const figureIsDue = now - this.#figureAt > FIGURE_MS;
    if (figureIsDue) this.#figureAt = now;
    const inks = this.#inksNow();
    for (const row of this.#rows) {
      for (const [id, participant] of row.participants) {
        const voice = this.voices.get(id);
        if (!voice) continue;
        participant.meter.draw(voice, now, inks, figureIsDue);
        if (participant.strip.isStale) participant.strip.draw(voice, inks);
        mark(participant, "talking", voice.isTalking(now));
        mark(participant, "clipped", voice.isClipped(now));
      }
    }
  }

  #tell(row, now) {
    if (row.isOver) return;
    for (const [id, { strip }] of row.participants) {
      const voice = this.voices.get(id);
      if (voice) strip.draw(voice, this.#inksNow());
    }
    write(row.duration, clock((this.serverNow() - Date.parse(row.call.started_at)) / 1000));
    const state = stateOf(row.call, this.voices, now);
    write(row.status, state);
    if (row.card.dataset.state !== state) row.card.dataset.state = state;
  }

  #refresh() {
    this.#inks = null;
    for (const row of this.#rows) {
      for (const { meter, strip } of row.participants.values()) meter.isStale = strip.isStale = true;
    }
  }

  #inksNow() {
    this.#inks ??= readInks();
    return this.#inks;
  }
}

const rowsByCard = new WeakMap();

function readInks() {
  const style = getComputedStyle(document.documentElement);
  const ink = (name) => style.getPropertyValue(`--${name}`).trim();
  const names = ["accent", "warm", "hot", "ink", "line", "sunken", "surface", "wave"];
  return { ...Object.fromEntries(names.map((name) => [name, ink(name)])), soft: ink("ink-soft"), font: `12px ${style.fontFamily}` };
}

/** Sets an attribute of the participant's row only when it changes. */
function mark(participant, name, isOn) {
  if (participant[name] === isOn) return;
  participant[name] = isOn;
  participant.row.toggleAttribute(`data-${name}`, isOn);
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
