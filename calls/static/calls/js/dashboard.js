// The live dashboard: socket -> state -> cards, meters and alarms.

import { AlarmList } from "./alarm-list.js";
import { CallCards } from "./call-card.js";
import { counted } from "./format.js";
import "./level-meter.js";
import { LiveSocket } from "./live-socket.js";
import { nothing, participantCount, reduce } from "./state.js";

const page = document.getElementById("live");
const list = document.getElementById("calls");
const banner = document.getElementById("connection");
const names = {
  kinds: JSON.parse(document.getElementById("kinds").textContent),
  words: JSON.parse(document.getElementById("alarm-words").textContent),
};
const templates = {
  card: document.getElementById("call-template"),
  participant: document.getElementById("participant-template"),
};
const cards = new CallCards(list, templates, names);
const alarms = new AlarmList(
  {
    section: document.getElementById("alarms"),
    rows: document.getElementById("alarm-list"),
    voice: document.getElementById("alarm-news"),
    template: document.getElementById("alarm-template"),
  },
  names,
);
const ahead = Date.parse(page.dataset.now) - Date.now(); // the server's clock against this machine's
const title = document.title;

let state = nothing;
let meters = new Map();
let countdown = null;
let drawing = null;

const DRAWN_AFTER_MS = 16; // two hundred calls that raise an alarm together are one picture, not two hundred

function message(heard) {
  if (heard.type === "levels") {
    for (const [id, [rms, peak]] of Object.entries(heard.levels)) meters.get(id)?.hear(rms, peak);
    return;
  }
  const before = state;
  state = reduce(state, heard);
  if (heard.type === "snapshot") connected();
  if (state !== before) drawing ??= setTimeout(show, DRAWN_AFTER_MS);
}

function show() {
  drawing = null;
  cards.show(state.calls, state.alarms);
  alarms.show(state.alarms, state.calls);
  cards.tick(Date.now() + ahead);
  const rows = list.querySelectorAll("[data-call]:not([data-leaving]) [data-participant]");
  meters = new Map(Array.from(rows, (row) => [row.dataset.participant, row.querySelector("level-meter")]));
  const participants = participantCount(state);
  document.getElementById("call-count").textContent = String(state.calls.length);
  document.getElementById("call-word").textContent = state.calls.length === 1 ? "live call" : "live calls";
  document.getElementById("participant-count").textContent = String(participants);
  document.getElementById("participant-word").textContent = participants === 1 ? "participant" : "participants";
  page.toggleAttribute("data-empty", state.calls.length === 0);
  document.title = state.calls.length > 0 ? `(${state.calls.length}) ${title}` : title;
}

function connected() {
  clearInterval(countdown);
  page.dataset.connection = "live";
  banner.hidden = true;
}

function lost(wait) {
  const until = Date.now() + wait;
  const figure = document.getElementById("connection-wait");
  const tell = () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    figure.textContent = seconds > 0 ? `Trying again in ${counted(seconds, "second", "seconds")}.` : "Trying now.";
  };
  clearInterval(countdown);
  countdown = setInterval(tell, 1000);
  page.dataset.connection = "lost";
  banner.hidden = false;
  tell();
}

/** A refused handshake has no reason that a page may read; whether we are still logged in, the page itself tells. */
async function refused(isLoggedOut) {
  if (isLoggedOut) return window.location.reload();
  try {
    const answer = await fetch(window.location.pathname, { method: "HEAD", redirect: "manual" });
    if (answer.type === "opaqueredirect") window.location.reload();
  } catch {
    // The server is not there at all: the next attempt will tell.
  }
}

const url = new URL(page.dataset.socket, window.location.href);
url.protocol = url.protocol.replace("http", "ws");
const socket = new LiveSocket(
  url.href,
  {
    open: (address) => new WebSocket(address),
    later: (callback, ms) => setTimeout(callback, ms),
    never: (timer) => clearTimeout(timer),
    chance: Math.random,
  },
  { message, opened: () => {}, lost, refused },
);
window.addEventListener("offline", () => socket.drop());
window.addEventListener("online", () => socket.hurry());
document.addEventListener("visibilitychange", () => document.hidden || socket.hurry());
document.getElementById("connection-retry").addEventListener("click", () => socket.hurry());
setInterval(() => page.dataset.connection === "lost" || cards.tick(Date.now() + ahead), 1000);
cards.tick(Date.now() + ahead);
socket.open();
