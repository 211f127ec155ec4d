// Menu of visible columns. The choice is stored in the browser only, neither in the address nor on
// the server.

import { changed, read, written } from "./columns.js";

const STORAGE_KEY = "acsmedia.calls.hidden-columns";

export class ColumnMenu {
  #hidden = [];

  /**
   * @param menu a <details> with checkboxes
   * @param list parent of the rows; CSS reads its `data-hides`
   */
  constructor(menu, list) {
    Object.assign(this, { menu, list, reset: menu.querySelector("[data-part=reset]") });
    menu.hidden = false;
    menu.addEventListener("change", ({ target }) =>
      this.#store(changed(this.#hidden, target.value, target.checked)),
    );
    this.reset.addEventListener("click", () => this.#store([]));
    document.addEventListener(
      "pointerdown",
      ({ target }) => menu.contains(target) || (menu.open = false),
    );
    // Changed in another window.
    window.addEventListener("storage", ({ key }) => key === STORAGE_KEY && this.#show(stored()));
    this.#show(stored());
  }

  /** Closes the menu; returns whether it was open. */
  close() {
    if (!this.menu.open) return false;
    this.menu.open = false;
    this.menu.querySelector("summary").focus();
    return true;
  }

  #store(hidden) {
    this.#show(hidden);
    try {
      if (hidden.length > 0) window.localStorage.setItem(STORAGE_KEY, written(hidden));
      else window.localStorage.removeItem(STORAGE_KEY);
    } catch {
      // no storage in this browser: the choice lasts as long as the page
    }
  }

  #show(hidden) {
    this.#hidden = hidden;
    this.list.dataset.hides = written(hidden);
    for (const box of this.menu.querySelectorAll("input"))
      box.checked = !hidden.includes(box.value);
    this.reset.disabled = hidden.length === 0;
  }
}

function stored() {
  try {
    return read(window.localStorage.getItem(STORAGE_KEY));
  } catch {
    return [];
  }
}
