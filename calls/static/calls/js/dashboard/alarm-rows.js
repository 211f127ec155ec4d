// Rows of the alarms drawer. Names from the wire become text, never markup.

import { alarmKey, described, severityOf } from "./alarms.js";
import { clock } from "../format.js";
import { localiseTimes } from "../local-time.js";
import { place } from "./placing.js";

const SEVERITY_WORDS = { critical: "Critical", major: "Major", minor: "Minor" };

export class AlarmRows {
  #rows = new Map(); // by the key of the alarm

  /** @param list parent of the rows @param names texts, severities and `callUrl` */
  constructor(list, template, names) {
    Object.assign(this, { list, template, names });
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
    for (const row of this.#rows.values()) {
      if (row.hasAttribute("data-over")) continue;
      const since = Date.parse(part(row, "since").dateTime);
      part(row, "lasts").textContent = clock((now - since) / 1000);
    }
  }

  #create(key) {
    const row = this.template.content.firstElementChild.cloneNode(true);
    row.dataset.alarm = key;
    return row;
  }

  #fill(row, alarm, calls, liveIds) {
    const { text, call, participant } = described(alarm, calls, this.names);
    const severity = severityOf(alarm, this.names.severities);
    row.dataset.severity = severity;
    part(row, "severity").textContent = SEVERITY_WORDS[severity];
    part(row, "text").textContent = text;
    part(row, "call").textContent = call;
    part(row, "call").hidden = !call;
    part(row, "call").href = this.names.callUrl.replace("CALL", encodeURIComponent(alarm.call));
    const ofRecorder = call ? "" : this.names.detailOf(alarm) || "Recorder";
    part(row, "participant").textContent = participant || ofRecorder;
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
