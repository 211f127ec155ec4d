// Lanes of the witnesses of a call, below those of its participants: when the call took place by
// the events of ACS, by statements of other systems, and by our own sockets.

import { counted } from "../format.js";
import { pixelsAt } from "./axis.js";
import { prepared } from "./drawing.js";
import { facts, spansAt } from "./states.js";

const LEAST_PIXELS = 2;

export class WitnessLanes {
  #lanes = []; // {witness, element, canvas}
  #key = "";

  constructor(column, template) {
    Object.assign(this, { column, template });
  }

  /** Shows the lanes of `witnesses`; returns the canvases if they are new ones. */
  show(witnesses) {
    const key = JSON.stringify(witnesses);
    if (key === this.#key) return [];
    this.#key = key;
    this.#lanes = witnesses.map((witness) => this.#laneOf(witness));
    this.column.replaceChildren(...this.#lanes.map(({ element }) => element));
    return this.#lanes.map(({ canvas }) => canvas);
  }

  draw(view, palette) {
    for (const { witness, canvas } of this.#lanes) {
      const { pen, width, height } = prepared(canvas);
      for (const span of witness.spans) {
        const from = Math.max(0, pixelsAt(view, width, span.start));
        const to = Math.min(width, pixelsAt(view, width, span.end));
        if (to < 0 || from > width) continue;
        const isWhole = witness.kind === "events" && span === witness.spans[0] && !span.is_fault;
        const top = span.is_fault || isWhole ? 0 : height / 3;
        pen.fillStyle = span.is_fault ? palette.gap : palette.wave;
        pen.globalAlpha = isWhole ? 0.35 : 1;
        pen.fillRect(from, top, Math.max(LEAST_PIXELS, to - from), height - top);
      }
      pen.globalAlpha = 1;
    }
  }

  /** Sets the tooltip of a lane under the pointer. */
  hover(canvas, seconds, reach) {
    const lane = this.#lanes.find((each) => each.canvas === canvas);
    if (lane) canvas.title = spansAt(lane.witness.spans, seconds, reach) || lane.witness.name;
  }

  #laneOf(witness) {
    const element = this.template.content.firstElementChild.cloneNode(true);
    const canvas = element.querySelector("canvas");
    const people = witness.participants
      ? `, ${counted(witness.participants, "participant", "participants")}`
      : "";
    element.querySelector("[data-part=label]").textContent = witness.name;
    element.querySelector("[data-part=facts]").textContent = facts(witness) + people;
    const told = witness.spans.map((span) => `${span.label} (${facts(span)})`);
    canvas.setAttribute("aria-label", `${witness.name}: ${told.join("; ")}`);
    return { witness, element, canvas };
  }
}
