// Marks of a call: what happened besides audio, as buttons above the lanes. A reader of the page finds them in order of time.

import { offset, pixelsAt } from "./axis.js";

const APART_PIXELS = 12; // closer ones would lie over each other: the first stands for all

export class Marks {
  #row;
  #template;
  #chosen;
  #shown = []; // {mark, element}

  constructor(row, template, chosen) {
    this.#row = row;
    this.#template = template;
    this.#chosen = chosen;
  }

  show(marks) {
    if (marks.length === this.#shown.length) return; // the ledger only grows
    this.#shown = marks.map((mark) => ({ mark, element: this.#made(mark) }));
    this.#row.replaceChildren(...this.#shown.map(({ element }) => element));
  }

  place(view, width) {
    let last = -Infinity;
    for (const { mark, element } of this.#shown) {
      const place = pixelsAt(view, width, Math.max(0, mark.at));
      const isSeen = place >= 0 && place <= width && place - last >= APART_PIXELS;
      element.hidden = !isSeen;
      if (!isSeen) continue;
      last = place;
      element.style.transform = `translateX(${place.toFixed(1)}px)`;
    }
  }

  #made(mark) {
    const element = this.#template.content.firstElementChild.cloneNode(true);
    const text = `${offset(Math.max(0, mark.at), 1)} · ${mark.label}`;
    element.dataset.kind = mark.kind;
    element.title = text;
    element.setAttribute("aria-label", text);
    element.querySelector("use").setAttribute("href", `#sign-${mark.kind}`);
    element.addEventListener("click", () => this.#chosen(mark));
    return element;
  }
}
