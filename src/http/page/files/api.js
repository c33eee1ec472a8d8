// Asking the daemon, with the token of whoever looks. It stays in this tab, and is shown in a header, never in an address.

const KEY = "notifyctl.token";
const BASE = new URL(".", location.href.split("#")[0]);

/** How long an answer may take, in milliseconds. */
const PATIENCE = 15_000;

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

/** Why there is no answer: `status` is that of HTTP, or 0 where nobody answered; `wait` in milliseconds. */
export class Refused extends Error {
  constructor(status, detail, wait = 0) {
    super(detail);
    this.status = status;
    this.wait = wait;
  }
}

/** What the daemon answers to `GET path`, as JSON. */
export async function ask(path) {
  const headers = { Accept: "application/json" };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  let response, body;
  try {
    response = await fetch(new URL(path, BASE), { headers, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
    body = await response.text();
  } catch {
    throw new Refused(0, "The daemon does not answer.");
  }
  let json = null;
  try {
    json = JSON.parse(body);
  } catch {
    // A proxy answers in its own words.
  }
  if (response.ok && json !== null) return json;
  const wait = Number(response.headers.get("retry-after") ?? 0) * 1000;
  throw new Refused(response.status, json?.detail ?? `The answer was ${response.status} ${response.statusText}.`, wait);
}

/** Where events come from, behind `query`. */
export function events(query) {
  const url = new URL(`v1/events?${query}`, BASE);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  // A browser gives a WebSocket no header of ours: the token stands beside the protocol (notifyctl(7)).
  return new WebSocket(url, ["notifyctl.v1", ...(token.get() ? [token.get()] : [])]);
}
