// One notification, its whole life: what was done to it, each attempt, and what is told.

import { ask } from "./api.js";
import { absolute, byId, el, noteMask, number, span, statusPill, sync, time, words, write } from "./dom.js";
import { saying } from "./overview.js";

/** Where all events of a notification begin. */
const BEGINNING = "0-0";

export class One {
  constructor(trouble) {
    this.trouble = trouble;
    this.id = null;
  }

  /** Shows the notification `id`; says whether there is one. */
  async open(id) {
    this.id = id;
    write(byId("one-title"), `Notification ${id}`);
    document.title = `Notification ${id} – notifyctl`;
    byId("one-whole").hidden = true;
    byId("one-empty").hidden = true;
    await this.load();
  }

  close() {
    this.id = null;
  }

  /** Looks again, where this one is shown. */
  async again(ids) {
    if (this.id !== null && ids.has(this.id)) await this.load();
  }

  async load() {
    const id = this.id;
    let shown, told;
    try {
      [shown, told] = await Promise.all([ask(`v1/notifications/${id}`), ask(`v1/events?id=${id}&after=${BEGINNING}`)]);
    } catch (error) {
      if (id !== this.id) return;
      if (error.status === 404) {
        byId("one-whole").hidden = true;
        write(byId("one-empty"), `There is no notification ${id}. A purge may have removed it.`);
        byId("one-empty").hidden = false;
      } else {
        this.trouble(error);
      }
      return;
    }
    if (id !== this.id) return;
    byId("one-empty").hidden = true;
    byId("one-whole").hidden = false;
    noteMask(shown.recipient);
    sync(byId("one-facts"), facts(shown));
    sync(byId("life"), life(shown, told.events));
    write(byId("one-subject"), shown.subject ?? "");
    byId("one-subject").hidden = !shown.subject;
    write(byId("one-message"), shown.message);
    sync(byId("one-extras"), extras(shown));
    sync(byId("one-next"), next(shown));
  }
}

/** What somebody at the server can do about it. */
function next({ id, status }) {
  const [verb, does] = { pending: ["why", "says what it waits for"], held: ["release", "lets it go"] }[status] ?? ["requeue", "starts it again"];
  if (status === "sent" || status === "sending") return [];
  const make = () => el("span", null, el("code", null, `notifyctl ${verb} ${id}`), ` ${does}.`);
  return [{ key: id, shows: verb, make }];
}

function facts(shown) {
  const fact = (name, ...told) => ({ key: name, shows: told.map((part) => part?.dateTime ?? part?.textContent ?? part), make: () => el("div", null, el("dt", null, name), el("dd", null, ...told)) });
  const all = [
    fact("Status", statusPill(shown.status), shown.reason ? ` ${words(shown.reason)}` : ""),
    fact("To", shown.recipient),
    fact("Channel", shown.channel),
    fact("Priority", shown.priority),
    fact("Attempts", number(shown.attempts)),
  ];
  // It may lie behind: a channel that is held or in trouble, and a rate that is used up, keep what is due.
  if (shown.next_attempt_at) all.push(fact("Due", time(shown.next_attempt_at)));
  if (shown.not_before) all.push(fact("Not before", absolute(shown.not_before)));
  if (shown.expires_at) all.push(fact("Useful until", absolute(shown.expires_at)));
  if (shown.worker) all.push(fact("Being sent by", shown.worker));
  if (shown.user_id) all.push(fact("User", shown.user_id));
  if (shown.batch_id) all.push(fact("Batch", number(shown.batch_id)));
  if (shown.idempotency_key) all.push(fact("Key", shown.idempotency_key));
  all.push(fact("Known outside as", shown.stable_id));
  return all;
}

/** Acceptance, what operators and time did, and the attempts, in the order in which they happened. */
function life(shown, events) {
  const steps = [{ at: shown.created_at, status: "pending", what: "enqueued" }];
  for (const event of events) {
    if (event.type !== "enqueued" && event.type !== "attempt" && (event.type !== "settled" || !event.attempt)) {
      steps.push({ at: event.at, status: event.status, what: saying(event) });
    }
  }
  for (const attempt of shown.history) {
    const outcome = attempt.outcome ?? "under way";
    const took = attempt.ended_at ? ` after ${span(Date.parse(attempt.ended_at) - Date.parse(attempt.started_at))}` : "";
    const status = { sent: "sent", rejected: "dead", deferred: "deferred", unknown: "held" }[outcome] ?? "sending";
    const why = attempt.reason && attempt.reason !== "accepted" ? `: ${words(attempt.reason)}` : "";
    steps.push({ at: attempt.started_at, status, what: `attempt ${attempt.number} ${outcome}${took}${why}`, said: attempt.detail, by: attempt.worker, late: attempt.late });
  }
  steps.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  if (shown.next_attempt_at) steps.push({ at: shown.next_attempt_at, status: "ahead", what: shown.attempts ? "due to be tried again" : "due" });
  // The last attempt says `sent`; what else it was settled as may be older than the events that are kept.
  if (shown.settled_at && shown.status !== "sent" && !steps.some(({ what }) => what === shown.status)) {
    steps.push({ at: shown.settled_at, status: shown.status, what: shown.status });
  }
  return steps.map((step, n) => ({ key: n, shows: step, make: () => line(step) }));
}

function line({ at, status, what, said, by, late }) {
  return el("li", { "data-status": status },
    el("div", null, el("b", null, what), " ", time(at)),
    said ? el("q", null, said) : null,
    late ? el("div", { class: "small" }, `Reported too late, without effect: ${late}`) : null,
    el("div", { class: "small" }, absolute(at), by ? ` by ${by}` : ""),
  );
}

function extras(shown) {
  const told = [];
  const add = (text) => told.push({ key: told.length, shows: text, make: () => el("li", null, text) });
  if (shown.html) add(`The same as HTML: ${number(shown.html.length)} characters`);
  for (const [name, value] of Object.entries(shown.headers)) add(`${name}: ${value}`);
  for (const file of shown.attachments) add(`${file.name} (${file.media_type}, ${number(file.size)} bytes)`);
  return told;
}
