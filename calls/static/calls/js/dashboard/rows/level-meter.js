// <level-meter>: a bar for the level that is heard (rms), a line for the peak that is held, the figure, on one canvas.
// <activity-strip>: the last minute, a column a second. Who draws them and when: painter.js.

import { FLOOR, fraction, isStill, peakOf, rmsOf } from "./ballistics.js";
import { level } from "../../format.js";
import { MINUTE, NO_AUDIO, spokenSeconds } from "./voice.js";

const FIGURE_PX = 52;
const SCALE_DB = [-48, -36, -24, -12];
const SPOKEN_MS = 2000; // a screen reader asks seldom
const HOT_DBFS = -3;
const WARM_DBFS = -9;

/** A canvas that is as large as its element, and has no memory while it is out of sight. */
class Picture extends HTMLElement {
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

  /** Size in CSS pixels; from the observer, so that nobody has to ask the page for its layout. */
  fit(width, height) {
    Object.assign(this, { width, height, isStale: true });
  }

  /** The context, cleared; null while the size is not known. */
  blank() {
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

  rest() {
    if (this.canvas) this.canvas.width = 0;
    this.isStale = true;
  }
}

export class LevelMeter extends Picture {
  #spokenAt = -Infinity;
  #wasStill = false;

  /** Draws the present moment of this voice; a still one that has been drawn costs nothing. */
  draw(voice, now, inks, figureIsDue) {
    const still = isStill(voice.meter, now);
    if (still && this.#wasStill && !this.isStale) return;
    const rms = rmsOf(voice.meter, now);
    if (figureIsDue || still || this.isStale) this.figure = level(rms);
    const context = this.blank();
    if (context === null) return;
    this.#wasStill = still;
    drawMeter(context, this.width - FIGURE_PX, this.height, { rms, peak: peakOf(voice.meter, now) }, inks);
    context.fillStyle = inks.soft;
    context.font = inks.font;
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.fillText(this.figure, this.width, this.height / 2 + 0.5);
    if (now - this.#spokenAt > SPOKEN_MS || still) this.#speak(rms, now);
  }

  #speak(rms, now) {
    this.#spokenAt = now;
    this.setAttribute("aria-valuenow", String(Math.max(FLOOR, Math.min(0, Math.round(rms)))));
    this.setAttribute("aria-valuetext", rms <= FLOOR ? "silent" : `${Math.round(rms)} dBFS`);
  }
}

export class ActivityStrip extends Picture {
  #said = -1;

  draw(voice, inks) {
    const context = this.blank();
    if (context === null) return;
    const step = this.width / MINUTE;
    Array.from(voice.minute).forEach((heard, place) => {
      const left = this.width - (voice.minute.length - place) * step;
      drawSecond(context, heard, left, Math.max(1, step - 0.75), this.height, inks);
    });
    const spoken = spokenSeconds(voice.minute);
    if (Math.abs(spoken - this.#said) < 5) return;
    this.#said = spoken;
    this.setAttribute("aria-label", `Spoke in ${spoken} of the last ${voice.minute.length} seconds`);
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
    context.fillRect(fraction(from) * width, top, (fraction(Math.min(rms, to)) - fraction(from)) * width, thick);
  }
  context.fillStyle = inks.surface;
  for (const dbfs of SCALE_DB) context.fillRect(Math.round(fraction(dbfs) * width), top, 1, thick);
  if (peak <= FLOOR) return;
  context.fillStyle = peak > HOT_DBFS ? inks.hot : inks.ink;
  context.fillRect(Math.min(width - 2, fraction(peak) * width), top - 2, 2, thick + 4);
}

/** Nothing came: a dot in the middle. Silence: the base line. Else a column from the base line up. */
function drawSecond(context, heard, left, width, height, inks) {
  if (heard === NO_AUDIO) {
    context.fillStyle = inks.soft;
    context.fillRect(left + width / 2 - 0.5, height / 2 - 0.5, 1, 1);
    return;
  }
  const loud = Number(heard);
  context.fillStyle = loud >= 3 ? inks.wave : inks.line;
  const tall = Math.max(1.5, (loud / 9) * height);
  context.fillRect(left, height - tall, width, tall);
}

const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) target.fit(contentRect.width, contentRect.height);
});

customElements.define("level-meter", LevelMeter);
customElements.define("activity-strip", ActivityStrip);
