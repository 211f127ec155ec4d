// Rows of the alarms drawer. Names from the wire become text, never markup.

import { alarmKey, described, severityOf } from "./alarms.js";
import { careText, isSnoozed } from "./care/cared.js";
import { clock } from "../format.js";
import { localiseTimes } from "../local-time.js";
import { place } from "./placing.js";

const SEVERITY_WORDS = { critical: "Critical", major: "Major", minor: "Minor" };

export class AlarmRows {
  #rows = new Map(); // by the key of the alarm
  #cared = new WeakMap(); // row -> alarm
  #now = 0;

  /** @param list parent of the rows @param names texts, severities and `callUrl` */
  constructor(list, template, names) {
    Object.assign(this, { list, template, names });
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-do]");
      if (button && button.dataset.do !== "listen") void this.#act(button, button.dataset.do);
    });
  }

  /** Keys of the rows in their order. */
  get shown() {
    return Array.from(this.list.children, (row) => row.dataset.alarm);
  }

  /**
   * Shows the rows of `keys` in this order; one that is not in `alarms` (by key) was cleared.
   * @param calls the live ones, and those that have just ended
   * @param liveIds ids of calls that can be listened to
   */
  show(keys, alarms, calls, liveIds) {
    const rows = keys.map((key) => this.#rows.get(key) ?? this.#create(key));
    this.#rows = new Map(keys.map((key, index) => [key, rows[index]]));
    for (const [key, row] of this.#rows) {
      const alarm = alarms.get(key);
      row.toggleAttribute("data-over", !alarm);
      if (alarm) this.#fill(row, alarm, calls, liveIds);
      else part(row, "lasts").textContent = "cleared";
    }
    place(this.list, rows, document.activeElement);
  }

  /** Updates how long each alarm has lasted. @param now the time of the server, in ms */
  tick(now) {
    this.#now = now;
    for (const row of this.#rows.values()) {
      if (row.hasAttribute("data-over")) continue;
      this.#showCare(row, now);
      const since = Date.parse(part(row, "since").dateTime);
      part(row, "lasts").textContent = clock((now - since) / 1000);
    }
  }

  #create(key) {
    const row = this.template.content.firstElementChild.cloneNode(true);
    row.dataset.alarm = key;
    return row;
  }

  async #act(control, action) {
    const row = control.closest("[data-alarm]");
    const { care } = this.#cared.get(row);
    if (!care) return;
    const fields = action === "snooze" ? { minutes: part(row, "minutes").value } : {};
    part(row, "care").textContent = "saving…";
    const problem = await this.names.act(action, care.ids, fields);
    if (problem) {
      part(row, "care").textContent = problem;
      return;
    }
    delete row.dataset.care; // nothing may have changed: the alarm was cleared meanwhile
    this.#showCare(row, this.#now);
    if (control.hidden) row.querySelector("[data-do]:not([hidden])")?.focus();
  }

  /** Shows who looks after the alarm. @param now the time of the server, in ms */
  #showCare(row, now) {
    const alarm = this.#cared.get(row);
    const text = careText(alarm, now);
    const key = `${alarm.care?.ids ?? ""} ${text}`;
    if (row.dataset.care === key) return; // an error stays until the next change
    row.dataset.care = key;
    part(row, "care").textContent = text;
    row.toggleAttribute("data-snoozed", isSnoozed(alarm, now));
    for (const control of row.querySelectorAll(".care-button")) {
      const isUndo = control.dataset.do === "release";
      control.hidden = !alarm.care || (isUndo && text === "");
    }
    const acknowledge = row.querySelector("[data-do=acknowledge]");
    if (acknowledge && alarm.care?.by) acknowledge.hidden = true;
  }

  #fill(row, alarm, calls, liveIds) {
    const { text, call, participant } = described(alarm, calls, this.names);
    this.#cared.set(row, alarm);
    const severity = severityOf(alarm, this.names.severities);
    row.dataset.severity = severity;
    part(row, "severity").textContent = SEVERITY_WORDS[severity];
    part(row, "text").textContent = text;
    part(row, "call").textContent = call;
    part(row, "call").hidden = !call;
    part(row, "call").href = this.names.callUrl.replace("CALL", encodeURIComponent(alarm.call));
    const owner = alarm.isOfJob ? "Installation" : "Recorder";
    const ofOwner = call ? "" : this.names.detailOf(alarm) || owner;
    part(row, "participant").textContent = participant || ofOwner;
    part(row, "since").dateTime = alarm.since;
    const listen = row.querySelector("[data-do=listen]"); // null without the permission
    if (listen) {
      listen.dataset.listen = alarm.call ?? "";
      listen.hidden = !liveIds.has(alarm.call);
    }
    localiseTimes(row);
  }
}

function part(row, name) {
  return row.querySelector(`[data-part="${name}"]`);
}
