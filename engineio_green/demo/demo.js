// The demo page: two sessions with the server that served it, one that stays on polling and one that upgrades.
//
// It owns the sessions' comings and goings, the measuring and the numbers on the page. The protocol is in
// engineio.js, the drawing in chart.js.

import { Chart, WINDOW, decades, formatTime } from "./chart.js";
import { EngineIO } from "./engineio.js";

const MOST_IN_FLIGHT = 50; // a server that has stopped answering is not buried in messages
const FIRST_RETRY = 400;
const LAST_RETRY = 4_000;
const LOG_LINES = 40;

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

// One session after the other with the same transports, kept alive until it is stopped, and what it measured.
class Session {
  samples = [];
  events = [];
  state = "stopped"; // stopped, opening, open, waiting
  echoes = 0;
  opened = 0;
  onchange = () => {};
  onserver = () => {};
  onlog = () => {};

  #transports;
  #socket = null;
  #sent = 0;
  #expected = 0; // number of the next echo: they come back in the order they were sent, without a hole
  #timer = null;
  #retry = null;
  #delay = FIRST_RETRY;
  #openedAt = 0;
  #interval = 100;

  constructor(transports) {
    this.#transports = transports;
  }

  get transport() {
    return this.#socket?.transport ?? null;
  }

  get sid() {
    return this.#socket?.sid ?? null;
  }

  get inFlight() {
    return this.#sent - this.#expected;
  }

  start() {
    if (this.state !== "stopped") return;
    this.#delay = FIRST_RETRY;
    this.#open();
  }

  stop(leaving = false) {
    clearTimeout(this.#retry);
    this.#enter("stopped");
    this.#socket?.close({ leaving });
  }

  setRate(perSecond) {
    this.#interval = 1000 / perSecond;
    if (this.state === "open") this.#tick();
  }

  #enter(state) {
    this.state = state;
    if (state !== "open") clearInterval(this.#timer);
    this.onchange();
  }

  #open() {
    const socket = new EngineIO("engine.io/", { transports: this.#transports });
    const startedAt = performance.now();
    socket.onopen = () => {
      this.#delay = FIRST_RETRY;
      this.opened += 1;
      this.#openedAt = performance.now();
      this.#note("open", `opened by ${socket.transport} in ${formatTime(this.#openedAt - startedAt)} ms`);
      this.#enter("open");
      this.#tick();
    };
    socket.onupgrade = (transport) => {
      this.#note("upgrade", `upgraded to ${transport} after ${formatTime(performance.now() - this.#openedAt)} ms`);
      this.onchange();
    };
    socket.onupgradeerror = () => this.#note("failed", "no websocket to be had, polling goes on");
    socket.onmessage = (data) => this.#receive(data);
    socket.onclose = (reason) => this.#closed(socket, reason);
    this.#socket = socket;
    this.#sent = this.#expected = 0;
    this.#enter("opening");
  }

  #closed(socket, reason) {
    if (socket !== this.#socket) return;
    const wasOpen = this.state === "open" || this.state === "stopped";
    if (wasOpen) this.#note("closed", reason);
    if (this.state === "stopped") return;
    // A little chance in the delay, so that many pages do not come back at the same moment.
    const delay = this.#delay * (0.75 + Math.random() / 2);
    this.#delay = Math.min(this.#delay * 2, LAST_RETRY);
    this.#retry = setTimeout(() => this.#open(), delay);
    this.#enter("waiting");
  }

  #note(kind, text) {
    this.events.push({ at: performance.now(), kind });
    this.onlog(text);
  }

  #tick() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      if (this.inFlight >= MOST_IN_FLIGHT) return;
      this.#socket.send(`${this.#sent} ${performance.now()}`);
      this.#sent += 1;
    }, this.#interval);
  }

  #receive(data) {
    if (data[0] === "{") return this.onserver(JSON.parse(data));
    const at = performance.now();
    const [number, sentAt] = data.split(" ").map(Number);
    if (number !== this.#expected) this.onlog(`echo ${number} came, ${this.#expected} was due`);
    this.#expected = number + 1;
    this.echoes += 1;
    this.samples.push({ at, time: at - sentAt, transport: this.transport });
    return undefined;
  }

  // Forgets what has left the chart; an outage that began before is still to be seen.
  trim(now) {
    while (this.samples.length > 0 && this.samples[0].at < now - WINDOW - 1000) this.samples.shift();
    while (this.events.length > 1 && this.events[1].at < now - WINDOW) this.events.shift();
  }

  // Of the transport in use now: what came before the upgrade would blur the comparison.
  statistics() {
    const current = this.samples.filter((sample) => sample.transport === this.samples.at(-1).transport);
    const times = current.map((sample) => sample.time).sort((one, other) => one - other);
    const [p5, median, p99] = [0.05, 0.5, 0.99].map((share) => percentile(times, share));
    return { now: this.state === "open" ? this.samples.at(-1)?.time : undefined, p5, median, p99 };
  }
}

