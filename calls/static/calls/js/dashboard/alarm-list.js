// The list of alarms above the calls. Names from the wire become text, never markup.

import { alarmKey, announcement, described } from "./alarms.js";
import { localiseTimes } from "../local-time.js";

// One announcement per burst: a second one would interrupt the first.
const ANNOUNCED_AFTER_MS = 300;

export class AlarmList {
  /**
   * @param section hidden while there are no alarms
   * @param rows the list in it
   * @param status live region for changes
   */
  constructor({ section, rows, status, template }, names) {
    Object.assign(this, { section, rows, status, template, names });
    Object.assign(this, { alarms: [], calls: [], known: [], announced: [], timer: null });
  }

  /** Shows `alarms` in this order; `calls` are the live ones. */
  show(alarms, calls) {
    if (alarms !== this.alarms) {
      // A call may end together with its alarm.
      Object.assign(this, { alarms, calls: [...calls, ...this.known] });
      this.timer ??= setTimeout(() => this.#announce(), ANNOUNCED_AFTER_MS);
    }
    this.known = calls;
    const rows = new Map(Array.from(this.rows.children, (row) => [row.dataset.alarm, row]));
    const wanted = alarms.map((alarm) => this.#fill(rows.get(alarmKey(alarm)), alarm, calls));
    const shown = this.rows.children;
    const moved =
      wanted.length !== shown.length || wanted.some((row, index) => row !== shown[index]);
    // Only then, so that a focused link keeps the focus.
    if (moved) this.rows.replaceChildren(...wanted);
    this.section.hidden = alarms.length === 0;
  }

  #announce() {
    const text = announcement(this.announced, this.alarms, this.calls, this.names);
    Object.assign(this, { announced: this.alarms, timer: null });
    if (text) this.status.textContent = text;
  }

  #fill(known, alarm, calls) {
    const row = known ?? this.template.content.firstElementChild.cloneNode(true);
    const part = (name) => row.querySelector(`[data-part="${name}"]`);
    const { text, call, participant } = described(alarm, calls, this.names);
    row.dataset.alarm = alarmKey(alarm);
    part("text").textContent = text;
    part("call").textContent = call;
    part("call").hidden = !call;
    part("call").href = this.names.callUrl.replace("CALL", encodeURIComponent(alarm.call));
    part("participant").textContent = participant || (call ? "" : "Recorder");
    part("since").dateTime = alarm.since;
    localiseTimes(row);
    return row;
  }
}
