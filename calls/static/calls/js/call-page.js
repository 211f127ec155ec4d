// Details of the call page: while the call is live, they are fetched again as HTML from the server.

import "./copying.js";
import { placeIn } from "./lanes/place.js";
import { localiseTimes } from "./local-time.js";

const REFRESH_MS = 5_000;

const page = document.getElementById("call");
const facts = document.getElementById("call-facts");
const lanes = page.querySelector("call-lanes");
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
  const focused = facts.contains(document.activeElement) ? selectorOf(document.activeElement) : "";
  localiseTimes(fresh);
  openFolds(fresh);
  const open = "details[open] .folded";
  const scrolled = [...facts.querySelectorAll(open)].map((each) => each.scrollTop);
  facts.replaceChildren(fresh);
  facts
    .querySelectorAll(open)
    .forEach((each, index) => (each.scrollTop = scrolled[index] ?? 0));
  page.dataset.state = fresh.dataset.state;
  if (focused) facts.querySelector(focused)?.focus({ preventScroll: true });
}

/** Opens the folded events of `fresh` that are open on the page. */
function openFolds(fresh) {
  for (const { dataset } of facts.querySelectorAll("details[open][data-fold]"))
    fresh.querySelector(`[data-fold="${CSS.escape(dataset.fold)}"]`)?.setAttribute("open", "");
}

/** Returns a selector that finds the same element after a refresh; "" if nothing names it. */
function selectorOf(element) {
  for (const name of ["aria-label", "href"]) {
    const value = element.getAttribute(name);
    if (value) return `[${name}="${CSS.escape(value)}"]`;
  }
  const fold = element.closest("details")?.dataset.fold;
  return fold ? `[data-fold="${CSS.escape(fold)}"] summary` : "";
}

function scheduleRefresh() {
  clearTimeout(timer);
  if (page.dataset.state === "live")
    timer = setTimeout(() => (document.hidden ? scheduleRefresh() : refresh()), REFRESH_MS);
}

/** Scrolls to the player, which has moved to the place in the address, and lets keys control it. */
function revealPlayer() {
  if (!placeIn(window.location.hash)) return;
  const isStill = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  lanes.scrollIntoView({ behavior: isStill ? "auto" : "smooth" });
  lanes.focus({ preventScroll: true });
}

window.addEventListener("hashchange", revealPlayer);
facts.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#t="]');
  if (link?.hash !== window.location.hash) return; // another place: the address changes
  lanes.followAddress();
  revealPlayer();
});
stale.querySelector("[data-part='again']").addEventListener("click", () => void refresh());
scheduleRefresh();
