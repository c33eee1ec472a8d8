// The whole store at a glance: counts, channels, the latest failures, and what happens.

import { ask } from "./api.js";
import { byId, el, idLink, long, noteMask, now, number, statusPill, sync, time, words, write } from "./dom.js";
import { cell } from "./table.js";

const STATUSES = ["pending", "held", "sending", "sent", "dead", "expired", "cancelled"];

/** How many failures and how many events are shown. */
const FAILURES = 15;
const EVENTS = 25;

/** How many failures are asked for the other side's words at a time. */
const WORDS = 5;

/** For how long nobody may have been seen delivering while something is due, in milliseconds. */
const SILENCE = 150_000;

export class Overview {
  constructor() {
    this.failures = new Map();
    this.events = [];
    this.said = new Map();
    this.asking = false;
  }

  /** Shows an answer of /v1/status. */
  show(status) {
    sync(byId("tiles"), STATUSES.map((name) => tile(name, status.counts[name])));
    sync(byId("facts"), facts(status));
    sync(byId("notices"), notices(status));
    const channels = Object.entries(status.channels);
    sync(document.querySelector("#channels tbody"), channels.map(([name, channel]) => channelRow(name, channel)));
    byId("channels").hidden = !channels.length;
    byId("no-channels").hidden = channels.length > 0;
    write(byId("store"), status.store);
  }

  /** Takes what failed before this page was opened: notifications, and events. */
  failed(notifications, events) {
    for (const row of notifications) {
      this.fail({ id: row.id, channel: row.channel, recipient: row.recipient, at: row.settled_at ?? row.created_at, status: row.status, reason: row.reason, attempt: row.attempts });
    }
    for (const event of events) this.tellFailure(event);
  }

  fail(failure) {
    noteMask(failure.recipient);
    const known = this.failures.get(failure.id);
    if (known && known.at > failure.at) return;
    this.failures.set(failure.id, failure);
    if (this.failures.size > 4 * FAILURES) {
      this.failures = new Map(this.latest(2 * FAILURES).map((failure) => [failure.id, failure]));
    }
  }

  latest(n) {
    return [...this.failures.values()].sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : b.id - a.id)).slice(0, n);
  }

  /** Takes an event. */
  tell(event) {
    if (event.type === "attempt") return;
    noteMask(event.recipient);
    this.tellFailure(event);
    this.events.unshift(event);
    this.events.length = Math.min(this.events.length, EVENTS);
  }

  tellFailure(event) {
    const { id, channel, recipient, at, status, reason, attempt } = event;
    const known = this.failures.get(id);
    if (event.type === "expired" || (event.type === "settled" && status !== "sent")) {
      this.fail({ id, channel, recipient, at, status, reason, attempt });
    } else if (known && status && at >= known.at) {
      known.status = status;
    }
  }

  /** Forgets what was told. */
  forget() {
    this.failures.clear();
    this.events = [];
    this.said.clear();
  }

  /** Writes failures and events. */
  write() {
    const failures = this.latest(FAILURES);
    sync(document.querySelector("#failures tbody"), failures.map((failure) => failureRow(failure, this.said.get(wordsKey(failure)))));
    byId("failures").hidden = !failures.length;
    byId("no-failures").hidden = failures.length > 0;
    sync(byId("happens"), this.events.map(eventLine));
    byId("nothing-happens").hidden = this.events.length > 0;
    this.askForWords(failures);
  }

  /** What the other side said is with the attempts of each; it does not change, and is asked for once. */
  async askForWords(failures) {
    const unknown = failures.filter((failure) => failure.attempt && !this.said.has(wordsKey(failure))).slice(0, WORDS);
    if (this.asking || !unknown.length) return;
    this.asking = true;
    try {
      for (const failure of unknown) {
        this.said.set(wordsKey(failure), "");
        const { history } = await ask(`v1/notifications/${failure.id}`);
        const attempt = history.find(({ number }) => number === failure.attempt);
        this.said.set(wordsKey(failure), attempt?.detail ?? "");
        // A notification that is tried again does not say itself when it failed.
        failure.at = attempt?.ended_at ?? failure.at;
      }
    } catch {
      // It has been purged, or whoever asks for the status is told what is wrong.
    } finally {
      this.asking = false;
    }
    if (this.said.size > 1000) this.said.clear();
    this.write();
  }
}

const wordsKey = ({ id, attempt }) => `${id}:${attempt}`;

function tile(name, n) {
  const make = () => el("a", { href: `#/list/${name}`, "data-status": name, "data-long": n > 999_999 ? "" : null }, el("b", null, number(n)), el("span", null, name));
  return { key: name, shows: n, make };
}

function facts(status) {
  const fact = (key, shows, ...told) => ({ key, shows, make: () => el("div", null, el("dt", null, key), el("dd", null, ...told)) });
  const { oldest_due_at: oldest, next_due_at: next, last_pass: pass } = status;
  const sends = status.workers.filter((worker) => worker.roles.includes("sender") || worker.roles.includes("pass"));
  const who = sends.map((worker) => `${worker.roles.includes("pass") ? "a pass" : "a daemon"} (${worker.worker}${worker.hangs ? ", hangs" : ""})`);
  return [
    fact("Oldest due", oldest, oldest ? ["for ", time(oldest, "for")] : "nothing is due"),
    fact("Next due", [next, !oldest], next ? time(next) : oldest ? "all that waits is due" : "nothing waits"),
    fact("Delivering", [who, status.sender_seen_at && !who.length], who.length ? who.join(", ") : status.sender_seen_at ? ["nobody; last seen ", time(status.sender_seen_at)] : "nobody yet"),
    fact("Last pass", pass, pass ? [time(pass.ended_at), `: ${number(pass.sent)} sent, ${number(pass.deferred)} deferred, ${number(pass.dead)} dead`] : "none yet"),
    ...(status.cache ? [fact("Cache", status.cache, cached(status.cache))] : []),
    fact("Ever accepted", [status.accepted, status.purged], number(status.accepted), status.purged ? `, ${number(status.purged)} of them purged` : ""),
  ];
}

