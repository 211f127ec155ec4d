// The list of calls: searches while the user types. Without JavaScript the form is submitted as
// usual.

import { ColumnMenu } from "./column-menu.js";
import "../copying.js";
import { adoptZone, currentZone, localiseTimes } from "../local-time.js";
import { fetchHtml, partOf } from "../part.js";
import { RowSelection } from "./row-selection.js";

const TYPED_MS = 250; // a pause in typing
const form = document.getElementById("search");
const results = document.getElementById("results");
const announcement = document.getElementById("found"); // changes, for screen readers
const stale = document.getElementById("list-stale");
const bar = document.getElementById("selection"); // only for users who may download
const selection = bar && new RowSelection(bar, results);
const columns = new ColumnMenu(document.getElementById("columns"), results);
let request = new AbortController();
let timer = null;

/** Returns the address of the search: the fields that are filled in. */
function address() {
  const filled = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(filled).toString();
  return query ? `${form.action}?${query}` : form.action;
}

async function show(url) {
  clearTimeout(timer);
  request.abort();
  request = new AbortController();
  const { signal } = request;
  results.setAttribute("aria-busy", "true");
  try {
    const part = new URL(url, window.location.href);
    part.searchParams.set("part", "rows");
    const rows = partOf(await fetchHtml(part, { signal }), "rows");
    adoptZone(rows.dataset.zone); // the one whose days the server has searched
    localiseTimes(rows);
    selection?.carryTo(rows);
    results.replaceChildren(rows);
    selection?.update();
    announcement.textContent =
      rows.querySelector("[data-part=count], h2, [role=alert]")?.textContent ?? "";
    stale.hidden = true;
  } catch (error) {
    if (error.name === "AbortError") return; // a newer search is running
    stale.hidden = false;
  }
  results.removeAttribute("aria-busy");
}

function search({ addsHistory = false } = {}) {
  const url = address();
  if (addsHistory) window.history.pushState(null, "", url);
  else window.history.replaceState(null, "", url);
  return show(url);
}

function fillForm() {
  const query = new URL(window.location.href).searchParams;
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") field.checked = query.has(field.name);
    else field.value = query.get(field.name) ?? "";
  }
}

function moveFocus(step) {
  const rows = [...results.querySelectorAll("[data-row] .list-participants")];
  const at = rows.findIndex((row) => row.closest("[data-row]").contains(document.activeElement));
  rows[Math.min(Math.max(at + step, 0), rows.length - 1)]?.focus();
}

form.addEventListener("input", (event) => {
  clearTimeout(timer);
  timer = setTimeout(() => void search(), event.target.type === "search" ? TYPED_MS : 0);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void search({ addsHistory: true });
});
results.addEventListener("click", (event) => {
  // A time lies above the link of its row, for its tooltip.
  if (event.target.matches("[data-row] time"))
    return event.target
      .closest("[data-row]")
      .querySelector(".list-participants")
      .dispatchEvent(new MouseEvent("click", event));
  const link = event.target.closest(".pages a");
  if (!link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  window.history.pushState(null, "", link.href);
  void show(link.href).then(() => window.scrollTo(0, 0));
});
window.addEventListener("popstate", () => {
  fillForm();
  void show(window.location.href);
});
window.addEventListener("online", () => stale.hidden || void show(window.location.href));
stale.querySelector("button").addEventListener("click", () => void show(window.location.href));
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const command = {
    "/": () => form.elements.q.focus(),
    j: () => moveFocus(1),
    k: () => moveFocus(-1),
    x: () => selection?.tickFocused({ isRange: false }),
    X: () => selection?.tickFocused({ isRange: true }),
    Escape: () => columns.close() || selection?.clear(),
  }[event.key];
  if (!command) return;
  event.preventDefault();
  command();
});

// Rows of days in another zone: the server did not know the browser's, or knew an older one.
const shown = results.querySelector("[data-part=rows]");
const hasDays = form.elements.since.value || form.elements.until.value;
if (!shown || (hasDays && shown.dataset.zone !== currentZone())) void show(window.location.href);
