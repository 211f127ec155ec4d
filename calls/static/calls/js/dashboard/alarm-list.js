// The list of alarms above the calls. What it says comes from alarms.js; names from the wire become text, never markup.

import { alarmKey, described, spoken } from "./alarms.js";
import { localiseTimes } from "../local-time.js";

const SPOKEN_AFTER_MS = 300; // what comes together is said together: a second sentence would cut off the first

export class AlarmList {
  /** @param section what is hidden while there is none @param rows the list in it @param voice says each change once */
  constructor({ section, rows, voice, template }, names) {
    Object.assign(this, { section, rows, voice, template, names, alarms: [], calls: [], known: [], said: [], timer: null });
  }

  /** Makes the rows those of `alarms`, in that order. `calls` are those of the moment. */
  show(alarms, calls) {
    if (alarms !== this.alarms) {
      Object.assign(this, { alarms, calls: [...calls, ...this.known] }); // a call may leave with its alarm
      this.timer ??= setTimeout(() => this.#speak(), SPOKEN_AFTER_MS);
    }
    this.known = calls;
    const rows = new Map(Array.from(this.rows.children, (row) => [row.dataset.alarm, row]));
    const wanted = alarms.map((alarm) => this.#fill(rows.get(alarmKey(alarm)), alarm, calls));
    const stand = this.rows.children;
    const moved = wanted.length !== stand.length || wanted.some((row, place) => row !== stand[place]);
    if (moved) this.rows.replaceChildren(...wanted); // else whoever is at a link here would lose it
    this.section.hidden = alarms.length === 0;
  }

  #speak() {
    const text = spoken(this.said, this.alarms, this.calls, this.names);
    Object.assign(this, { said: this.alarms, timer: null });
    if (text) this.voice.textContent = text;
  }

  #fill(known, alarm, calls) {
    const row = known ?? this.template.content.firstElementChild.cloneNode(true);
    const part = (name) => row.querySelector(`[data-part="${name}"]`);
    const { what, call, who } = described(alarm, calls, this.names);
    row.dataset.alarm = alarmKey(alarm);
    part("what").textContent = what;
    part("call").textContent = call;
    part("call").hidden = !call;
    part("call").href = this.names.callUrl.replace("CALL", encodeURIComponent(alarm.call));
    part("who").textContent = who || (call ? "" : "Recorder");
    part("since").dateTime = alarm.since;
    localiseTimes(row);
    return row;
  }
}
