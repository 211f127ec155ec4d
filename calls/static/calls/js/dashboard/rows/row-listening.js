// Listening in from the rows: to one call at a time, in one bar below them. Rows come, move and go, the bar stays where it
// is: an element that is moved falls silent.

import { shortId } from "../../format.js";
import { label } from "../../identity.js";

const MAX_NAMES = 3;

export class RowListening {
  #marked = null; // the row whose control says Stop
  #calls = new Map();

  /** @param list the rows @param bar a <listen-in>; null where one may not listen: then there are no controls either */
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

  /** After the rows were drawn; `calls` by id are those of the moment. */
  show(calls) {
    this.#calls = calls;
    if (this.bar === null || this.bar.hidden) return;
    this.#name();
    this.#mark();
  }

  #toggle(id) {
    if (this.bar.listensTo === id) return this.bar.stop();
    this.bar.hidden = false;
    this.bar.listenTo(id);
    this.#name();
  }

  #name() {
    const call = this.#calls.get(this.bar.dataset.call);
    const whom = this.bar.querySelector("[data-part=whom]");
    if (call && whom.textContent !== titleOf(call, this.kinds)) whom.textContent = titleOf(call, this.kinds);
  }

  #changed({ state, isOver }) {
    this.#close.hidden = state !== "off";
    if (state === "off" && !isOver) this.#hide();
    this.#mark();
  }

  /** Whoever was at the bar is led back to the row. */
  #hide() {
    const wasHere = this.bar.contains(document.activeElement);
    this.bar.hidden = true;
    if (wasHere) this.#row(this.bar.dataset.call)?.querySelector("[data-part=title]").focus();
  }

  #mark() {
    const row = this.#row(this.bar.listensTo);
    if (row === this.#marked) return;
    tell(this.#marked, "Listen", " to this call");
    tell(row, "Stop", " listening to this call");
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

function tell(row, word, rest) {
  const control = row?.querySelector("[data-do=listen]");
  if (control) [control.firstElementChild.textContent, control.lastElementChild.textContent] = [word, rest];
}

function titleOf(call, kinds) {
  const names = call.participants.slice(0, MAX_NAMES).map((participant) => label(participant, kinds));
  const more = call.participants.length > MAX_NAMES ? "…" : "";
  return [`Call ${shortId(call.call_connection_id || call.id)}`, names.join(", ") + more].filter(Boolean).join(": ");
}
