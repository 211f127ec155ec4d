// The list of calls finds while one types. Without it the form works as forms do.

import { ColumnMenu } from "./column-menu.js";
import "../copying.js";
import { localiseTimes } from "../local-time.js";
import { RowSelection } from "./row-selection.js";

const TYPED_MS = 250; // a pause in typing
const form = document.getElementById("search");
const results = document.getElementById("results");
const spoken = document.getElementById("found"); // what has changed, for who listens to the page
const stale = document.getElementById("list-stale");
const bar = document.getElementById("selection"); // for those who may download
const selection = bar && new RowSelection(bar, results);
const columns = new ColumnMenu(document.getElementById("columns"), results);
let asking = new AbortController();
let waiting = null;

/** What is filled in, as an address; a place in the list goes with it only where one is given. */
function address() {
  const filled = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(filled).toString();
  return query ? `${form.action}?${query}` : form.action;
}

async function show(url) {
  clearTimeout(waiting);
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  results.setAttribute("aria-busy", "true");
  try {
    const part = new URL(url, window.location.href);
    part.searchParams.set("part", "rows");
    const answer = await fetch(part, { signal, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const rows = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-part=rows]");
    localiseTimes(rows);
    selection?.carryTo(rows);
    results.replaceChildren(rows);
    selection?.look();
    spoken.textContent = rows.querySelector("[data-part=count], h2, [role=alert]")?.textContent ?? "";
    stale.hidden = true;
  } catch (error) {
    if (error.name === "AbortError") return; // another question is under way
    stale.hidden = false;
  }
  results.removeAttribute("aria-busy");
}

function search({ keeps = false } = {}) {
  const url = address();
  if (keeps) window.history.pushState(null, "", url);
  else window.history.replaceState(null, "", url);
  return show(url);
}

function fillIn() {
  const asked = new URL(window.location.href).searchParams;
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") field.checked = asked.has(field.name);
    else field.value = asked.get(field.name) ?? "";
  }
}

function move(step) {
  const rows = [...results.querySelectorAll("[data-row] .list-who")];
  const at = rows.findIndex((row) => row.closest("[data-row]").contains(document.activeElement));
  rows[Math.min(Math.max(at + step, 0), rows.length - 1)]?.focus();
}

form.addEventListener("input", (event) => {
  clearTimeout(waiting);
  waiting = setTimeout(() => void search(), event.target.type === "search" ? TYPED_MS : 0);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void search({ keeps: true });
});
results.addEventListener("click", (event) => {
  const link = event.target.closest(".pages a");
  if (!link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  window.history.pushState(null, "", link.href);
  void show(link.href).then(() => window.scrollTo(0, 0));
});
window.addEventListener("popstate", () => {
  fillIn();
  void show(window.location.href);
});
window.addEventListener("online", () => stale.hidden || void show(window.location.href));
stale.querySelector("button").addEventListener("click", () => void show(window.location.href));
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const does = {
    "/": () => form.elements.q.focus(),
    j: () => move(1),
    k: () => move(-1),
    x: () => selection?.tickFocused({ isRange: false }),
    X: () => selection?.tickFocused({ isRange: true }),
    Escape: () => columns.close() || selection?.clear(),
  }[event.key];
  if (!does) return;
  event.preventDefault();
  does();
});
