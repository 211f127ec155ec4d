// The live dashboard: socket -> state and voices -> rows, totals and alarms. Meters and strips are
// drawn by painter.js, for visible rows only.

import { AlarmDrawer } from "./alarm-drawer.js";
import { withoutCanaries } from "./alarms.js";
import { Alerts } from "./alerts/alerts.js";
import { Care } from "./care/care.js";
import { CallCards } from "./rows/call-card.js";
import { ChoiceForm } from "./choice-form.js";
import { chosen, withCanaries } from "./choice.js";
import { CoverageLine } from "./coverage-line.js";
import { counted } from "../format.js";
import { LiveSocket } from "./live-socket.js";
import { Painter } from "./rows/painter.js";
import { Recorders } from "./recorders.js";
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
const names = {
  kinds: JSON.parse(at("kinds").textContent),
  words: JSON.parse(at("alarm-words").textContent),
  severities: JSON.parse(at("alarm-severities").textContent),
};
const clockOffset = Date.parse(page.dataset.now) - Date.now(); // server clock minus browser clock
const serverNow = () => Date.now() + clockOffset;

let state = nothing;
let voices = new Map();
let countdown = null;
let showTimer = null;
let isRequested = false; // the operator has just changed the filters: rows may move

const painter = new Painter({ get: (id) => voices.get(id) }, serverNow);
const templates = { card: at("call-template"), participant: at("participant-template") };
const cards = new CallCards(list, templates, names, painter);
const recorders = new Recorders(JSON.parse(at("refusal-words").textContent));
const alarms = new AlarmDrawer(
  {
    ...names,
    callUrl: list.dataset.callUrl,
    detailOf: (alarm) => recorders.detailOf(alarm),
    act: (...decision) => care.act(...decision),
  },
  serverNow,
);
const care = new Care(page.dataset.alarms, () => show());
const alerts = new Alerts(names, serverNow, () => alarms.open());
const totals = new Totals();
const listening = new RowListening(page, at("listening"), names.kinds);
const reading = new Reading(list, () => show());
const form = new ChoiceForm(at("choice"), names.words, () => {
  isRequested = true;
  show();
});

const TYPED_MS = 300;
const SHOWN_AFTER_MS = 16; // two hundred simultaneous alarms are shown at once, not one by one

function receive(message) {
  if (message.type === "levels") return receiveLevels(message.levels);
  if (message.type === "totals") return totals.update(message);
  if (message.type === "recorders") {
    recorders.show(message);
    return showAlarms();
  }
  if (message.type === "minutes") {
    const now = performance.now();
    for (const [id, minute] of Object.entries(message.minutes))
      voices.get(id)?.setMinute(minute, now);
    return undefined;
  }
  const before = state;
  state = reduce(state, message);
  if (message.type === "snapshot") {
    connected();
    if (before === nothing) {
      isRequested = true; // the first one belongs to opening the page
      alerts.begin();
    }
  }
  if (state !== before) {
    updateVoices();
    showTimer ??= setTimeout(show, SHOWN_AFTER_MS);
  }
  return undefined;
}

function receiveLevels(levels) {
  const now = performance.now();
  for (const id in levels) voices.get(id)?.addLevel(levels[id][0], levels[id][1], now);
}

/** Keeps one voice per participant of a live call; existing ones keep their minute. */
function updateVoices() {
  const before = voices;
  voices = new Map();
  for (const call of state.calls) {
    for (const { id } of call.participants) voices.set(id, before.get(id) ?? new Voice());
  }
}

function show() {
  clearTimeout(showTimer);
  showTimer = null;
  const now = performance.now();
  const context = { alarms: state.alarms, voices, kinds: names.kinds, now, clock: serverNow() };
  const wanted = chosen(state.calls, form.choice, context).map((call) => call.id);
  const calls = new Map(state.calls.map((call) => [call.id, call]));
  // A number that is not complete yet may match nothing: the rows stay until it is.
  const isUnmatched = wanted.length === 0 && document.activeElement === at("filter");
  const isHeld = reading.isOn && !isRequested;
  const { ids, waiting } = arrange(cards.shown, wanted, isHeld || isUnmatched);
  isRequested = false;
  cards.show(ids, calls, state);
  showAlarms();
  listening.show(calls);
  totals.show(state);
  showWaiting(waiting);
  const isEmpty = withCanaries(state.calls, form.choice.canaries).length === 0;
  page.toggleAttribute("data-empty", isEmpty);
  at("none-chosen").hidden = isEmpty || wanted.length > 0;
  list.toggleAttribute("data-unmatched", wanted.length === 0);
}

