// The page: what is shown, when it is asked for anew, and what is said when there is no answer. It changes nothing.

import { Refused, ask, token } from "./api.js";
import { Chart } from "./chart.js";
import { byId, capital, hour, keepTime, seldom, setClock, write } from "./dom.js";
import { Live } from "./live.js";
import { One } from "./one.js";
import { Overview } from "./overview.js";
import { List } from "./table.js";

/** Between two looks at the store while nothing happens, and while something does, in milliseconds. */
const QUIET = 10_000;
const BUSY = 1_000;

/** How often events are written at most. */
const GLANCE = 200;

/** How many that failed before this page was opened are asked for, and among how many events. */
const FAILED = 15;
const LATELY = 1000;

/** The status of an answer that cannot be shown. */
const UNSHOWN = -1;

const views = ["overview", "list", "one", "token"];
const overview = new Overview();
const chart = new Chart();
const list = new List(refused);
const one = new One(refused);
const live = new Live(tell, () => {
  standing();
  // Whether the daemon answers at all is said at once.
  if (!live.on && looked) lookSoon();
});

let steps = [];
let touched = new Set();
let looked = false;
let seeded = false;
let lacking = false;
let asking = false;
let askAgain = false;
let timer = null;
let sought = null;

// What is asked for.

/** Looks at the store, and again by and by. */
async function look() {
  // Nobody is here who may look.
  if (!byId("token").hidden && !token.get()) return;
  if (asking) {
    askAgain = true;
    return;
  }
  asking = true;
  askAgain = false;
  clearTimeout(timer);
  let wait = QUIET;
  // Whoever it is asked for may go before it is answered: then it is nobody's.
  const by = token.get();
  const isGone = () => token.get() !== by;
  try {
    const first = !looked;
    const [status] = await Promise.all([ask("v1/status"), history()]);
    setClock(status.at);
    if (!seeded) await seed();
    if (isGone()) wait = null;
    else show(status, first);
    if (Object.values(status.channels).some(({ rates }) => rates.some(({ used }) => used > 0))) wait &&= QUIET / 2;
  } catch (error) {
    if (isGone()) wait = null;
    else {
      refused(error);
      lacking = true;
      // Nobody who may look is here: the form says when it is tried again.
      wait = error.status === 401 ? null : Math.max(wait, error.wait ?? 0);
    }
  }
  asking = false;
  if (wait !== null || (isGone() && token.get())) timer = setTimeout(look, askAgain ? BUSY : wait ?? 0);
}

/** Shows what stands where; `first` when nothing was shown before. */
function show(status, first) {
  overview.show(status);
  if (!seeded) overview.write();
  seeded = looked = true;
  byId("trouble").hidden = true;
  byId("token").hidden = true;
  byId("forget").hidden = !token.get();
  if (first) route();
  // There was no daemon, or nobody who may look, or it is back sooner than it would be tried again.
  if (!live.on && (lacking || (!live.socket && live.next === null))) live.start();
  lacking = false;
}

/** Asks for what failed before this page was opened: those that stopped, and those that are tried again. */
async function seed() {
  const [stopped, retrying, { events }] = await Promise.all([
    ask(`v1/notifications?status=dead&status=expired&limit=${FAILED}`),
    ask(`v1/notifications?retrying=true&limit=${FAILED}`),
    ask(`v1/events?last=${LATELY}&type=settled,expired&status=pending,held,dead,expired`),
  ]);
  overview.failed([...stopped.notifications, ...retrying.notifications], events);
}

/** Asks for the steps that are new. */
async function history() {
  const last = steps.at(-1)?.at;
  let told;
  try {
    told = await ask(`v1/history${last ? `?since=${encodeURIComponent(last)}` : ""}`);
  } catch (error) {
    if (error.status !== 400) throw error;
    // The server's clock was set back.
    steps = [];
    told = await ask("v1/history");
  }
  const hourAgo = Date.parse(told.at) - 3_600_000;
  steps = [...steps, ...told.steps].filter(({ at }) => Date.parse(at) > hourAgo);
  chart.show(steps);
}

const lookSoon = seldom(BUSY, look);
const listSoon = seldom(2 * BUSY, () => list.again());
const oneSoon = seldom(GLANCE, () => {
  one.again(touched);
  touched = new Set();
});
const writeSoon = seldom(GLANCE, () => overview.write());

/** Takes an event, or a mark between them. */
function tell(told) {
  if (told.type === "gap") {
    // What happened meanwhile is not told any more: what stands where is asked for anew.
    overview.forget();
    seeded = false;
  } else if (told.type !== "ready") {
    overview.tell(told);
    if (told.id) touched.add(told.id);
    writeSoon();
    oneSoon();
    listSoon();
  }
  lookSoon();
}