const STATES = { stopped: "stopped", opening: "connecting", open: "open", waiting: "server away, trying again" };

// One session's corner of the page.
class Panel {
  statistics = {};

  #root;
  #session;
  #chart;

  constructor(root, session) {
    this.#root = root;
    this.#session = session;
    this.#chart = new Chart(root.querySelector("canvas"));
    session.onchange = () => this.#show();
    session.onlog = (text) => this.#log(text);
    this.#show();
  }

  // New figures; the chart follows in `draw`, as often as the screen changes.
  measure(now) {
    this.#session.trim(now);
    this.statistics = this.#session.statistics();
    for (const name of ["now", "median", "p99"]) this.#text(name, formatTime(this.statistics[name]));
    this.#text("echoes", this.#session.echoes.toLocaleString("en"));
    this.#text("flight", this.#session.inFlight);
    this.#text("reconnects", Math.max(0, this.#session.opened - 1));
    this.#root.dataset.samples = this.#session.echoes;
  }

  draw(now, scale) {
    const { samples, events } = this.#session;
    this.#chart.draw({ samples, events, median: this.statistics.median, scale, now });
  }

  #show() {
    const { state, transport, sid } = this.#session;
    this.#root.dataset.state = state;
    this.#root.dataset.transport = state === "open" ? transport : "";
    this.#text("state", state === "open" ? `open by ${transport}` : STATES[state]);
    this.#text("sid", state === "open" ? sid.slice(0, 6) : "–");
  }

  #text(name, text) {
    this.#root.querySelector(`[data-field="${name}"]`).textContent = text;
  }

  #log(text) {
    const list = this.#root.querySelector("ol");
    const line = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = new Date().toLocaleTimeString("en-GB");
    line.append(time, " ", text);
    list.prepend(line);
    while (list.children.length > LOG_LINES) list.lastChild.remove();
  }
}

const sessions = [new Session(["polling"]), new Session(["polling", "websocket"])];
const panels = [...document.querySelectorAll("[data-session]")].map((root, index) => new Panel(root, sessions[index]));
const button = document.querySelector("#toggle");
const rate = document.querySelector("#rate");
const server = document.querySelector("#server");
let running = false;

function run(wanted, leaving = false) {
  running = wanted;
  for (const session of sessions) running ? session.start() : session.stop(leaving);
  button.textContent = running ? "Stop" : "Start";
  button.setAttribute("aria-pressed", String(running));
}

// Both charts share one scale, or the eye would be misled. Rare outliers touch its ends instead of moving them.
function sharedScale() {
  const known = panels.map((panel) => panel.statistics).filter(({ median }) => median !== undefined);
  if (known.length === 0) return decades(1, 100);
  return decades(Math.min(...known.map(({ p5 }) => p5)), Math.max(...known.map(({ p99 }) => p99)));
}

function draw() {
  const now = performance.now();
  const scale = sharedScale();
  for (const panel of panels) panel.draw(now, scale);
  requestAnimationFrame(draw);
}

for (const session of sessions) {
  session.onserver = ({ mode, version }) => (server.textContent = `${mode}, version ${version}`);
}
button.addEventListener("click", () => run(!running));
rate.addEventListener("change", () => sessions.forEach((session) => session.setRate(Number(rate.value))));
// A page that is left says so, instead of leaving the server to its ping timeout; one that comes back goes on.
let resumes = false;
window.addEventListener("pagehide", () => {
  resumes = running;
  run(false, true);
});
window.addEventListener("pageshow", (event) => event.persisted && resumes && run(true));

sessions.forEach((session) => session.setRate(Number(rate.value)));
setInterval(() => panels.forEach((panel) => panel.measure(performance.now())), 250);
run(true);
draw();
