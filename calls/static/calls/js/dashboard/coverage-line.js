// The sentence about the coverage of today, as HTML from the server: fetched once a minute while
// the page is visible.

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
      const answer = await fetch(this.element.dataset.line, { redirect: "error" });
      if (answer.ok) this.#show(await answer.text());
    } catch {
      // The banner of the live socket says that the page is out of date; asked again.
    }
  }

  #show(html) {
    if (html === this.#html) return;
    this.#html = html;
    const line = new DOMParser()
      .parseFromString(html, "text/html")
      .querySelector("[data-part=line]");
    if (!line) return;
    const address = this.element.contains(document.activeElement)
      ? document.activeElement.getAttribute("href")
      : null;
    this.element.replaceChildren(line);
    if (address)
      line.querySelector(`a[href="${CSS.escape(address)}"]`)?.focus({ preventScroll: true });
  }
}
