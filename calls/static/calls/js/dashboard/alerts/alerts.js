// Alerts about new alarms, for operators who want them: a notification of the browser, a sound, and
// the number of alarms in the tab. The two buttons are in the bar at the bottom of the dashboard.

import { alarmKey, withoutCanaries } from "../alarms.js";
import { isSnoozed } from "../care/cared.js";
import { withCanaries } from "../choice.js";
import { Sound } from "./sound.js";
import { TONES, iconWith, mayRing, notificationOf, titleWith, untold, worst } from "./telling.js";

const KEY = "acsmedia-alerts";
const LOCK = "acsmedia-alert-sound";
const TAG = "acsmedia-alarm"; // a newer notification replaces the older one, also of another tab
// Processes repeat their alarms within a second of a snapshot: they were there before this page.
const SETTLED_MS = 2_000;
const COLLECTED_MS = 300; // a burst is one notification
const BLOCKED =
  "The browser blocks notifications of this page. Allow them in the settings of this site, then " +
  "try again.";
const UNAVAILABLE =
  "This browser shows no notifications here: they need HTTPS, and on Android an installed app.";

const at = (id) => document.getElementById(id);

export class Alerts {
  #wanted = read();
  #told = [];
  #fresh = [];
  #alarms = [];
  #calls = [];
  #isSettled = false;
  #timer = null;
  #last = null; // sound
  #sound = new Sound();
  #title = document.title;
  #icon = document.querySelector("link[rel=icon]");
  #plain = this.#icon.href;

  /**
   * @param names texts and severities
   * @param serverNow the time of the server, in ms
   * @param opened called when a notification is clicked
   */
  constructor(names, serverNow, opened) {
    Object.assign(this, { names, serverNow, opened });
    at("alert-notify").addEventListener("click", () => void this.#toggleNotify());
    at("alert-sound").addEventListener("click", () => void this.#toggleSound());
    at("alert-problem-close").addEventListener("click", () => this.#complain(""));
    if (this.#wanted.sound) this.#openSound();
    for (const kind of ["pointerdown", "keydown"])
      document.addEventListener(kind, () => this.#wanted.sound && this.#openSound());
    this.#showButtons();
  }

  /**
   * To be called with the active alarms and the live calls whenever they change, and now and then:
   * an alarm whose snooze is over is told again.
   */
  show(all, calls) {
    const now = this.serverNow();
    const alarms = withoutCanaries(all, calls).filter((alarm) => !isSnoozed(alarm, now));
    this.#alarms = alarms;
    this.#calls = withCanaries(calls, "");
    this.#showTab();
    const { fresh, told } = untold(this.#told, alarms);
    this.#told = told;
    if (!this.#isSettled || fresh.length === 0) return;
    this.#fresh.push(...fresh);
    this.#timer ??= setTimeout(() => this.#tell(), COLLECTED_MS);
  }

  /** To be called with the first snapshot. */
  begin() {
    setTimeout(() => {
      this.#isSettled = true;
      at("alerts").toggleAttribute("data-settled", true);
    }, SETTLED_MS);
  }

  #tell() {
    this.#timer = null;
    const active = new Set(this.#alarms.map(alarmKey));
    const alarms = this.#fresh.filter((alarm) => active.has(alarmKey(alarm)));
    this.#fresh = [];
    if (alarms.length === 0) return;
    if (this.#wanted.notify) this.#notify(alarms);
    if (this.#wanted.sound) void this.#ring(worst(alarms, this.names.severities));
  }

  #notify(alarms) {
    const { title, body } = notificationOf(alarms, this.#calls, this.names);
    try {
      const shown = new Notification(title, { body, tag: TAG, renotify: true, icon: this.#plain });
      shown.onclick = () => {
        window.focus();
        shown.close();
        this.opened();
      };
    } catch {
      this.#set({ notify: false });
      this.#complain(UNAVAILABLE);
    }
  }

  /** Of several tabs, one sounds. */
  async #ring(severity) {
    if (!mayRing(this.#last, performance.now(), severity)) return;
    this.#last = { at: performance.now(), severity };
    const tones = TONES[severity];
    const ends = Math.max(...tones.map((tone) => tone.at + tone.seconds));
    const play = () => this.#sound.play(tones);
    if (!navigator.locks) return void play(); // not a secure context
    await navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => {
      if (!lock || !this.#sound.isReady) return undefined;
      play();
      return new Promise((resolve) => setTimeout(resolve, 1000 * ends + 1_000));
    });
  }

  async #toggleNotify() {
    this.#complain("");
    if (this.#wanted.notify) return this.#set({ notify: false });
    if (!("Notification" in window && window.isSecureContext)) return this.#complain(UNAVAILABLE);
    const answer = await Notification.requestPermission();
    if (answer !== "granted") return this.#complain(BLOCKED);
    return this.#set({ notify: true });
  }

  async #toggleSound() {
    this.#set({ sound: !this.#wanted.sound });
    if (!this.#wanted.sound) return;
    await this.#openSound();
    this.#sound.play(TONES.minor);
  }

  async #openSound() {
    if (this.#sound.isReady) return;
    await this.#sound.open();
    this.#showButtons();
  }

  #set(changed) {
    this.#wanted = { ...this.#wanted, ...changed };
    remember(this.#wanted);
    this.#showButtons();
  }

  #showButtons() {
    at("alert-notify").setAttribute("aria-pressed", String(this.#wanted.notify));
    at("alert-sound").setAttribute("aria-pressed", String(this.#wanted.sound));
    const isMute = this.#wanted.sound && !this.#sound.isReady;
    at("alert-sound").toggleAttribute("data-mute", isMute);
    at("alert-sound").title = isMute
      ? "Sound for new alarms: begins with your first click or key on this page"
      : "Sound for new alarms";
  }

  #complain(text) {
    at("alert-problem").hidden = text === "";
    at("alert-problem-text").textContent = text;
  }

  #showTab() {
    const [alarms, calls] = [this.#alarms.length, this.#calls.length];
    const title = titleWith(this.#title, { alarms, calls });
    if (document.title !== title) document.title = title;
    const severity = alarms ? worst(this.#alarms, this.names.severities) : "";
    const icon = iconWith(alarms, severity) || this.#plain;
    if (this.#icon.href !== icon) this.#icon.href = icon;
  }
}

/** Notifications may have been blocked since they were switched on. */
function read() {
  const off = { notify: false, sound: false };
  try {
    const kept = { ...off, ...JSON.parse(window.localStorage.getItem(KEY) ?? "{}") };
    const isAllowed = "Notification" in window && Notification.permission === "granted";
    return { notify: kept.notify === true && isAllowed, sound: kept.sound === true };
  } catch {
    return off; // no storage in this browser
  }
}

function remember(wanted) {
  try {
    window.localStorage.setItem(KEY, JSON.stringify(wanted));
  } catch {
    // no storage in this browser: both are off after a reload
  }
}
