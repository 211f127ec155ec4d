// Details of the call page: while the call is live, they are fetched again as HTML from the server.

import "./copying.js";
import { localiseTimes } from "./local-time.js";

const REFRESH_MS = 5_000;

const page = document.getElementById("call");
const facts = document.getElementById("call-facts");
const stale = document.getElementById("call-stale");
let timer = null;
let shownHtml = ""; // as the server sent it: the page itself has local times

async function refresh() {
  clearTimeout(timer);
  try {
    const answer = await fetch(page.dataset.facts, { redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.text());
    stale.hidden = true;
  } catch {
    stale.hidden = false; // offline, logged out, or the server is unreachable; tried again
  }
  scheduleRefresh();
}

function show(html) {
  const fresh = new DOMParser()
    .parseFromString(html, "text/html")
    .querySelector("[data-part='facts']");
  if (!fresh || html === shownHtml) return;
  shownHtml = html;
  const focused = facts.contains(document.activeElement)
    ? document.activeElement.getAttribute("aria-label")
    : null;
  localiseTimes(fresh);
  facts.replaceChildren(fresh);
  page.dataset.state = fresh.dataset.state;
  if (focused) facts.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
}

function scheduleRefresh() {
  clearTimeout(timer);
  if (page.dataset.state === "live")
    timer = setTimeout(() => (document.hidden ? scheduleRefresh() : refresh()), REFRESH_MS);
}

stale.querySelector("[data-part='again']").addEventListener("click", () => void refresh());
scheduleRefresh();
