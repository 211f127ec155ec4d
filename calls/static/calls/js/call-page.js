// The page of a call besides its lanes: while the call is live its facts are fetched again, as the server draws them.

import "./copying.js";
import { localiseTimes } from "./local-time.js";

const AGAIN_MS = 5_000;

const page = document.getElementById("call");
const facts = document.getElementById("call-facts");
const stale = document.getElementById("call-stale");
let waiting = null;
let drawn = ""; // as the server drew it: what is shown has local times

async function refresh() {
  clearTimeout(waiting);
  try {
    const answer = await fetch(page.dataset.facts, { redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.text());
    stale.hidden = true;
  } catch {
    stale.hidden = false; // offline, logged out, or the server is away: said, and tried again
  }
  wait();
}

function show(html) {
  const news = new DOMParser().parseFromString(html, "text/html").querySelector("[data-part='facts']");
  if (!news || html === drawn) return;
  drawn = html;
  const focused = facts.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  localiseTimes(news);
  facts.replaceChildren(news);
  page.dataset.state = news.dataset.state;
  if (focused) facts.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
}

function wait() {
  clearTimeout(waiting);
  if (page.dataset.state === "live") waiting = setTimeout(() => (document.hidden ? wait() : refresh()), AGAIN_MS);
}

stale.querySelector("[data-part='again']").addEventListener("click", () => void refresh());
wait();
