// Row checkboxes and the bar that counts them. Without JavaScript they work as a plain form.

import { between, extent, retained, summary } from "./selection.js";

export class RowSelection {
  #anchor = ""; // the call selected last: a range begins there

  /** @param bar the form of the checkboxes @param results parent of the rows */
  constructor(bar, results) {
    Object.assign(this, { bar, results, parts: {} });
    for (const part of bar.querySelectorAll("[data-part]")) this.parts[part.dataset.part] = part;
    this.parts.all.parentElement.hidden = false;
    results.addEventListener("click", (event) => {
      if (event.target.matches("input[name=call]")) this.#toggled(event.target, event.shiftKey);
    });
    this.parts.all.addEventListener("change", () =>
      this.#select(this.#boxes, this.parts.all.checked),
    );
    this.parts.none.addEventListener("click", () => this.clear());
    window.addEventListener("pageshow", () => this.update()); // the browser may restore checkboxes
    this.update();
  }

  /** Copies the selection to rows that are about to be shown. */
  carryTo(rows) {
    const boxes = boxesIn(rows);
    const remaining = new Set(
      retained(
        this.#selected.map((box) => box.value),
        boxes.map((box) => box.value),
      ),
    );
    for (const box of boxes) box.checked = remaining.has(box.value);
  }

  /** Toggles the focused row, or selects the range from the last row to it. */
  tickFocused({ isRange }) {
    const box = document.activeElement?.closest("[data-row]")?.querySelector("input[name=call]");
    if (!box) return;
    box.checked = isRange || !box.checked;
    this.#toggled(box, isRange);
  }

  clear() {
    this.#select(this.#boxes, false);
    this.#anchor = "";
  }

  /** Updates the bar to the selection. */
  update() {
    const [count, shown] = [this.#selected.length, this.#boxes.length];
    const selected = extent(count, shown);
    this.bar.hidden = shown === 0;
    this.bar.dataset.selected = selected;
    this.parts.all.checked = selected === "all";
    this.parts.all.indeterminate = selected === "some";
    this.parts.none.hidden = selected === "none";
    this.parts.download.disabled = selected === "none";
    const text = summary(count, shown);
    this.parts.selected.textContent = text;
    this.parts.download.title = selected === "none" ? text : "";
  }

  get #boxes() {
    return boxesIn(this.results);
  }

  get #selected() {
    return this.#boxes.filter((box) => box.checked);
  }

  #toggled(box, isRange) {
    const boxes = this.#boxes;
    const range = new Set(
      between(
        boxes.map((each) => each.value),
        isRange ? this.#anchor : box.value,
        box.value,
      ),
    );
    this.#anchor = box.value;
    this.#select(
      boxes.filter((each) => range.has(each.value)),
      box.checked,
    );
  }

  #select(boxes, isSelected) {
    for (const box of boxes) box.checked = isSelected;
    this.update();
  }
}

function boxesIn(root) {
  return [...root.querySelectorAll("input[name=call]")];
}
