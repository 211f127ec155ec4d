// Parts of a page, which are fetched again as HTML from the server.

/** Returns HTML; throws if the server answers with an error, or asks for a login. */
export async function fetchHtml(address, options = {}) {
  const answer = await fetch(address, { ...options, redirect: "error" });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.text();
}

/** Returns the element of HTML whose `data-part` has the name; null if there is none. */
export function partOf(html, name) {
  return new DOMParser().parseFromString(html, "text/html").querySelector(`[data-part=${name}]`);
}

/** Replaces the content of `parent`. What was open stays open, and the focus where it was. */
export function replaceContent(parent, fresh) {
  const focused = parent.contains(document.activeElement) ? selectorOf(document.activeElement) : "";
  for (const { dataset } of parent.querySelectorAll("details[open][data-fold]"))
    fresh.querySelector(foldOf(dataset.fold))?.setAttribute("open", "");
  parent.replaceChildren(fresh);
  if (focused) parent.querySelector(focused)?.focus({ preventScroll: true });
}

/** Returns a selector that finds the same element after a refresh; "" if nothing names it. */
function selectorOf(element) {
  for (const name of ["aria-label", "href"]) {
    const value = element.getAttribute(name);
    if (value) return `[${name}="${CSS.escape(value)}"]`;
  }
  const fold = element.closest("details")?.dataset.fold;
  return fold ? `${foldOf(fold)} summary` : "";
}

function foldOf(name) {
  return `[data-fold="${CSS.escape(name)}"]`;
}
