// State of the recorders in the dock: a banner if one is missing, and refused connections.

import { format, missingText, reasonsOf, refusedRows, refusedText, unknown } from "./refusals.js";

const at = (id) => document.getElementById(id);

export class Recorders {
  #state = unknown;

  /** @param words texts by reason */
  constructor(words) {
    this.words = words;
  }

  /** Shows a message of the type "recorders". */
  show(state) {
    this.#state = state;
    const missing = missingText(state);
    at("recorders").hidden = missing === "";
    at("recorders-text").textContent = missing;
    const figure = at("refused-figure");
    const texts = refusedText(state);
    for (const [index, text] of texts.entries()) figure.children[index].textContent = text;
    figure.toggleAttribute("data-from-acs", Object.keys(state.refused.from_acs).length > 0);
    const rows = refusedRows(state, this.words).map((cells) => this.#row(cells));
    at("refused").hidden = rows.length === 0;
    at("refused-rows").replaceChildren(...rows);
  }

  /** Returns more about an alarm of the recorder; "" if nothing is known. */
  detailOf({ alarm }) {
    return alarm === "acs_refused" ? reasonsOf(this.#state, this.words) : "";
  }

  #row([text, fromAcs, others]) {
    const row = at("refused-template").content.firstElementChild.cloneNode(true);
    const [reason, acs, other] = row.children;
    reason.textContent = text;
    acs.textContent = format(fromAcs);
    other.textContent = format(others);
    row.toggleAttribute("data-from-acs", fromAcs > 0);
    return row;
  }
}
