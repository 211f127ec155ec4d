// Event marks above the lanes, as buttons in order of time.

import { offset, pixelsAt } from "./axis.js";

const APART_PIXELS = 12; // closer marks would overlap: only the first is shown
const HALF_PIXELS = 10; // of a mark: at both ends of the row it is not cut

export class Marks {
  #row;
  #template;
  #clicked;
  #shown = []; // {mark, element}

  constructor(row, template, clicked) {
    this.#row = row;
    this.#template = template;
    this.#clicked = clicked;
  }

  show(marks) {
    if (marks.length === this.#shown.length) return; // the ledger only grows
    this.#shown = marks.map((mark) => ({ mark, element: this.#elementOf(mark) }));
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
      const shown = Math.max(HALF_PIXELS, Math.min(place, width - HALF_PIXELS));
      element.style.transform = `translateX(${shown.toFixed(1)}px)`;
    }
  }

  #elementOf(mark) {
    const element = this.#template.content.firstElementChild.cloneNode(true);
    const text = `${offset(Math.max(0, mark.at), 1)} · ${mark.label}`;
    element.dataset.kind = mark.kind;
    element.title = text;
    element.setAttribute("aria-label", text);
    element.querySelector("use").setAttribute("href", `#sign-${mark.kind}`);
    element.addEventListener("click", () => this.#clicked(mark));
    return element;
  }
}
