// The sentence about the coverage of today, as HTML from the server: fetched once a minute while
// the page is visible.

import { fetchHtml, partOf, replaceContent } from "../part.js";

const REFRESH_MS = 60_000;

export class CoverageLine {
  #html = "";
  #isDue = false;

  constructor(element) {
    this.element = element;
  }

  start() {
    void this.#refresh();
    setInterval(() => void this.#refresh(), REFRESH_MS);
    document.addEventListener("visibilitychange", () => this.#isDue && void this.#refresh());
  }

  async #refresh() {
    this.#isDue = document.hidden;
    if (document.hidden) return;
    try {
      this.#show(await fetchHtml(this.element.dataset.line));
    } catch {
      // The banner of the live socket says that the page is out of date; asked again.
    }
  }

  #show(html) {
    if (html === this.#html) return;
    this.#html = html;
    const line = partOf(html, "line");
    if (line) replaceContent(this.element, line);
  }
}
