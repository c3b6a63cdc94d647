// What the official client does in each test: the same code in Node and in the browser.
//
// A case gets `connect(url, options)` and the test's arguments, and returns facts as plain JSON; it judges nothing except
// whether two large things are equal. The tests in Python do the asserting. Every wait is for a condition, with a deadline.

const PATIENCE = 20_000; // ms until a case gives up; its error then tells what it had seen

// One client with a diary: every event in its order, every message, and a way to wait for a condition on them.
class Client {
  constructor(connect, url, options) {
    this.events = [];
    this.received = [];
    this.details = {};
    this.receivedBeforeUpgrade = null;
    this.watchers = new Set();
    this.socket = connect(url, options);
    this.socket.on("handshake", (data) => this.note("handshake", data));
    this.socket.on("open", () => {
      this.sid = this.socket.id; // the client forgets it when it closes
      this.firstTransport = this.socket.transport.name;
      this.note("open");
    });
    this.socket.on("upgrade", (transport) => {
      this.receivedBeforeUpgrade = this.received.length;
      this.note("upgrade", transport.name);
    });
    this.socket.on("upgradeError", (error) => this.note("upgradeError", String(error.message)));
    this.socket.on("ping", () => this.note("ping"));
    this.socket.on("error", (error) => this.note("error", describeError(error)));
    this.socket.on("close", (reason) => this.note("close", reason));
    this.socket.on("message", (data) => {
      this.received.push(data);
      this.wake();
    });
  }

  note(event, detail = null) {
    this.events.push(event);
    this.details[event] = detail;
    this.wake();
  }

  wake() {
    for (const watcher of [...this.watchers]) watcher();
  }

  saw(event) {
    return this.events.includes(event);
  }

  count(event) {
    return this.events.filter((name) => name === event).length;
  }

  // Resolves when `condition()` holds; looks again after every event and message. Rejects when the connection or its upgrade
  // fails first.
  until(what, condition, patience = PATIENCE) {
    return new Promise((resolve, reject) => {
      const end = (settle, value) => {
        clearTimeout(timer);
        this.watchers.delete(watcher);
        settle(value);
      };
      const fail = (why) => end(reject, new Error(`${why}: ${what}; so far ${JSON.stringify(this.facts())}`));
      const watcher = () => {
        if (condition()) end(resolve);
        else if (this.saw("close") || this.saw("upgradeError")) fail("the connection failed before");
      };
      const timer = setTimeout(() => fail(`not within ${patience} ms`), patience);
      this.watchers.add(watcher);
      watcher();
    });
  }

  opened() {
    return this.until("open", () => this.saw("open"));
  }

  closed() {
    return this.until("close", () => this.saw("close"));
  }

  messages(count) {
    return this.until(`${count} messages`, () => this.received.length >= count);
  }

  // Where the client is meant to end up: on its websocket if it may upgrade, else where it opened.
  async settled() {
    await this.opened();
    const { transports, upgrade } = this.socket.opts;
    if (upgrade && (transports ?? []).length !== 1 && this.firstTransport === "polling") {
      await this.until("upgrade", () => this.saw("upgrade"));
    }
  }

  async close() {
    this.socket.close();
    await this.closed();
  }

  facts() {
    return {
      sid: this.sid ?? null,
      firstTransport: this.firstTransport ?? null,
      transport: this.socket.transport.name,
      events: this.events.filter((name) => name !== "ping"),
      pings: this.count("ping"),
      details: this.details,
      messages: this.received.length,
      receivedBeforeUpgrade: this.receivedBeforeUpgrade,
    };
  }
}

// A transport's error wraps the XMLHttpRequest that failed, if there was one.
function describeError(error) {
  const status = typeof error.description === "number" ? error.description : null;
  return { message: String(error.message), status, body: error.context?.responseText ?? null };
}

// {text}, {json} or {bytes, as} of a test's arguments -> what the client is given to send.
function build(message) {
  if ("text" in message) return message.text;
  if ("json" in message) return JSON.stringify(message.json);
  const bytes = Uint8Array.from(message.bytes);
  if (message.as === "Blob") return new Blob([bytes]);
  if (message.as === "Buffer") return Buffer.from(bytes);
  if (message.as === "ArrayBuffer") return bytes.buffer;
  return bytes;
}

// What the client received -> {text} or {bytes}. An empty text reaches the listener as undefined: the client's parser leaves
// out data that is empty.
function describe(data) {
  if (data === undefined) return { text: "" };
  if (typeof data === "string") return { text: data };
  return { bytes: Array.from(asBytes(data)) };
}

function asBytes(data) {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// `size` bytes in which every position tells where it is, so that a lost or doubled piece shows.
function largeText(size) {
  let text = "";
  while (text.length < size) text += `${text.length}.`;
  return text.slice(0, size);
}

function largeBytes(size) {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >> 8)) & 255;
  return bytes;
}

