// The line above the rows in which the operator says what to see. Its fields, the address bar and `choice` are one.

import { everything, read, written } from "./choice.js";

export class ChoiceForm {
  /** @param words of alarms @param changed called when the operator has chosen otherwise */
  constructor(form, words, changed) {
    Object.assign(this, { form, changed, choice: read(window.location.search) });
    for (const [name, text] of Object.entries(words)) form.elements.alarm.add(new Option(text, name));
    this.#write();
    form.addEventListener("input", () => this.#take());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => this.#take(), 0)); // once the fields are empty
    window.addEventListener("popstate", () => {
      this.choice = read(window.location.search);
      this.#write();
      this.changed();
    });
  }

  /** Whether rows may come and go by what is heard, and not only by the news of calls. */
  get dependsOnTheMoment() {
    return this.choice.state !== "" || this.choice.longer > 0 || this.choice.sort === "state";
  }

  #take() {
    this.choice = read(new URLSearchParams(new FormData(this.form)));
    window.history.replaceState(null, "", window.location.pathname + written(this.choice) + window.location.hash);
    this.#mark();
    this.changed();
  }

  #write() {
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
