// Notifications as rows: those that stand somewhere, or that were sought.

import { ask } from "./api.js";
import { byId, capital, el, idLink, long, number, statusPill, sync, time, words, write } from "./dom.js";

const PAGE = 50;

export class List {
  constructor(trouble) {
    this.trouble = trouble;
    this.asked = null;
    byId("more").addEventListener("click", () => this.more());
  }

  /** Shows what `query` (of /v1/notifications) finds, or else `before` and `empty` (or why it may not). The window's title, which browsers remember, is for the caller: a
   * recipient may be a person. */
  async open(title, query, empty, before) {
    this.asked = { query, empty, before, rows: [], next: null, pages: 0 };
    write(byId("list-title"), title);
    byId("list-empty").hidden = true;
    byId("more").hidden = true;
    sync(document.querySelector("#list tbody"), []);
    await this.load(this.asked);
  }

  close() {
    this.asked = null;
  }

  /** Looks again, where no more than the first page was looked at. */
  async again() {
    if (this.asked?.pages === 1) await this.load(this.asked, true);
  }

  async more() {
    if (this.asked) await this.load(this.asked);
  }

  async load(asked, anew = false) {
    const cursor = anew ? null : asked.next;
    let page;
    try {
      page = await ask(`v1/notifications?${asked.query}&limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    } catch (error) {
      if (asked !== this.asked) return;
      if (error.status !== 403) return this.trouble(error);
      // Who may look, and not at this: said where it would be shown, for as long as it is asked for.
      document.querySelector("#list table").hidden = true;
      write(byId("list-empty"), `${asked.before}${capital(error.message)}. “Forget token” asks for another one.`);
      byId("list-empty").hidden = false;
      return;
    }
    // Somebody went on meanwhile.
    if (asked !== this.asked) return;
    asked.rows = anew ? page.notifications : [...asked.rows, ...page.notifications];
    asked.pages = anew ? 1 : asked.pages + 1;
    asked.next = page.next_cursor;
    sync(document.querySelector("#list tbody"), asked.rows.map(row));
    document.querySelector("#list table").hidden = !asked.rows.length;
    byId("list-empty").hidden = asked.rows.length > 0;
    write(byId("list-empty"), asked.before + asked.empty);
    byId("more").hidden = !asked.next;
    write(byId("more"), `Show older ones than these ${number(asked.rows.length)}`);
  }
}

/** A cell; on a phone it stands behind its `label`. */
export const cell = (label, attributes, ...children) => el("td", { "data-label": label, ...attributes }, el("div", null, ...children));

/** The same, where there may be nothing to show. */
export const cellOf = (label, text) => cell(label, { class: text ? "long" : "nil" }, text || "–");

function row(shown) {
  const make = () => el("tr", null,
    el("th", { scope: "row", "data-label": "Id" }, idLink(shown.id)),
    cell("Status", null, statusPill(shown.status)),
    cell("Channel", long(shown.channel), shown.channel),
    cell("Recipient", { class: "long" }, shown.recipient),
    cellOf("Subject", shown.subject),
    cell("Enqueued", null, time(shown.created_at)),
    cellOf("Reason", shown.reason && words(shown.reason)),
  );
  return { key: shown.id, shows: shown, make };
}
