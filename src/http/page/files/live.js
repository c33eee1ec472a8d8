// What happens, as it happens: a WebSocket that comes back by itself and goes on behind the last event it was told.

import { events } from "./api.js";

/** The first wait before it is tried again, and the longest, in milliseconds. */
const FIRST = 500;
const LONGEST = 30_000;

/** How many events are told again to a page that was just opened. */
const LAST = 200;

export class Live {
  /** `tell` is given each event, and each mark (`ready`, `gap`); `changed` is called when `since` or `next` has changed. */
  constructor(tell, changed) {
    Object.assign(this, { tell, changed, cursor: null, socket: null, timer: null, wait: FIRST });
    /** Whether it is live. */
    this.on = false;
    /** Since when it is not, and when it is tried again; on this machine's clock. */
    this.since = Date.now();
    this.next = null;
  }

  /** Connects, at once. */
  start() {
    clearTimeout(this.timer);
    this.next = null;
    const before = this.socket;
    this.socket = null;
    before?.close();
    const socket = events(this.cursor ? `after=${encodeURIComponent(this.cursor)}` : `last=${LAST}`);
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      const told = JSON.parse(data);
      if (told.type === "ready") {
        this.on = true;
        this.wait = FIRST;
        this.changed();
      }
      this.cursor = told.cursor;
      this.tell(told);
    };
    socket.onclose = () => {
      if (socket === this.socket) this.lost();
    };
  }

  /** It was lost, or it cannot be had: is tried again by and by. */
  lost() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    if (this.on) this.since = Date.now();
    this.on = false;
    clearTimeout(this.timer);
    // Not all pages at once, when a daemon is back.
    const wait = this.wait * (0.75 + Math.random() / 2);
    this.wait = Math.min(this.wait * 2, LONGEST);
    this.next = Date.now() + wait;
    this.timer = setTimeout(() => this.start(), wait);
    this.changed();
  }

  /** Is not tried again until `start`. */
  stop() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    if (this.on) this.since = Date.now();
    this.on = false;
    this.next = null;
    this.changed();
  }

  /** Where somebody else looks, another place is meant. */
  forget() {
    this.stop();
    this.cursor = null;
  }
}
