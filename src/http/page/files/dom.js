// Elements and times. What is told, and to whom, is only ever text: nothing here makes HTML of a string.

export const byId = (id) => document.getElementById(id);

/** An element with attributes, and children that are elements or become text; those that are null are left out. */
export function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Makes `parent` hold one element per item, in order. An item `{ key, shows, make }` keeps its element while it shows the
 * same, so that focus and selection stay where they are. */
export function sync(parent, items) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(item.key);
    const shows = JSON.stringify(item.shows);
    let element = known.get(key);
    if (!element || element.shows !== shows) {
      const made = item.make();
      made.dataset.key = key;
      made.shows = shows;
      if (element) {
        if (place === element) place = made;
        element.replaceWith(made);
      }
      element = made;
    }
    known.delete(key);
    if (place === element) place = element.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const gone of known.values()) gone.remove();
}

/** Writes a text where it is another one. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const count = new Intl.NumberFormat("en");
export const number = (n) => count.format(n);

// How far the server's clock is before this one, in milliseconds.
let ahead = 0;
export const setClock = (at) => { ahead = Date.parse(at) - Date.now(); };
export const now = () => Date.now() + ahead;

/** A time span for people: `850 ms`, `12 s`, `3 min`, `2 h 5 min`, `4 d`. */
export function span(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 24) return min % 60 ? `${h} h ${min % 60} min` : `${h} h`;
  return `${number(Math.floor(h / 24))} d`;
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
export const absolute = (at) => day.format(Date.parse(at));
export const hour = (ms) => clock.format(ms);

function relative(at, form) {
  const ms = now() - Date.parse(at);
  if (form === "for") return span(Math.max(0, ms));
  if (Math.abs(ms) < 1000) return "now";
  return ms < 0 ? `in ${span(-ms)}` : `${span(ms)} ago`;
}

/** A moment, told from now (`form` "for": how long ago, bare); `keepTime` keeps it right. */
export function time(at, form) {
  return el("time", { datetime: at, title: absolute(at), "data-form": form }, relative(at, form));
}

/** Writes all moments anew. */
export function keepTime() {
  for (const element of document.querySelectorAll("time[datetime]")) {
    write(element, relative(element.dateTime, element.dataset.form));
  }
}

/** Runs `call` at once, and again at most every `pause` milliseconds however often it is asked for. */
export function seldom(pause, call) {
  let waits = null, last = -Infinity;
  return () => {
    waits ??= setTimeout(() => {
      waits = null;
      last = performance.now();
      call();
    }, Math.max(0, last + pause - performance.now()));
  };
}

/** Says so where personal data is masked. */
export function noteMask(recipient) {
  if (recipient?.startsWith("***")) byId("masked").hidden = false;
}

/** What may be as long as 64 letters without a break: a class of its own from where it would be wider than its place. */
export const long = (name) => ({ class: name.length > 24 ? "long" : null });

export const statusPill = (status) => el("span", { class: "pill", "data-status": status }, status);
export const words = (reason) => reason.replaceAll("_", " ");
export const idLink = (id) => el("a", { href: `#/notification/${id}` }, `#${id}`);

export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
