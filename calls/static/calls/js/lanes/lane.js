// A lane: its header with mute and solo, and its canvas.

import { clock, counted } from "../format.js";
import { drawLane } from "./drawing.js";

export class Lane {
  isMute = false;
  isSolo = false;
  #changed;

  /** @param changed called when mute or solo is pressed */
  constructor(template, track, changed) {
    this.element = template.content.firstElementChild.cloneNode(true);
    this.canvas = this.element.querySelector("canvas");
    this.participant = track.participant;
    for (const name of ["mute", "solo"]) {
      this.#part(name).addEventListener("click", () => this.press(name));
    }
    this.#changed = changed;
    this.show(track);
  }

  get hasAudio() {
    return this.track.segments > 0;
  }

  show(track) {
    this.track = track;
    this.element.dataset.participant = track.participant;
    this.#part("label").textContent = track.label;
    this.#part("label").title = track.raw_id;
    this.element.querySelector("use").setAttribute("href", `#mark-${track.kind}`);
    const recorded = track.recorded.reduce((sum, [start, end]) => sum + end - start, 0);
    const gaps = track.gaps.length ? `, ${counted(track.gaps.length, "gap", "gaps")}` : "";
    this.#part("facts").textContent = this.hasAudio
      ? `${clock(recorded)} recorded${gaps}`
      : "nothing recorded";
    this.#part("mute").setAttribute("aria-label", `Mute ${track.label}`);
    this.#part("solo").setAttribute("aria-label", `Solo ${track.label}`);
    this.canvas.setAttribute("aria-label", `Waveform of ${track.label}${gaps}`);
  }

  /** "mute" or "solo". */
  press(name) {
    if (name === "mute") this.isMute = !this.isMute;
    else this.isSolo = !this.isSolo;
    this.#part("mute").setAttribute("aria-pressed", String(this.isMute));
    this.#part("solo").setAttribute("aria-pressed", String(this.isSolo));
    this.#changed();
  }

  draw(view, peaks, palette, isAudible) {
    this.element.toggleAttribute("data-mute", !isAudible);
    drawLane(this.canvas, view, this.track, peaks, palette, isAudible);
  }

  #part(name) {
    return this.element.querySelector(`[data-part="${name}"]`);
  }
}