function sameBytes(one, other) {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

// Numbered messages, a few at a time, until the client is on its websocket; then the rest at once. The last tenth waits for it.
async function stream(client, count) {
  let number = 0;
  const sendUpTo = (end) => {
    while (number < Math.min(end, count)) client.socket.send(`client ${number++}`);
  };
  while (!client.saw("upgrade") && !client.saw("close")) {
    sendUpTo(Math.min(number + 5, count - Math.floor(count / 10)));
    await pause(2);
  }
  sendUpTo(count);
}

async function streamBothWays(connect, { url, options, count }) {
  const client = new Client(connect, url, options);
  await client.opened();
  await Promise.all([stream(client, count), client.messages(count)]);
  const facts = { ...client.facts(), received: client.received };
  return { client, facts };
}

const cases = {
  // Send each message, wait for as many answers, close.
  async echo(connect, { url, options, messages }) {
    const client = new Client(connect, url, options);
    await client.settled();
    for (const message of messages) client.socket.send(build(message));
    await client.messages(messages.length);
    const facts = { ...client.facts(), received: client.received.map(describe) };
    await client.close();
    return facts;
  },

  // One message at a time, the next when the answer to the last is there. `turns`: how many ms each took, the fastest first.
  async pingPong(connect, { url, options, count }) {
    const client = new Client(connect, url, options);
    const turns = [];
    await client.settled();
    for (let number = 0; number < count; number++) {
      const sentAt = performance.now();
      client.socket.send(`turn ${number}`);
      await client.messages(number + 1);
      turns.push(performance.now() - sentAt);
    }
    turns.sort((one, other) => one - other);
    const facts = { ...client.facts(), received: client.received.map(describe), turns };
    await client.close();
    return facts;
  },

  // `count` messages each way at the same time, the upgrade in the middle.
  async stream(connect, args) {
    const { client, facts } = await streamBothWays(connect, args);
    await client.close();
    return facts;
  },

  // The same by many clients at once.
  async streams(connect, args) {
    const done = await Promise.all(Array.from({ length: args.clients }, () => streamBothWays(connect, args)));
    await Promise.all(done.map(({ client }) => client.close()));
    return done.map(({ facts }) => facts);
  },

  // Ask the server to end the session.
  async closedByServer(connect, { url, options }) {
    const client = new Client(connect, url, options);
    await client.settled();
    client.socket.send(JSON.stringify({ do: "disconnect" }));
    await client.closed();
    return { ...client.facts(), received: client.received.map(describe) };
  },

  // Say some things and close in the same breath: the client sends what it has before it goes.
  async closedByClient(connect, { url, options, messages }) {
    const client = new Client(connect, url, options);
    await client.settled();
    for (const message of messages) client.socket.send(build(message));
    await client.close();
    return client.facts();
  },

  // Stay until `pings` heartbeats have come, then show that the session still works.
  async heartbeat(connect, { url, options, pings }) {
    const client = new Client(connect, url, options);
    await client.settled();
    await client.until(`${pings} pings`, () => client.count("ping") >= pings);
    client.socket.send("still here");
    await client.messages(1);
    const facts = { ...client.facts(), received: client.received.map(describe) };
    await client.close();
    return facts;
  },

  // Go silent: nothing leaves this client any more, not even the answer to a ping.
  async mute(connect, { url, options }) {
    const client = new Client(connect, url, options);
    await client.settled();
    const mutedAt = Date.now();
    client.socket.transport.send = () => {};
    await client.closed();
    return { ...client.facts(), closedAfter: Date.now() - mutedAt };
  },

  // Open, say so to the server, and wait for whatever ends it.
  async waitForTheEnd(connect, { url, options }) {
    const client = new Client(connect, url, options);
    await client.settled();
    client.socket.send("ready");
    await client.closed();
    return client.facts();
  },

  // A connection that must not come about.
  async refused(connect, { url, options }) {
    const client = new Client(connect, url, options);
    await client.closed();
    return client.facts();
  },

  // One large message there and back.
  async large(connect, { url, options, size, binary }) {
    const client = new Client(connect, url, options);
    await client.settled();
    const message = binary ? largeBytes(size) : largeText(size);
    client.socket.send(message);
    await client.until("the answer or the end", () => client.received.length > 0 || client.saw("close"));
    const answer = client.received[0];
    const same = answer !== undefined && (binary ? sameBytes(asBytes(answer), message) : answer === message);
    const facts = { ...client.facts(), same };
    if (!client.saw("close")) await client.close();
    return facts;
  },
};

// The one entrance: never rejects, so that both runners can hand over a failure as plain data.
export async function run(name, connect, args) {
  try {
    return { facts: await cases[name](connect, args) };
  } catch (error) {
    return { failure: String(error?.stack ?? error) };
  }
}
