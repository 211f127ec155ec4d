// Listening in from the rows of calls and of alarms: one call at a time, in one bar. The bar stays
// where it is while rows move, because moving it in the document would stop the audio.

import { callTitle } from "../../identity.js";

export class RowListening {
  #calls = new Map();

  /**
   * @param page parent of all rows
   * @param bar a <listen-in>; null, as the buttons, without the permission
   */
  constructor(page, bar, kinds) {
    Object.assign(this, { page, bar, kinds });
    if (bar === null) return;
    page.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do=listen]");
      if (button) this.#toggle(callOf(button));
    });
    bar.addEventListener("listening", ({ detail }) => this.#changed(detail));
    this.#close.addEventListener("click", () => this.#hide());
  }

  /** To be called after the rows were shown; `calls`: the live calls by id. */
  show(calls) {
    this.#calls = calls;
    if (this.bar === null || this.bar.hidden) return;
    this.#showTitle();
    this.#mark();
  }

  #toggle(id) {
    if (this.bar.listensTo === id) return this.bar.stop();
    this.bar.hidden = false;
    this.bar.listenTo(id);
    this.#showTitle();
  }

  #showTitle() {
    const call = this.#calls.get(this.bar.dataset.call);
    const element = this.bar.querySelector("[data-part=title]");
    const title = call && callTitle(call, this.kinds);
    if (title && element.textContent !== title) element.textContent = title;
  }

  #changed({ state, isOver }) {
    this.#close.hidden = state !== "off";
    if (state === "off" && !isOver) this.#hide();
    this.#mark();
  }

  /** Hides the bar; a focus within it moves back to the row. */
  #hide() {
    const hadFocus = this.bar.contains(document.activeElement);
    this.bar.hidden = true;
    if (hadFocus) this.#title(this.bar.dataset.call)?.focus();
  }

  #mark() {
    const heard = this.bar.listensTo;
    for (const button of this.page.querySelectorAll("[data-do=listen]")) {
      const isHeard = heard !== "" && callOf(button) === heard;
      if (button.hasAttribute("data-on") === isHeard) continue;
      button.toggleAttribute("data-on", isHeard);
      button.firstElementChild.textContent = isHeard ? "Stop" : "Listen";
      button.lastElementChild.textContent = isHeard ? " listening to this call" : " to this call";
    }
  }

  #title(id) {
    const row = id ? this.page.querySelector(`article[data-call="${CSS.escape(id)}"]`) : null;
    return row?.querySelector("[data-part=title]");
  }

  get #close() {
    return this.bar.querySelector("[data-part=close]");
  }
}

/** Returns the id of the call that a button listens to. */
function callOf(button) {
  return button.dataset.listen ?? button.closest("[data-call]").dataset.call;
}
