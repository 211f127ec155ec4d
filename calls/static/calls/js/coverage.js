// The page of coverage: the part below the form is fetched again once a minute while it shows
// today. Without JavaScript, links and form work as usual.

import { localiseTimes } from "./local-time.js";
import { fetchHtml, partOf, replaceContent } from "./part.js";

const REFRESH_MS = 60_000;

const report = document.getElementById("report");
const stale = document.getElementById("stale");
const form = document.getElementById("search");
let timer = null;
let shownHtml = ""; // as the server sent it: the page itself has local times

async function refresh() {
  clearTimeout(timer);
  try {
    const part = new URL(window.location.href);
    part.searchParams.set("part", "report");
    show(await fetchHtml(part));
    stale.hidden = true;
  } catch {
    stale.hidden = false; // offline, logged out, or the server is unreachable; tried again
  }
  schedule();
}

function show(html) {
  if (html === shownHtml) return;
  shownHtml = html;
  const fresh = partOf(html, "report");
  localiseTimes(fresh);
  replaceContent(report, fresh);
}

function schedule() {
  clearTimeout(timer);
  if (!report.querySelector("[data-now]")) return;
  timer = setTimeout(() => (document.hidden ? schedule() : void refresh()), REFRESH_MS);
}

form.elements.show.addEventListener("change", () => form.requestSubmit());
form.addEventListener("submit", () => {
  // empty fields would make the address longer
  for (const field of form.elements) field.disabled = field.name && field.value === "";
});
window.addEventListener("pageshow", () => {
  for (const field of form.elements) field.disabled = false; // back from the history
});
stale.querySelector("button").addEventListener("click", () => void refresh());
document.addEventListener("visibilitychange", () => document.hidden || stale.hidden || refresh());

// The server did not know the zone of the browser yet: its days may be others.
const isUnknown = !document.documentElement.dataset.zone;
if (isUnknown && document.cookie.includes("zone=")) void refresh();
else schedule();
