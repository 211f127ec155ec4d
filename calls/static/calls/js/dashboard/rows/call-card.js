// The rows of the calls. The server has drawn some by the same templates; here they are filled and kept up to date.
// Names come from the wire: they become text, never markup.

import { onCard } from "../alarms.js";
import { shortId } from "../../format.js";
import { kindNote, label } from "../../identity.js";
import "./level-meter.js";
import { localiseTimes } from "../../local-time.js";

const LEAVING_MS = 2500;
const KEPT_MS = 60_000; // a call that has ended under a reader's eyes

/** One call on the page: its elements, found once. */
class Row {
  participants = new Map(); // id -> { row, meter, strip }
  call = null;
  words = null;
  listeners = 0;
  overAt = null;

  constructor(card) {
    this.card = card;
    this.duration = part(card, "duration");
    this.status = part(card, "status");
    this.ears = part(card, "ears");
  }

  get isOver() {
    return this.overAt !== null;
  }
}

export class CallCards {
  #rows = new Map();

  /**
   * @param list the element that holds the rows @param templates clones for a row and for a participant
   * @param names words for kinds and for alarms @param painter draws what is in sight
   */
  constructor(list, templates, names, painter) {
    Object.assign(this, { list, templates, names, kinds: names.kinds, painter });
    for (const card of list.querySelectorAll("[data-call]")) this.#adopt(card);
  }

  /** Ids of the rows in their places, those of ended calls among them. */
  get shown() {
    return Array.from(this.list.children, (card) => card.dataset.call).filter((id) => this.#rows.has(id));
  }

  /** Makes the rows those of `ids`, in that order; `calls` by id are live, any other has ended. */
  show(ids, calls, { alarms, listening }) {
    const wanted = new Set(ids);
    for (const [id, row] of this.#rows) if (!wanted.has(id)) this.#remove(id, row, !calls.has(id));
    let place = this.list.firstElementChild;
    for (const id of ids) {
      while (place?.hasAttribute("data-leaving")) place = place.nextElementSibling;
      const row = this.#rows.get(id) ?? this.#arrive(id);
      const call = calls.get(id);
      if (call) {
        this.#keep(row, call, onCard(alarms, call, this.names));
        tellListeners(row, listening[id] ?? 0);
      } else end(row);
      if (row.card === place) place = place.nextElementSibling;
      else this.list.insertBefore(row.card, place);
    }
  }

  /** Takes away those that ended a while ago. */
  sweep(now) {
    for (const [id, row] of this.#rows) if (row.isOver && now - row.overAt > KEPT_MS) this.#drop(id, row);
  }

  #keep(row, call, words) {
    if (row.isOver) revive(row);
    if (row.call !== call) this.#fill(row, call);
    if (row.words === words) return;
    row.words = words;
    row.card.toggleAttribute("data-alarmed", words !== "");
    part(row.card, "alarms").hidden = words === "";
    part(row.card, "alarm-words").textContent = words;
  }

  #arrive(id) {
    const card = this.templates.card.content.firstElementChild.cloneNode(true);
    card.dataset.call = id;
    card.id = `call-${id}`;
    card.toggleAttribute("data-arriving", true);
    card.addEventListener("animationend", () => card.removeAttribute("data-arriving"), { once: true });
    return this.#adopt(card);
  }

  #adopt(card) {
    const row = new Row(card);
    this.#rows.set(card.dataset.call, row);
    return row;
  }

  #remove(id, row, hasEnded) {
    if (row.isOver || !hasEnded) return this.#drop(id, row);
    this.#rows.delete(id);
    this.painter.forget(row);
    end(row);
    row.card.toggleAttribute("data-leaving", true);
    setTimeout(() => row.card.remove(), LEAVING_MS);
  }

  #drop(id, row) {
    this.#rows.delete(id);
    this.painter.forget(row);
    row.card.remove();
  }

  #fill(row, call) {
    const { card } = row;
    const isNew = row.call === null;
    row.call = call;
    const title = part(card, "title");
    title.textContent = `Call ${shortId(call.call_connection_id || call.id)}`;
    title.href = this.list.dataset.callUrl.replace("CALL", encodeURIComponent(call.id));
    title.title = call.call_connection_id || call.id;
    part(card, "started").dateTime = call.started_at;
    localiseTimes(card);
    this.#fillParticipants(row, part(card, "participants"), call.participants);
    part(card, "nobody").hidden = call.participants.length > 0;
    if (isNew) this.painter.watch(row);
    else this.painter.changed(row);
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
  return { row, meter: row.querySelector("level-meter"), strip: row.querySelector("activity-strip") };
}

/** In words beside a sign; text that stays the same is not written again, or a screen reader might say it again. */
function tellListeners(row, count) {
  if (row.listeners === count) return;
  row.listeners = count;
  row.ears.hidden = count === 0;
  part(row.card, "ears-count").textContent = `${count} listening`;
}

function end(row) {
  if (row.isOver) return;
  tellListeners(row, 0);
  row.overAt = performance.now();
  row.card.toggleAttribute("data-over", true);
  row.status.textContent = "ended";
}

function revive(row) {
  row.overAt = null;
  row.card.removeAttribute("data-over");
}

function part(element, name) {
  return element.querySelector(`[data-part="${name}"]`);
}
