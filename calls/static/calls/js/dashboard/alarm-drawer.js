// Drawer of the alarms at the bottom of the window. It lies over the page, so rows never move. Its
// bar shows the number of alarms and the first one; opened, it lists them all.

import { alarmKey, announcement, described, ranked, severityOf } from "./alarms.js";
import { AlarmRows } from "./alarm-rows.js";
import { isSnoozed } from "./care/cared.js";
import { clock, counted } from "../format.js";
import { Reading } from "./rows/reading.js";
import { arrange } from "./rows/row-order.js";

// One announcement per burst: a second one would interrupt the first.
const ANNOUNCED_AFTER_MS = 300;
const OPEN_KEY = "acsmedia-alarms-open";

const at = (id) => document.getElementById(id);

export class AlarmDrawer {
  #alarms = [];
  #calls = [];
  #known = []; // the live calls before: one may end together with its alarm
  #announced = [];
  #timer = null;
  #isRequested = false; // the operator asked for the waiting rows

  /** @param names texts, severities and `callUrl` @param serverNow the time of the server, in ms */
  constructor(names, serverNow) {
    Object.assign(this, { names, serverNow });
    this.list = at("alarm-list");
    this.scroller = at("alarms-scroll");
    this.rows = new AlarmRows(this.list, at("alarm-template"), names);
    this.reading = new Reading(this.list, () => this.#showRows(), {
      isScrolled: () => this.scroller.scrollTop > 0,
      scroller: this.scroller,
    });
    at("alarms-toggle").addEventListener("click", () => this.#setOpen(!this.isOpen));
    at("alarms-close").addEventListener("click", () => this.close());
    at("alarms-waiting").addEventListener("click", () => {
      this.#isRequested = true;
      this.scroller.scrollTop = 0;
      this.#showRows();
      this.#focusFirst();
    });
    at("alarms").addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    this.#setOpen(wasOpen());
  }

  get isOpen() {
    return !at("alarms").hidden;
  }

  /** Shows these alarms; `calls` are the live ones. */
  show(alarms, calls) {
    if (JSON.stringify(alarms) !== JSON.stringify(this.#alarms)) {
      this.#alarms = alarms;
      this.#timer ??= setTimeout(() => this.#announce(), ANNOUNCED_AFTER_MS);
      this.#calls = [...calls, ...this.#known];
    }
    this.#known = calls;
    this.#showBar();
    this.#showRows();
  }

  /** Updates durations; to be called once a second. */
  everySecond() {
    this.#showBar();
    if (!this.isOpen) return;
    this.reading.update();
    this.rows.tick(this.serverNow());
  }

  /** Opens the drawer and moves the focus into it, or closes it. */
  toggleByKey() {
    if (this.isOpen) this.close();
    else this.open();
  }

  /** Opens the drawer and moves the focus into it. */
  open() {
    this.#setOpen(true);
    this.#focusFirst();
  }

  /** Closes the drawer; a focus within it moves to the button that opens it. */
  close() {
    const hadFocus = at("alarms").contains(document.activeElement);
    this.#setOpen(false);
    if (hadFocus) at("alarms-toggle").focus();
  }

  #setOpen(isOpen) {
    at("alarms").hidden = !isOpen;
    at("alarms-toggle").setAttribute("aria-expanded", String(isOpen));
    remember(isOpen);
    if (isOpen) this.#showRows();
  }

  #focusFirst() {
    const first = this.list.querySelector("a:not([hidden]), button:not([hidden])");
    (first ?? at("alarms-close")).focus();
  }

  #showBar() {
    const now = this.serverNow();
    const loud = this.#alarms.filter((alarm) => !isSnoozed(alarm, now));
    const [first] = ranked(loud, this.names.severities);
    const snoozed = this.#alarms.length - loud.length;
    write("alarm-count", String(loud.length));
    write("alarm-word", loud.length === 1 ? "alarm" : "alarms");
    write("alarm-snoozed", snoozed ? `+ ${snoozed} snoozed` : "");
    const severity = first ? severityOf(first, this.names.severities) : "none";
    if (at("alarms-toggle").dataset.severity !== severity)
      at("alarms-toggle").dataset.severity = severity;
    if (!first) return write("alarm-first", "");
    const { text, call, participant } = described(first, this.#calls, this.names);
    const lasts = clock((this.serverNow() - Date.parse(first.since)) / 1000);
    return write("alarm-first", [lasts, text, participant || call].filter(Boolean).join(" · "));
  }

  #showRows() {
    if (!this.isOpen) return;
    const isLast = (alarm) => isSnoozed(alarm, this.serverNow());
    const order = ranked(this.#alarms, this.names.severities, isLast).map(alarmKey);
    const alarms = new Map(this.#alarms.map((alarm) => [alarmKey(alarm), alarm]));
    const isHeld = this.reading.isOn && !this.#isRequested;
    const { ids, waiting } = arrange(this.rows.shown, order, isHeld);
    this.#isRequested = false;
    const hadFocus = this.list.contains(document.activeElement);
    this.rows.show(ids, alarms, this.#calls, new Set(this.#known.map((call) => call.id)));
    this.rows.tick(this.serverNow());
    // The row with the focus is gone: the next Tab must not start at the top of the page.
    if (hadFocus && !this.list.contains(document.activeElement)) this.#focusFirst();
    at("alarms-none").hidden = ids.length > 0;
    at("alarms-waiting").hidden = waiting === 0;
    write("alarms-waiting", `${counted(waiting, "new alarm", "new alarms")}: show`);
  }

  #announce() {
    const text = announcement(this.#announced, this.#alarms, this.#calls, this.names);
    this.#announced = this.#alarms;
    this.#timer = null;
    if (text) at("alarm-news").textContent = text;
  }
}

function wasOpen() {
  try {
    return window.localStorage.getItem(OPEN_KEY) === "1";
  } catch {
    return false;
  }
}

function remember(isOpen) {
  try {
    window.localStorage.setItem(OPEN_KEY, isOpen ? "1" : "0");
  } catch {
    // no storage in this browser: the drawer is closed after a reload
  }
}

function write(id, text) {
  const element = at(id);
  if (element.textContent !== text) element.textContent = text;
}
