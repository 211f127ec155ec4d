// Boxes in front of the rows, and the line above that counts them. Without it the boxes and the button work as forms do.

import { between, extent, kept, said } from "./selection.js";

export class RowSelection {
  #anchor = ""; // the call that was ticked last: a range begins there

  /** @param bar the form whose boxes stand in the rows @param results what the rows are in */
  constructor(bar, results) {
    Object.assign(this, { bar, results, parts: {} });
    for (const part of bar.querySelectorAll("[data-part]")) this.parts[part.dataset.part] = part;
    this.parts.all.parentElement.hidden = false;
    results.addEventListener("click", (event) => {
      if (event.target.matches("input[name=call]")) this.#ticked(event.target, event.shiftKey);
    });
    this.parts.all.addEventListener("change", () => this.#tick(this.#boxes, this.parts.all.checked));
    this.parts.none.addEventListener("click", () => this.clear());
    window.addEventListener("pageshow", () => this.look()); // a browser may remember what was ticked
    this.look();
  }

  /** Ticks in rows that are about to be shown what is ticked now. */
  carryTo(rows) {
    const boxes = boxesIn(rows);
    const still = new Set(kept(this.#selected.map((box) => box.value), boxes.map((box) => box.value)));
    for (const box of boxes) box.checked = still.has(box.value);
  }

  /** The row that holds the focus, or all from the last one to it. */
  tickFocused({ isRange }) {
    const box = document.activeElement?.closest("[data-row]")?.querySelector("input[name=call]");
    if (!box) return;
    box.checked = isRange || !box.checked;
    this.#ticked(box, isRange);
  }

  clear() {
    this.#tick(this.#boxes, false);
    this.#anchor = "";
  }

  /** Says what is ticked. */
  look() {
    const [count, shown] = [this.#selected.length, this.#boxes.length];
    const is = extent(count, shown);
    this.bar.hidden = shown === 0;
    this.bar.dataset.selected = is;
    this.parts.all.checked = is === "all";
    this.parts.all.indeterminate = is === "some";
    this.parts.none.hidden = is === "none";
    this.parts.download.disabled = is === "none";
    const words = said(count, shown);
    this.parts.selected.textContent = words;
    this.parts.download.title = is === "none" ? words : "";
  }

  get #boxes() {
    return boxesIn(this.results);
  }

  get #selected() {
    return this.#boxes.filter((box) => box.checked);
  }

  #ticked(box, isRange) {
    const boxes = this.#boxes;
    const range = new Set(between(boxes.map((each) => each.value), isRange ? this.#anchor : box.value, box.value));
    this.#anchor = box.value;
    this.#tick(boxes.filter((each) => range.has(each.value)), box.checked);
  }

  #tick(boxes, isTicked) {
    for (const box of boxes) box.checked = isTicked;
    this.look();
  }
}

function boxesIn(root) {
  return [...root.querySelectorAll("input[name=call]")];
}
