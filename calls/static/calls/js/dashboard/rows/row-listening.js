// Listening in from the rows: one call at a time, in one bar below them. The bar stays where it is
// while rows move, because moving it in the document would stop the audio.

import { callTitle } from "../../identity.js";

export class RowListening {
  #marked = null; // the row whose button is "Stop"
  #calls = new Map();

  /**
   * @param list parent of the rows
   * @param bar a <listen-in>; null, as the buttons, without the permission
   */
  constructor(list, bar, kinds) {
    Object.assign(this, { list, bar, kinds });
    if (bar === null) return;
    list.addEventListener("click", (event) => {
      const row = event.target.closest("[data-do=listen]")?.closest("[data-call]");
      if (row) this.#toggle(row.dataset.call);
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
    if (hadFocus) this.#row(this.bar.dataset.call)?.querySelector("[data-part=title]").focus();
  }

  #mark() {
    const row = this.#row(this.bar.listensTo);
    if (row === this.#marked) return;
    setButton(this.#marked, "Listen", " to this call");
    setButton(row, "Stop", " listening to this call");
    this.#marked?.removeAttribute("data-listened");
    row?.toggleAttribute("data-listened", true);
    this.#marked = row;
  }

  #row(id) {
    return id ? this.list.querySelector(`[data-call="${CSS.escape(id)}"]`) : null;
  }

  get #close() {
    return this.bar.querySelector("[data-part=close]");
  }
}

function setButton(row, word, rest) {
  const control = row?.querySelector("[data-do=listen]");
  if (control)
    [control.firstElementChild.textContent, control.lastElementChild.textContent] = [word, rest];
}
