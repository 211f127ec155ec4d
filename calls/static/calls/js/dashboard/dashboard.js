// The live dashboard: socket -> state and voices -> rows, totals and alarms. What is drawn ten times a second and more is
// drawn by painter.js, for the rows that are in sight.

import { AlarmList } from "./alarm-list.js";
import { CallCards } from "./rows/call-card.js";
import { ChoiceForm } from "./choice-form.js";
import { chosen } from "./choice.js";
import { counted } from "../format.js";
import { LiveSocket } from "./live-socket.js";
import { Painter } from "./rows/painter.js";
import { Reading } from "./rows/reading.js";
import { listenToKeys } from "./rows/row-keys.js";
import { RowListening } from "./rows/row-listening.js";
import { arrange } from "./rows/row-order.js";
import { nothing, reduce } from "./state.js";
import { Totals } from "./totals.js";
import { Voice } from "./rows/voice.js";

const at = (id) => document.getElementById(id);
const page = at("live");
const list = at("calls");
const banner = at("connection");
const names = { kinds: JSON.parse(at("kinds").textContent), words: JSON.parse(at("alarm-words").textContent) };
const ahead = Date.parse(page.dataset.now) - Date.now(); // the server's clock against this machine's
const serverNow = () => Date.now() + ahead;

let state = nothing;
let voices = new Map();
let countdown = null;
let drawing = null;
let isAsked = false; // the operator has just asked for another choice: then rows may move

const painter = new Painter({ get: (id) => voices.get(id) }, serverNow);
const templates = { card: at("call-template"), participant: at("participant-template") };
const cards = new CallCards(list, templates, names, painter);
const alarms = new AlarmList(
  { section: at("alarms"), rows: at("alarm-list"), voice: at("alarm-news"), template: at("alarm-template") },
  { ...names, callUrl: list.dataset.callUrl },
);
const totals = new Totals();
const ears = new RowListening(list, at("listening"), names.kinds);
const reading = new Reading(list, () => show());
const form = new ChoiceForm(at("choice"), names.words, () => {
  isAsked = true;
  show();
});

const DRAWN_AFTER_MS = 16; // two hundred calls that raise an alarm together are one picture, not two hundred

function message(heard) {
  if (heard.type === "levels") return hearLevels(heard.levels);
  if (heard.type === "totals") return totals.hear(heard);
  if (heard.type === "minutes") {
    for (const [id, minute] of Object.entries(heard.minutes)) voices.get(id)?.remember(minute);
    return undefined;
  }
  const before = state;
  state = reduce(state, heard);
  if (heard.type === "snapshot") connected();
  if (state !== before) {
    keepVoices();
    drawing ??= setTimeout(show, DRAWN_AFTER_MS);
  }
  return undefined;
}

function hearLevels(levels) {
  const now = performance.now();
  for (const id in levels) voices.get(id)?.hear(levels[id][0], levels[id][1], now);
}

/** One for each participant of a live call; a voice that goes on keeps its minute. */
function keepVoices() {
  const before = voices;
  voices = new Map();
  for (const call of state.calls) {
    for (const { id } of call.participants) voices.set(id, before.get(id) ?? new Voice());
  }
}

function show() {
  clearTimeout(drawing);
  drawing = null;
  const now = performance.now();
  const world = { alarms: state.alarms, voices, kinds: names.kinds, now, clock: serverNow() };
  const wanted = chosen(state.calls, form.choice, world).map((call) => call.id);
  const calls = new Map(state.calls.map((call) => [call.id, call]));
  const { ids, waiting } = arrange(cards.shown, wanted, reading.isOn && !isAsked);
  isAsked = false;
  cards.show(ids, calls, state);
  ears.show(calls);
  alarms.show(state.alarms, state.calls);
  totals.show(state);
  at("waiting").hidden = waiting === 0;
  at("waiting-count").textContent = counted(waiting, "new call", "new calls");
  page.toggleAttribute("data-empty", state.calls.length === 0);
  at("none-chosen").hidden = state.calls.length === 0 || ids.length > 0;
}

function second() {
  for (const voice of voices.values()) voice.turn();
  if (page.dataset.connection === "lost") return;
  painter.second();
  cards.sweep(performance.now());
  reading.look();
  if (form.dependsOnTheMoment && !reading.isOn) show();
}

function connected() {
  clearInterval(countdown);
  page.dataset.connection = "live";
  banner.hidden = true;
}

function lost(wait) {
  const until = Date.now() + wait;
  const figure = at("connection-wait");
  const tell = () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    figure.textContent = seconds > 0 ? `Trying again in ${counted(seconds, "second", "seconds")}.` : "Trying now.";
  };
  clearInterval(countdown);
  countdown = setInterval(tell, 1000);
  page.dataset.connection = "lost";
  banner.hidden = false;
  totals.forget();
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

function forgiveClipping(event) {
  const row = event.target.closest('[data-part="clip"]')?.closest("[data-participant]");
  if (row) voices.get(row.dataset.participant)?.forgiveClipping();
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
at("connection-retry").addEventListener("click", () => socket.hurry());
at("waiting").addEventListener("click", () => {
  isAsked = true;
  window.scrollTo({ top: 0 });
  show();
});
list.addEventListener("click", forgiveClipping);
listenToKeys(list, at("filter"));
setInterval(second, 1000);
socket.open();
