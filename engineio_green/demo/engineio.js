// A small Engine.IO client (protocol revision 4) in plain JavaScript: polling by fetch, websocket, upgrade, heartbeat.
//
// It owns one session from the handshake to the close and nothing after it: who wants to come back makes a new one.
// It knows nothing of the page around it. The demo and the examples use it so that they need no download;
// an application takes the official engine.io-client, which covers more (cookies, binary types, old browsers).
//
//     const socket = new EngineIO("engine.io/");
//     socket.onopen = () => socket.send("hello");
//     socket.onmessage = (data) => console.log(data);      // a string, or an ArrayBuffer for a binary message
//     socket.onupgrade = (transport) => {};                // now by websocket
//     socket.onclose = (reason) => {};                     // exactly once

const SEPARATOR = "\x1e";
const PROBE_TIMEOUT = 10_000;
const encoder = new TextEncoder();

function toBase64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0)).buffer;
}

export class EngineIO {
  onopen = () => {};
  onmessage = () => {};
  onupgrade = () => {};
  onupgradeerror = () => {};
  onclose = () => {};

  state = "opening"; // opening, open, closing, closed
  transport = null; // polling, websocket
  sid = null;

  #url;
  #waiting = []; // packets that no transport has taken yet: strings, or Uint8Array for a binary message
  #socket = null; // the websocket that carries the session
  #probe = null; // the websocket that is still on probation
  #paused = false; // polling stands still because the upgrade is about to happen
  #polling = Promise.resolve();
  #posting = null;
  #abort = new AbortController();
  #heartbeat = null;
  #silence = 0; // how long the server may say nothing, in milliseconds
  #maxPayload = 1_000_000;

  constructor(path = "engine.io/", { transports = ["polling", "websocket"] } = {}) {
    this.#url = new URL(path, document.baseURI);
    this.transports = transports;
    // The caller gets the chance to set its handlers before anything can happen.
    queueMicrotask(() => this.#connect());
  }

  // Sends a string, an ArrayBuffer or a Uint8Array. Before the session is open the message waits.
  send(data) {
    if (this.state === "closing" || this.state === "closed") return;
    this.#waiting.push(typeof data === "string" ? "4" + data : new Uint8Array(data));
    this.#flush();
  }

  // Says goodbye and ends the session. On polling the farewell waits for a POST that is on its way, because two at once
  // are a fault. A page that is being left can't wait, and a fault ends the session at least: close({ leaving: true }).
  async close({ leaving = false } = {}) {
    if (this.state === "closing" || this.state === "closed") return;
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#flush();
      this.#socket.send("1");
    } else if (this.sid) {
      this.state = "closing";
      while (this.#posting && !leaving) await this.#posting;
      this.#waiting.push("1");
      navigator.sendBeacon(this.#address("polling"), this.#takePayload());
    }
    this.#end("client disconnect");
  }

  #connect() {
    if (this.state !== "opening") return;
    if (this.transports[0] === "websocket") this.#openWebSocket();
    else this.#polling = this.#poll();
  }

  #address(transport) {
    const url = new URL(this.#url);
    if (transport === "websocket") url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("EIO", "4");
    url.searchParams.set("transport", transport);
    if (this.sid) url.searchParams.set("sid", this.sid);
    return url;
  }

  #end(reason) {
    if (this.state === "closed") return;
    this.state = "closed";
    clearTimeout(this.#heartbeat);
    this.#abort.abort();
    for (const socket of [this.#socket, this.#probe]) socket?.close();
    this.#waiting = [];
    this.onclose(reason);
  }

  // ---- what arrives

  #receive(packet) {
    if (this.state === "closed") return;
    if (typeof packet !== "string") return this.onmessage(packet);
    switch (packet[0]) {
      case "0":
        return this.#opened(JSON.parse(packet.slice(1)));
      case "1":
        return this.#end("server disconnect");
      case "2":
        this.#listen();
        this.#waiting.push("3" + packet.slice(1));
        return this.#flush();
      case "4":
        return this.onmessage(packet.slice(1));
      case "b":
        return this.onmessage(fromBase64(packet.slice(1)));
      case "6":
        return undefined;
      default:
        return this.#end("parse error");
    }
  }

  #opened({ sid, upgrades, pingInterval, pingTimeout, maxPayload }) {
    this.sid = sid;
    this.#silence = pingInterval + pingTimeout;
    if (maxPayload) this.#maxPayload = maxPayload;
    this.transport = this.#socket ? "websocket" : "polling";
    this.state = "open";
    this.#listen();
    this.onopen();
    this.#flush();
    const wanted = this.transport === "polling" && this.transports.includes("websocket");
    if (wanted && upgrades.includes("websocket") && this.state === "open") this.#upgrade();
  }

  // A server that has said nothing for an interval and a timeout is gone.
  #listen() {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = setTimeout(() => this.#end("ping timeout"), this.#silence);
  }