// What is said.

/** Whether it is live. */
function standing() {
  const pill = byId("live");
  pill.hidden = !byId("token").hidden;
  pill.dataset.state = live.on ? "on" : "off";
  if (live.on) write(pill, "live");
  else if (!looked) write(pill, "starting");
  else write(pill, `not live since ${hour(live.since)}`);
  pill.title = live.next ? `Tried again at ${hour(live.next)}` : "";
}

/** Says why there is no answer, or none that can be shown. */
function refused(error) {
  if (!(error instanceof Refused)) {
    // A defect, of the page or of what stands between it and the daemon: it must not end the looks.
    console.error(error);
    error = new Refused(UNSHOWN, "What was answered cannot be shown; the browser's console says why.");
  }
  if (error.status === 401) {
    // Asked before the token was forgotten: the form says already why it is there.
    if (!token.get() && !byId("token").hidden) return;
    askForToken(token.get() ? error.message : "This daemon shows what it knows to those who have a token.");
    return;
  }
  const more = {
    [UNSHOWN]: " It is asked again by itself.",
    0: " What is shown is what it said last. It is asked again by itself.",
    403: " Another one is needed: “Forget token” asks for it.",
    429: " It is asked again by itself.",
    503: " It is asked again by itself.",
  }[error.status] ?? "";
  const said = capital(error.message);
  write(byId("trouble"), (more && !said.endsWith(".") ? `${said}.` : said) + more);
  byId("trouble").hidden = false;
  byId("forget").hidden = !token.get();
  if (error.status === 0 && live.on) live.lost();
}

function askForToken(why) {
  clearTimeout(timer);
  token.forget();
  looked = seeded = false;
  live.forget();
  byId("trouble").hidden = true;
  byId("forget").hidden = true;
  byId("live").hidden = true;
  byId("masked").hidden = true;
  write(byId("token-why"), why);
  view("token");
  byId("token-text").focus();
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("token-text").value.trim();
  byId("token-text").value = "";
  if (!/^nctl_[0-9]+_[\w-]+$/.test(text)) {
    write(byId("token-why"), "That is no token: one begins with nctl_.");
    return;
  }
  write(byId("token-why"), "");
  token.set(text);
  look();
});

byId("forget").addEventListener("click", () => {
  overview.forget();
  steps = [];
  askForToken("It is forgotten.");
});

// Where one is: the address says what is shown, but for what was sought, which may be a person.

function view(name) {
  for (const other of views) byId(other).hidden = other !== name;
}

function route() {
  if (!looked) return;
  const [, where, first, second] = location.hash.split("/").map(decode);
  list.close();
  one.close();
  if (where === "notification" && /^[0-9]{1,18}$/.test(first)) {
    view("one");
    one.open(Number(first));
    byId("one-title").focus();
  } else if (where === "list" && first) {
    const query = new URLSearchParams();
    if (first !== "all") query.set("status", first);
    if (second) query.set("channel", second);
    const title = `${first === "all" ? "All" : capital(first)}${second ? ` on ${second}` : ""}`;
    showList(where, title, query, "There is none.");
  } else if (where === "sought" && sought) {
    const noId = isId(sought) ? `There is no notification ${sought}; a purge may have removed it. ` : "";
    showList(where, `To ${sought}`, new URLSearchParams({ to: sought }), "Nothing was told to exactly this recipient. Recipients are found as they were written, whole.", noId);
  } else {
    document.title = "notifyctl";
    view("overview");
    chart.draw();
  }
}

/** Whether it may be one: a number may be a recipient's, too. */
const isId = (text) => /^[0-9]{1,15}$/.test(text);

function showList(where, title, query, empty, before = "") {
  view("list");
  document.title = `${where === "sought" ? "Found" : title} – notifyctl`;
  list.open(title, query, empty, before);
  byId("list-title").focus();
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

byId("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = byId("sought").value.trim().replace(/^#(?=[0-9]+$)/, "");
  if (!text) return;
  sought = text;
  let place = "#/sought";
  if (isId(text)) {
    try {
      await ask(`v1/notifications/${text}`);
      place = `#/notification/${text}`;
    } catch (error) {
      if (error.status !== 404) {
        refused(error);
        return;
      }
    }
  }
  if (location.hash === place) route();
  else location.hash = place;
});

addEventListener("hashchange", () => {
  // The link that skips to the content leads nowhere else.
  if (location.hash !== "#main") route();
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && looked) {
    look();
    if (live.next) live.start();
  }
});

addEventListener("online", () => {
  if (live.next) live.start();
});

setInterval(() => {
  keepTime();
  standing();
}, 1000);

look();
