// One call on the page. The server has drawn some by the same templates; here they are filled and kept up to date.
// Names come from the wire: they become text, never markup.

import { onCard } from "./alarms.js";
import { clock, shortId, timeOfDay } from "./format.js";
import { kindNote, label } from "./identity.js";

export class CallCards {
  /**
   * @param list the element that holds the cards @param templates clones for a card and for a participant
   * @param names words for kinds and for alarms
   */
  constructor(list, templates, names) {
    Object.assign(this, { list, templates, names, kinds: names.kinds });
  }

  /** Makes the cards those of `calls`, in that order. Cards that leave stay a moment to say so. */
  show(calls, alarms) {
    const ids = new Set(calls.map((call) => call.id));
    for (const card of this.#cards()) if (!ids.has(card.dataset.call)) leave(card);
    let place = this.list.firstElementChild;
    for (const call of calls) {
      while (place?.hasAttribute("data-leaving")) place = place.nextElementSibling;
      const card = this.#card(call.id) ?? this.#arrive(call.id);
      this.#fill(card, call);
      this.#mark(card, onCard(alarms, call, this.names));
      if (card === place) place = place.nextElementSibling;
      else this.list.insertBefore(card, place);
    }
  }

  /** Lets every duration on the page run on. `now` is the server's clock, milliseconds since 1970. */
  tick(now) {
    for (const card of this.#cards()) {
      const text = clock((now - Date.parse(card.dataset.startedAt)) / 1000);
      const duration = part(card, "duration");
      if (duration.textContent !== text) duration.textContent = text;
    }
  }

  #cards() {
    return this.list.querySelectorAll("[data-call]:not([data-leaving])");
  }

  #card(id) {
    return this.list.querySelector(`[data-call="${CSS.escape(id)}"]:not([data-leaving])`);
  }

  #arrive(id) {
    const card = this.templates.card.content.firstElementChild.cloneNode(true);
    card.dataset.call = id;
    card.id = `call-${id}`;
    card.toggleAttribute("data-arriving", true);
    card.addEventListener("animationend", () => card.removeAttribute("data-arriving"), { once: true });
    return card;
  }

  #fill(card, call) {
    card.dataset.startedAt = call.started_at;
    const title = part(card, "title");
    title.textContent = `Call ${shortId(call.call_connection_id || call.id)}`;
    title.href = this.list.dataset.callUrl.replace("CALL", encodeURIComponent(call.id));
    title.title = call.call_connection_id || call.id;
    const started = part(card, "started");
    started.textContent = timeOfDay(call.started_at);
    started.dateTime = call.started_at;
    this.#fillParticipants(part(card, "participants"), call.participants);
    part(card, "nobody").hidden = call.participants.length > 0;
  }

  #mark(card, words) {
    card.toggleAttribute("data-alarmed", words !== "");
    part(card, "alarms").hidden = words === "";
    part(card, "alarm-words").textContent = words;
  }

  #fillParticipants(rows, participants) {
    const ids = new Set(participants.map((participant) => participant.id));
    for (const row of [...rows.children]) if (!ids.has(row.dataset.participant)) row.remove();
    for (const participant of participants) {
      const row = rows.querySelector(`[data-participant="${CSS.escape(participant.id)}"]`);
      this.#fillParticipant(row ?? rows.appendChild(this.#newRow(participant.id)), participant);
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
  }
}

const LEAVING_MS = 2500;

function leave(card) {
  card.toggleAttribute("data-leaving", true);
  part(card, "status").textContent = "ended";
  setTimeout(() => card.remove(), LEAVING_MS);
}

function part(element, name) {
  return element.querySelector(`[data-part="${name}"]`);
}
