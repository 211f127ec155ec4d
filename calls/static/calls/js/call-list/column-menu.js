// The menu in which columns of the list are hidden. This browser keeps it: how one looks at a list is no part of what is
// shown, so an address that is shared says nothing of it, and the server has nothing to store or to tell.

import { changed, read, written } from "./columns.js";

const KEPT = "acsmedia.calls.hidden-columns";

export class ColumnMenu {
  #hidden = [];

  /** @param menu a <details> with boxes @param list what the rows are in; its `data-hides` is for the style sheet */
  constructor(menu, list) {
    Object.assign(this, { menu, list, reset: menu.querySelector("[data-part=reset]") });
    menu.hidden = false;
    menu.addEventListener("change", ({ target }) => this.#keep(changed(this.#hidden, target.value, target.checked)));
    this.reset.addEventListener("click", () => this.#keep([]));
    document.addEventListener("pointerdown", ({ target }) => menu.contains(target) || (menu.open = false));
    window.addEventListener("storage", ({ key }) => key === KEPT && this.#show(kept())); // another window has chosen
    this.#show(kept());
  }

  /** Whether it was open. */
  close() {
    if (!this.menu.open) return false;
    this.menu.open = false;
    this.menu.querySelector("summary").focus();
    return true;
  }

  #keep(hidden) {
    this.#show(hidden);
    try {
      if (hidden.length > 0) window.localStorage.setItem(KEPT, written(hidden));
      else window.localStorage.removeItem(KEPT);
    } catch {
      // the browser keeps nothing: the choice holds as long as the page
    }
  }

  #show(hidden) {
    this.#hidden = hidden;
    this.list.dataset.hides = written(hidden);
    for (const box of this.menu.querySelectorAll("input")) box.checked = !hidden.includes(box.value);
    this.reset.disabled = hidden.length === 0;
  }
}

function kept() {
  try {
    return read(window.localStorage.getItem(KEPT));
  } catch {
    return [];
  }
}
