// <level-meter>: a bar for the level that is heard (rms), a marker for the peak, the figure beside them.

import { FLOOR, fraction, hear, isStill, peakOf, quiet, rmsOf } from "./ballistics.js";
import { level } from "./format.js";

const FRAME_MS = 33; // thirty pictures a second are smooth enough, and half the work
const CALM_FRAME_MS = 250; // for readers who asked for less motion
const FIGURE_MS = 250; // a figure that changes more often cannot be read
const SPOKEN_MS = 2000; // a screen reader asks seldom
export const TALKING_DBFS = -45;

const moving = new Set();
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
let drawnAt = 0;
let isScheduled = false;

export class LevelMeter extends HTMLElement {
  #meter = quiet;
  #figureAt = -Infinity;
  #spokenAt = -Infinity;
  #drawn = "";

  connectedCallback() {
    if (this.firstElementChild) return;
    this.setAttribute("role", "meter");
    this.setAttribute("aria-valuemin", String(FLOOR));
    this.setAttribute("aria-valuemax", "0");
    this.bar = this.#part("span", "meter-bar");
    this.marker = this.#part("span", "meter-peak");
    this.figure = this.#part("span", "meter-figure");
    this.bar.setAttribute("aria-hidden", "true");
    this.#draw(performance.now());
  }

  disconnectedCallback() {
    moving.delete(this);
  }

  /** A level has come: dBFS, -96 is silence. */
  hear(rms, peak) {
    this.#meter = hear(this.#meter, rms, peak, performance.now());
    moving.add(this);
    schedule();
  }

  /** Draws the present moment; false when nothing will move until the next level. */
  step(now) {
    this.#draw(now);
    return !isStill(this.#meter, now);
  }

  #draw(now) {
    const rms = rmsOf(this.#meter, now);
    const peak = peakOf(this.#meter, now);
    const picture = `${fraction(rms).toFixed(3)} ${fraction(peak).toFixed(3)}`;
    if (picture !== this.#drawn) {
      this.#drawn = picture;
      this.style.setProperty("--level", fraction(rms).toFixed(3));
      this.style.setProperty("--peak", fraction(peak).toFixed(3));
      this.toggleAttribute("data-peak", peak > FLOOR);
    }
    const isQuiet = rms <= FLOOR;
    if (now - this.#figureAt > FIGURE_MS || isQuiet) {
      this.#figureAt = now;
      this.#write(rms);
    }
    if (now - this.#spokenAt > SPOKEN_MS || isQuiet) {
      this.#spokenAt = now;
      this.setAttribute("aria-valuenow", String(Math.max(FLOOR, Math.min(0, Math.round(rms)))));
      this.setAttribute("aria-valuetext", isQuiet ? "silent" : `${Math.round(rms)} dBFS`);
    }
  }

  #write(rms) {
    const text = level(rms);
    if (this.figure.textContent !== text) this.figure.textContent = text;
    this.closest("[data-participant]")?.toggleAttribute("data-talking", rms > TALKING_DBFS);
  }

  #part(name, className) {
    const element = document.createElement(name);
    element.className = className;
    return this.appendChild(element);
  }
}

function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(draw);
}

function draw(now) {
  isScheduled = false;
  if (now - drawnAt >= (calm.matches ? CALM_FRAME_MS : FRAME_MS) - 4) {
    drawnAt = now;
    for (const meter of moving) if (!meter.step(now)) moving.delete(meter);
  }
  if (moving.size > 0) schedule();
}

customElements.define("level-meter", LevelMeter);