/** How often Redis answered the daemon that shows this page. */
function cached({ pid, usable, reads, hit_rate: rate }) {
  const all = Object.values(reads).reduce((sum, n) => sum + n, 0);
  const told = rate === null ? "no reads yet" : `${(100 * rate).toFixed(1)} % hits of ${number(all)} reads`;
  return `${told} (daemon ${pid})${usable ? "" : "; Redis is not used now"}`;
}

/** What somebody should do something about. */
function notices(status) {
  const found = [];
  const note = (key, ...told) => found.push({ key, shows: told.map(String), make: () => el("p", { class: "notice" }, ...told) });
  const silent = status.sender_seen_at ? now() - Date.parse(status.sender_seen_at) : Infinity;
  if (status.oldest_due_at && silent > SILENCE) {
    note("silent", "Something is due, and nobody delivers: start ", el("code", null, "notifyctl daemon"), " or a crontab entry with ", el("code", null, "notifyctl send-pending"), ".");
  }
  const held = Object.entries(status.channels).filter(([, channel]) => channel.held).map(([name]) => name);
  if (held.length) {
    note(`held ${held}`, `${held.length === 1 ? "A channel is" : "Channels are"} held: ${held.join(", ")}. `, el("code", null, `notifyctl channel release ${held[0]}`), " lets go.");
  }
  return found;
}

function channelRow(name, channel) {
  const { counts, oldest_due_at: oldest } = channel;
  const count = (label, n) => cell(label, { class: n ? "n" : "n nil" }, number(n));
  const make = () => el("tr", null,
    el("th", { scope: "row", "data-label": "Channel" }, el("a", { href: `#/list/all/${encodeURIComponent(name)}`, ...long(name) }, name), " ", el("span", { class: "small" }, channel.kind ?? "not configured")),
    count("Pending", counts.pending),
    count("Sending", counts.sending),
    count("Sent", counts.sent),
    count("Dead", counts.dead),
    cell("Oldest due", { class: oldest ? null : "nil" }, oldest ? ["for ", time(oldest, "for")] : "–"),
    cell("Rate limits in use", { class: channel.rates.length ? null : "nil" }, channel.rates.length ? el("div", { class: "rates" }, channel.rates.map(rate)) : "no limit"),
    cell("State", { class: "long" }, state(channel)),
  );
  return { key: name, shows: channel, make };
}

function rate({ rate, used, limit, next_free_at: free }) {
  const label = `${number(used)} of ${rate}`;
  return el("div", { class: "rate" }, el("progress", { max: limit, value: Math.min(used, limit), "aria-label": label }), el("span", null, label, free ? [", free ", time(free)] : null));
}

function state({ held, trouble }) {
  if (held) return [el("span", { class: "pill", "data-status": "held" }, "held"), " since ", time(held.since), held.reason ? `: ${held.reason}` : ""];
  if (!trouble) return "ready";
  const told = [el("span", { class: "pill", "data-status": "dead" }, "in trouble"), ` ${number(trouble.failures)} in a row failed`];
  if (trouble.reason) told.push(`: ${words(trouble.reason)}`);
  if (trouble.paused_until) told.push(", tried again ", time(trouble.paused_until));
  if (trouble.detail) told.push(el("q", null, trouble.detail));
  return told;
}

function failureRow(failure, said) {
  const make = () => el("tr", null,
    cell("When", null, time(failure.at)),
    el("th", { scope: "row", "data-label": "Id" }, idLink(failure.id)),
    cell("Channel", long(failure.channel), failure.channel),
    cell("Recipient", { class: "long" }, failure.recipient),
    cell("Now", null, statusPill(failure.status)),
    cell("Reason", { class: "long" }, failure.reason ? words(failure.reason) : failure.status === "expired" ? "its last useful moment passed" : "–", said ? el("q", null, said) : null),
  );
  return { key: failure.id, shows: [failure, said], make };
}

/** What an event says, in words. */
export function saying(event) {
  const why = event.reason ? `: ${words(event.reason)}` : "";
  if (!event.id) {
    const what = { held: "is held", released: "is released", alert: event.reason === "accepted" ? "works again" : "is in trouble" }[event.type] ?? event.type;
    return `${what}${event.type === "alert" && event.reason === "accepted" ? "" : why}${event.detail ? ` (${event.detail})` : ""}`;
  }
  switch (event.type) {
    case "settled":
      return event.status === "sent" ? "sent" : event.status === "pending" ? `deferred${why}` : `${event.status}${why}`;
    case "attempt":
      return event.status === "sending" ? "an attempt begins" : "given back without an attempt";
    default:
      return event.type;
  }
}

function eventLine(event) {
  const status = event.id ? (event.type === "settled" && event.status === "pending" ? "deferred" : event.status) : "held";
  const make = () => el("li", { "data-status": status },
    time(event.at),
    event.id ? idLink(event.id) : el("b", null, event.channel),
    el("span", { class: "what" }, saying(event)),
    event.id ? el("span", { class: "small long" }, el("bdi", null, event.recipient), ` on ${event.channel}`) : null,
  );
  return { key: `${event.cursor} ${event.type}`, shows: event, make };
}

