// <level-meter>: a bar for the level (rms), a line for the held peak, and the figure, on one
// canvas. <activity-strip>: the last minute, one column per second. Both are drawn by painter.js.

import { FLOOR, fraction, isStill, peakOf, rmsOf } from "./ballistics.js";
import { level } from "../../format.js";
import { MINUTE, NO_AUDIO, spokenSeconds } from "./voice.js";

const FIGURE_PX = 52;
const SCALE_DB = [-48, -36, -24, -12];
const ARIA_MS = 2000; // screen readers need no more
const HOT_DBFS = -3;
const WARM_DBFS = -9;

/** An element filled by a canvas, which holds no memory while it is not visible. */
class CanvasElement extends HTMLElement {
  connectedCallback() {
    if (this.canvas) return;
    this.canvas = this.appendChild(document.createElement("canvas"));
    this.canvas.width = this.canvas.height = 0;
    this.canvas.setAttribute("aria-hidden", "true");
    sizes.observe(this);
  }

  disconnectedCallback() {
    sizes.unobserve(this);
    this.canvas?.remove();
    this.canvas = null;
  }

  /** Sets the size in CSS pixels; from the observer, to avoid a forced layout. */
  resize(width, height) {
    Object.assign(this, { width, height, isStale: true });
  }

  /** Returns the cleared context; null while the size is unknown. */
  clearedContext() {
    if (!this.canvas || !this.width) return null;
    const ratio = window.devicePixelRatio;
    const [width, height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.isStale = false;
    return context;
  }

  release() {
    if (this.canvas) this.canvas.width = 0;
    this.isStale = true;
  }
}

export class LevelMeter extends CanvasElement {
  #ariaAt = -Infinity;
  #wasStill = false;

  /** Draws the voice at `now`; a still meter is drawn once only. */
  draw(voice, now, inks, figureIsDue) {
    const still = isStill(voice.meter, now);
    if (still && this.#wasStill && !this.isStale) return;
    // In a pause between syllables it is not silent: the loudspeaker is lit.
    const rms = Math.max(rmsOf(voice.meter, now), voice.isTalking(now) ? FLOOR + 1 : -Infinity);
    if (figureIsDue || still || this.isStale) this.figure = level(rms);
    const context = this.clearedContext();
    if (context === null) return;
    this.#wasStill = still;
    drawMeter(
      context,
      this.width - FIGURE_PX,
      this.height,
      { rms, peak: peakOf(voice.meter, now) },
      inks,
    );
    context.fillStyle = inks.soft;
    context.font = inks.font;
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.fillText(this.figure, this.width, this.height / 2 + 0.5);
    if (now - this.#ariaAt > ARIA_MS || still) this.#updateAria(rms, now);
  }

  #updateAria(rms, now) {
    this.#ariaAt = now;
    this.setAttribute("aria-valuenow", String(Math.max(FLOOR, Math.min(0, Math.round(rms)))));
    this.setAttribute("aria-valuetext", rms <= FLOOR ? "silent" : `${Math.round(rms)} dBFS`);
  }
}

export class ActivityStrip extends CanvasElement {
  #announcedSeconds = -1;

  draw(voice, inks) {
    const context = this.clearedContext();
    if (context === null) return;
    const step = this.width / MINUTE;
    Array.from(voice.minute).forEach((character, index) => {
      const left = this.width - (voice.minute.length - index) * step;
      drawSecond(context, character, left, Math.max(1, step - 0.75), this.height, inks);
    });
    const spoken = spokenSeconds(voice.minute);
    if (Math.abs(spoken - this.#announcedSeconds) < 5) return;
    this.#announcedSeconds = spoken;
    this.setAttribute(
      "aria-label",
      `Spoke in ${spoken} of the last ${voice.minute.length} seconds`,
    );
  }
}

function drawMeter(context, width, height, { rms, peak }, inks) {
  const [top, thick] = [height / 2 - 5, 10];
  context.fillStyle = inks.sunken;
  context.fillRect(0, top, width, thick);
  const parts = [
    [FLOOR, WARM_DBFS, inks.accent],
    [WARM_DBFS, HOT_DBFS, inks.warm],
    [HOT_DBFS, 0, inks.hot],
  ];
  for (const [from, to, ink] of parts) {
    if (rms <= from) break;
    context.fillStyle = ink;
    context.fillRect(
      fraction(from) * width,
      top,
      (fraction(Math.min(rms, to)) - fraction(from)) * width,
      thick,
    );
  }
  context.fillStyle = inks.surface;
  for (const dbfs of SCALE_DB) context.fillRect(Math.round(fraction(dbfs) * width), top, 1, thick);
  if (peak <= FLOOR) return;
  context.fillStyle = peak > HOT_DBFS ? inks.hot : inks.ink;
  context.fillRect(Math.min(width - 2, fraction(peak) * width), top - 2, 2, thick + 4);
}

/** No audio: a dot in the middle. Silence: the base line. Otherwise a column on the base line. */
function drawSecond(context, step, left, width, height, inks) {
  if (step === NO_AUDIO) {
    context.fillStyle = inks.soft;
    context.fillRect(left + width / 2 - 0.5, height / 2 - 0.5, 1, 1);
    return;
  }
  const loud = Number(step);
  context.fillStyle = loud >= 3 ? inks.wave : inks.line;
  const tall = Math.max(1.5, (loud / 9) * height);
  context.fillRect(left, height - tall, width, tall);
}

const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries)
    target.resize(contentRect.width, contentRect.height);
});

customElements.define("level-meter", LevelMeter);
customElements.define("activity-strip", ActivityStrip);
