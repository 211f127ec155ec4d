// Rows of the live calls. The server renders the first ones from the same templates; here they are
// created and updated. Names from the wire become text, never markup.

import { alarmsOf } from "../alarms.js";
import { shortId } from "../../format.js";
import { callTitle, kindNote, label } from "../../identity.js";
import "./level-meter.js";
import { localText } from "../../local-time.js";

const LEAVING_MS = 2500;
const KEPT_MS = 60_000; // an ended call stays visible this long while someone reads

/** A call on the page, with its elements. */
class Row {
  participants = new Map(); // id -> { row, meter, strip }
  call = null;
  alarmText = null;
  listeners = 0;
  since = undefined; // as shown
  endedAt = null;

  constructor(card) {
    this.card = card;
    this.duration = part(card, "duration");
    this.status = part(card, "status");
    this.sinceMark = part(card, "since");
    this.sinceTime = part(card, "since-time");
    this.listenersMark = part(card, "listeners");
  }

  get hasEnded() {
    return this.endedAt !== null;
  }
}

export class CallCards {
  #rows = new Map();

  /**
   * @param list parent of the rows @param templates of a row and of a participant
   * @param names texts of kinds and alarms @param painter draws visible rows
   */
  constructor(list, templates, names, painter) {
    Object.assign(this, { list, templates, names, kinds: names.kinds, painter });
    for (const card of list.querySelectorAll("[data-call]")) this.#adopt(card);
  }

  /** Ids of the rows in order, including ended calls. */
  get shown() {
    return Array.from(this.list.children, (card) => card.dataset.call).filter((id) =>
      this.#rows.has(id),
    );
  }

  /** Shows the rows of `ids` in this order; a call that is not in `calls` (by id) has ended. */
  show(ids, calls, { alarms, listening }) {
    const wanted = new Set(ids);
    for (const [id, row] of this.#rows) if (!wanted.has(id)) this.#remove(id, row, !calls.has(id));
    let next = this.list.firstElementChild;
    for (const id of ids) {
      while (next?.hasAttribute("data-leaving")) next = next.nextElementSibling;
      const row = this.#rows.get(id) ?? this.#create(id);
      const call = calls.get(id);
      if (call) {
        this.#update(row, call, alarmsOf(alarms, call, this.names));
        showListeners(row, listening[id] ?? 0);
      } else end(row);
      if (row.card === next) next = next.nextElementSibling;
      else this.list.insertBefore(row.card, next);
    }
  }

  /** Number of the rows of ended calls. */
  get ended() {
    return [...this.#rows.values()].filter((row) => row.hasEnded).length;
  }

  /** Removes calls that ended a while ago. @param isHeld only those whose removal moves nothing */
  removeEnded(now, isHeld) {
    for (const [id, row] of this.#rows) {
      if (!row.hasEnded || now - row.endedAt <= KEPT_MS) continue;
      if (!isHeld || row.card.getBoundingClientRect().top > window.innerHeight) this.#drop(id, row);
    }
  }

  #update(row, call, alarmText) {
    if (row.hasEnded) revive(row);
    if (row.call !== call) this.#fill(row, call);
    if (row.alarmText === alarmText) return;
    row.alarmText = alarmText;
    row.card.toggleAttribute("data-alarmed", alarmText !== "");
    part(row.card, "alarms").hidden = alarmText === "";
    part(row.card, "alarm-words").textContent = alarmText;
    part(row.card, "alarms").title = alarmText;
  }

  #create(id) {
    const card = this.templates.card.content.firstElementChild.cloneNode(true);
    card.dataset.call = id;
    card.id = `call-${id}`;
    card.toggleAttribute("data-arriving", true);
    card.addEventListener("animationend", () => card.removeAttribute("data-arriving"), {
      once: true,
    });
    return this.#adopt(card);
  }

  #adopt(card) {
    const row = new Row(card);
    this.#rows.set(card.dataset.call, row);
    return row;
  }

  #remove(id, row, hasEnded) {
    if (row.hasEnded || !hasEnded) return this.#drop(id, row);
    this.#rows.delete(id);
    this.painter.unwatch(row);
    end(row);
    row.card.toggleAttribute("data-leaving", true);
    setTimeout(() => row.card.remove(), LEAVING_MS);
  }

  #drop(id, row) {
    this.#rows.delete(id);
    this.painter.unwatch(row);
    row.card.remove();
  }

  #fill(row, call) {
    const { card } = row;
    const isNew = row.call === null;
    row.call = call;
    const title = part(card, "title");
    title.textContent = callTitle(call, this.kinds);
    title.href = this.list.dataset.callUrl.replace("CALL", encodeURIComponent(call.id));
    title.title = call.call_connection_id || call.id;
    part(card, "id").textContent = shortId(call.call_connection_id || call.id);
    row.duration.title = `Started ${localText(call.started_at)}`;
    this.#fillParticipants(row, part(card, "participants"), call.participants);
    part(card, "canary").hidden = !call.canary;
    part(card, "no-audio").hidden = call.participants.length > 0;
    if (isNew) this.painter.watch(row);
    else this.painter.refresh(row);
  }

  #fillParticipants(row, list, participants) {
    const ids = new Set(participants.map((participant) => participant.id));
    for (const each of [...list.children]) if (!ids.has(each.dataset.participant)) each.remove();
    const known = new Map(Array.from(list.children, (each) => [each.dataset.participant, each]));
    const before = row.participants;
    row.participants = new Map();
    for (const participant of participants) {
      const element = known.get(participant.id) ?? list.appendChild(this.#newRow(participant.id));
      this.#fillParticipant(element, participant);
      row.participants.set(participant.id, before.get(participant.id) ?? partsOf(element));
    }
  }

  #newRow(id) {
    const row = this.templates.participant.content.firstElementChild.cloneNode(true);
    row.dataset.participant = id;
    return row;
  }

  #fillParticipant(row, participant) {
    const kind = participant.kind in this.kinds ? participant.kind : "unknown";
    const name = label(participant, this.kinds);
    row.dataset.kind = kind;
    part(row, "mark").setAttribute("href", `#mark-${kind}`);
    part(row, "label").textContent = name;
    part(row, "label").title = participant.raw_id;
    part(row, "kind").textContent = kindNote(participant, this.kinds);
    row.querySelector("level-meter").setAttribute("aria-label", `Level of ${name}`);
    part(row, "clip").setAttribute("aria-label", `Clipped: ${name}. Clear the mark`);
  }
}

function partsOf(row) {
  return {
    row,
    meter: row.querySelector("level-meter"),
    strip: row.querySelector("activity-strip"),
  };
}

/** Unchanged text is not written again: a screen reader might repeat it. */
function showListeners(row, count) {
  if (row.listeners === count) return;
  row.listeners = count;
  row.listenersMark.hidden = count === 0;
  part(row.card, "listeners-count").textContent = `${count} listening`;
}

function end(row) {
  if (row.hasEnded) return;
  showListeners(row, 0);
  row.endedAt = performance.now();
  row.card.toggleAttribute("data-over", true);
  row.status.textContent = "ended";
  row.sinceMark.hidden = true;
  row.since = null;
}

function revive(row) {
  row.endedAt = null;
  row.card.removeAttribute("data-over");
}

function part(element, name) {
  return element.querySelector(`[data-part="${name}"]`);
}