/** Shows the alarms; an alarm of a canary call only together with the call. */
function showAlarms() {
  const cared = care.of(state.alarms);
  const areHidden = form.choice.canaries === "";
  alarms.show(areHidden ? withoutCanaries(cared, state.calls) : cared, state.calls);
  alerts.show(cared, state.calls);
}

function endTyping() {
  if (!list.hasAttribute("data-unmatched")) return;
  isRequested = true;
  show();
}

/** Shows the button that moves rows: for new calls, and for ended ones if they stay. */
function showWaiting(waiting) {
  const ended = reading.isAlwaysOn ? cards.ended : 0;
  at("waiting").hidden = waiting + ended === 0;
  const text =
    waiting > 0
      ? `${counted(waiting, "new call", "new calls")}: show`
      : `Remove ${counted(ended, "ended call", "ended calls")}`;
  if (at("waiting").textContent !== text) at("waiting").textContent = text;
}

function everySecond() {
  for (const voice of voices.values()) voice.endSecond();
  if (page.dataset.connection === "lost") return;
  painter.everySecond();
  cards.removeEnded(performance.now(), reading.isAlwaysOn && !document.hidden);
  alarms.everySecond();
  alerts.show(care.of(state.alarms), state.calls); // a snooze may be over
  reading.update();
  if (form.dependsOnTime && !reading.isOn) show();
}

function connected() {
  clearInterval(countdown);
  page.dataset.connection = "live";
  banner.hidden = true;
}

function lost(wait) {
  const until = Date.now() + wait;
  const figure = at("connection-wait");
  const update = () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    figure.textContent =
      seconds > 0 ? `Trying again in ${counted(seconds, "second", "seconds")}.` : "Trying now.";
  };
  clearInterval(countdown);
  countdown = setInterval(update, 1000);
  page.dataset.connection = "lost";
  banner.hidden = false;
  totals.reset();
  update();
}

/**
 * A refused handshake has no reason that a page may read: a request for the page shows whether the
 * login is valid.
 */
async function refused(isLoggedOut) {
  if (isLoggedOut) return window.location.reload();
  try {
    const answer = await fetch(window.location.pathname, { method: "HEAD", redirect: "manual" });
    if (answer.type === "opaqueredirect") window.location.reload();
  } catch {
    // The server is unreachable: the next attempt follows.
  }
}

function clearClipping(event) {
  const row = event.target.closest('[data-part="clip"]')?.closest("[data-participant]");
  if (row) voices.get(row.dataset.participant)?.clearClipping();
}

const url = new URL(page.dataset.socket, window.location.href);
url.protocol = url.protocol.replace("http", "ws");
const socket = new LiveSocket(
  url.href,
  {
    open: (address) => new WebSocket(address),
    schedule: (callback, ms) => setTimeout(callback, ms),
    cancel: (timer) => clearTimeout(timer),
    random: Math.random,
  },
  { message: receive, opened: () => {}, lost, refused },
);
window.addEventListener("offline", () => socket.drop());
window.addEventListener("online", () => socket.retryNow());
document.addEventListener("visibilitychange", () => document.hidden || socket.retryNow());
at("connection-retry").addEventListener("click", () => socket.retryNow());
at("waiting").addEventListener("click", () => {
  isRequested = true;
  window.scrollTo({ top: 0 });
  show();
});
list.addEventListener("click", clearClipping);
// Later, because the click that ends typing may be on one of these rows.
at("filter").addEventListener("blur", () => setTimeout(endTyping, TYPED_MS));
listenToKeys(list, at("filter"), () => alarms.toggleByKey());
setInterval(everySecond, 1000);
new CoverageLine(at("coverage-line")).start();
socket.open();
