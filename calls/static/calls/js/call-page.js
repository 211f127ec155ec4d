// Details of the call page: while the call is live, they are fetched again as HTML from the server.

import "./copying.js";
import { placeIn } from "./lanes/place.js";
import { localiseTimes } from "./local-time.js";
import { fetchHtml, partOf, replaceContent } from "./part.js";

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
    show(await fetchHtml(page.dataset.facts));
    stale.hidden = true;
  } catch {
    stale.hidden = false; // offline, logged out, or the server is unreachable; tried again
  }
  scheduleRefresh();
}

function show(html) {
  const fresh = partOf(html, "facts");
  if (!fresh || html === shownHtml) return;
  shownHtml = html;
  localiseTimes(fresh);
  const open = "details[open] .folded";
  const scrolled = [...facts.querySelectorAll(open)].map((each) => each.scrollTop);
  replaceContent(facts, fresh);
  facts
    .querySelectorAll(open)
    .forEach((each, index) => (each.scrollTop = scrolled[index] ?? 0));
  page.dataset.state = fresh.dataset.state;
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
