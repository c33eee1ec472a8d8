// What was sent, accepted or given up per minute, channel by channel: uPlot draws the steps of /v1/history.

import { byId, number, write } from "./dom.js";

/** The most channels that have a line of their own. */
const LINES = 6;
const HEIGHT = 190;
/** The shortest time that is drawn, in seconds. */
const SHORTEST = 600;

const dark = matchMedia("(prefers-color-scheme: dark)");
const counted = {
  sent: (flow) => flow.sent,
  accepted: (flow) => flow.accepted,
  stopped: (flow) => flow.dead + flow.expired,
};
const called = { sent: "sent", accepted: "accepted", stopped: "dead or expired" };

export class Chart {
  constructor() {
    this.steps = [];
    this.plot = null;
    this.drawn = "";
    this.place = byId("chart");
    byId("which").addEventListener("change", () => this.draw());
    dark.addEventListener("change", () => this.draw());
    new ResizeObserver(() => {
      if (this.plot && this.place.clientWidth) this.plot.setSize({ width: this.place.clientWidth, height: HEIGHT });
    }).observe(this.place);
  }

  /** Shows these steps, the oldest first. */
  show(steps) {
    this.steps = steps;
    this.draw();
  }

  draw() {
    const which = document.querySelector("#which input:checked").value;
    const count = counted[which];
    const totals = new Map();
    for (const step of this.steps) {
      for (const [name, flow] of Object.entries(step.channels)) totals.set(name, (totals.get(name) ?? 0) + count(flow));
    }
    const names = [...totals].filter(([, n]) => n > 0).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([name]) => name);
    this.say(names, totals, which);
    const own = names.slice(0, LINES).sort();
    const others = names.slice(LINES);
    const lines = own.map((name) => [name, [name]]);
    if (others.length) lines.push([`${others.length} others`, others]);
    const perMinute = (step, of) => {
      const n = of.reduce((sum, name) => sum + (step.channels[name] ? count(step.channels[name]) : 0), 0);
      return step.took_ms ? n * 60_000 / step.took_ms : 0;
    };
    // The first one from its beginning on, so that it is a line though it may be the only one.
    const drawn = [...this.steps.slice(0, 1), ...this.steps];
    const data = [
      drawn.map((step, n) => (Date.parse(step.at) - (n ? 0 : step.took_ms)) / 1000),
      ...lines.map(([, of]) => drawn.map((step) => perMinute(step, of))),
    ];
    if (!lines.length) {
      this.plot?.destroy();
      this.plot = null;
      this.drawn = "";
      return;
    }
    const form = JSON.stringify([lines.map(([label]) => label), dark.matches]);
    if (this.plot && this.drawn === form) {
      this.plot.setData(data);
      return;
    }
    this.plot?.destroy();
    this.plot = new uPlot(options(lines.map(([label]) => label), this.place.clientWidth || 600), data, this.place);
    this.drawn = form;
  }

  /** The same in words. */
  say(names, totals, which) {
    const first = this.steps[0];
    if (!first) {
      write(byId("chart-words"), "The daemon has just begun to count; the first ten seconds are drawn when they are over.");
      return;
    }
    const from = Date.parse(first.at) - first.took_ms;
    const minutes = Math.max(1, Math.round((Date.parse(this.steps.at(-1).at) - from) / 60_000));
    const lead = `In the last ${minutes === 1 ? "minute" : `${minutes} minutes`}`;
    const parts = names.slice(0, LINES).map((name) => `${number(totals.get(name))} on ${name}`);
    if (names.length > LINES) parts.push(`and more on ${names.length - LINES} others`);
    write(byId("chart-words"), parts.length ? `${lead} ${called[which]}: ${parts.join(", ")}.` : `${lead} nothing was ${called[which]}.`);
  }
}

function options(labels, width) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const value = (_, n) => (n === null || n === undefined ? "–" : number(Math.round(n * 10) / 10));
  const series = labels.map((label, n) => ({
    label,
    stroke: colour(`--line-${n + 1}`),
    fill: labels.length === 1 ? colour("--line-1-fill") : undefined,
    width: 2,
    points: { show: false },
    value,
  }));
  return {
    width,
    height: HEIGHT,
    legend: { live: true },
    cursor: { y: false, points: { size: 7 } },
    scales: {
      x: { time: true, range: (_, from, to) => [Math.min(from, to - SHORTEST), to] },
      y: { range: (_, _from, to) => [0, Math.max(1, to * 1.1)] },
    },
    axes: [
      { ...axis, space: 70, size: 30, values: (plot, splits) => splits.map((at) => clock.format(at * 1000)) },
      { ...axis, size: 52, values: (_, splits) => splits.map((n) => compact.format(n)) },
    ],
    // How many seconds are drawn: nobody can read that from a canvas.
    hooks: { setScale: [({ root, scales: { x } }) => (root.dataset.seconds = Math.round(x.max - x.min))] },
    series: [{ label: "at", value: (_, at) => (at === null || at === undefined ? "–" : clockSeconds.format(at * 1000)) }, ...series],
  };
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockSeconds = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const compact = new Intl.NumberFormat("en", { notation: "compact" });
