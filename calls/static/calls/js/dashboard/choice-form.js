// Filter and sort form above the rows. Its fields, the address bar and `choice` are kept in step.

import { everything, read, written } from "./choice.js";

export class ChoiceForm {
  /** @param words texts by alarm name @param changed called when the operator changes a field */
  constructor(form, words, changed) {
    Object.assign(this, { form, changed, choice: read(window.location.search) });
    for (const [name, text] of Object.entries(words))
      form.elements.alarm.add(new Option(text, name));
    this.#writeForm();
    form.addEventListener("input", () => this.#readForm());
    form.addEventListener("submit", (event) => event.preventDefault());
    // After the fields have been reset.
    form.addEventListener("reset", () => setTimeout(() => this.#readForm(), 0));
    window.addEventListener("popstate", () => {
      this.choice = read(window.location.search);
      this.#writeForm();
      this.changed();
    });
  }

  /** Whether rows depend on levels or on the time, not only on messages about calls. */
  get dependsOnTime() {
    return this.choice.state !== "" || this.choice.longer > 0 || this.choice.sort === "state";
  }

  #readForm() {
    this.choice = read(new URLSearchParams(new FormData(this.form)));
    window.history.replaceState(
      null,
      "",
      window.location.pathname + written(this.choice) + window.location.hash,
    );
    this.#mark();
    this.changed();
  }

  #writeForm() {
    for (const [name, value] of Object.entries(this.choice)) {
      this.form.elements[name].value = name === "longer" && !value ? "" : String(value);
    }
    this.#mark();
  }

  #mark() {
    const { sort: _sort, ...filter } = this.choice;
    const isFiltered = Object.entries(filter).some(([name, value]) => value !== everything[name]);
    this.form.toggleAttribute("data-filtered", isFiltered);
  }
}