  // ---- what leaves

  #flush() {
    if (this.state !== "open" || this.#waiting.length === 0) return;
    if (this.#socket) {
      for (const packet of this.#waiting.splice(0)) this.#socket.send(packet);
    } else if (!this.#paused && !this.#posting) {
      this.#posting = this.#post().finally(() => {
        this.#posting = null;
        this.#flush();
      });
    }
  }

  async #post() {
    await this.#request("POST", this.#takePayload());
  }

  // As many waiting packets as the server takes in one body, at least one.
  #takePayload() {
    const packets = [];
    let size = 0;
    while (this.#waiting.length > 0) {
      const [next] = this.#waiting;
      const packet = typeof next === "string" ? next : "b" + toBase64(next);
      size += encoder.encode(packet).length + 1;
      if (packets.length > 0 && size > this.#maxPayload) break;
      packets.push(packet);
      this.#waiting.shift();
    }
    return packets.join(SEPARATOR);
  }

  // ---- polling

  async #poll() {
    while (this.state !== "closed" && !this.#paused) {
      const body = await this.#request("GET");
      if (body === null) return;
      for (const packet of body.split(SEPARATOR)) this.#receive(packet);
    }
  }

  // The body of the answer, or null when there is none and the session has ended because of that.
  async #request(method, body) {
    try {
      const answer = await fetch(this.#address("polling"), {
        method,
        body,
        cache: "no-store",
        signal: this.#abort.signal,
      });
      if (answer.ok) return await answer.text();
    } catch {
      // No connection, or our own abort: the session ends either way, or has ended already.
    }
    this.#end("transport error");
    return null;
  }

  // ---- websocket

  #openWebSocket() {
    const socket = new WebSocket(this.#address("websocket"));
    this.#adopt(socket);
    this.#socket = socket;
  }

  #adopt(socket) {
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onerror = () => this.#end("transport error");
    socket.onclose = () => this.#end("transport close");
  }

  // A second transport on probation: until it has answered the probe, polling carries everything.
  #upgrade() {
    const probe = new WebSocket(this.#address("websocket"));
    const patience = setTimeout(() => probe.close(), PROBE_TIMEOUT);
    this.#probe = probe;
    probe.onopen = () => probe.send("2probe");
    probe.onclose = () => {
      clearTimeout(patience);
      this.#probe = null;
      if (this.state === "open") this.onupgradeerror();
    };
    probe.onmessage = async (event) => {
      if (event.data !== "3probe") return probe.close();
      clearTimeout(patience);
      await this.#pause();
      if (this.state !== "open" || probe.readyState !== WebSocket.OPEN) return this.#resume();
      this.#adopt(probe);
      probe.send("5");
      this.#probe = null;
      this.#socket = probe;
      this.transport = "websocket";
      this.onupgrade("websocket");
      this.#flush();
    };
  }

  // The server lets go of the held poll when the probe arrives; what it still brings comes before the websocket.
  async #pause() {
    this.#paused = true;
    await Promise.all([this.#polling, this.#posting]);
  }

  #resume() {
    this.#paused = false;
    if (this.state !== "open") return;
    this.#polling = this.#poll();
    this.#flush();
  }
}
