// What the official client does in each test: the same code in Node and in the browser.
//
// A case gets the client's `io` and the test's arguments, and returns facts as plain JSON; it judges nothing except whether long
// series are in order. The tests in Python do the asserting. Every wait is for a condition, with a deadline.

const PATIENCE = 30_000; // ms until a case gives up; its error then tells what it had seen

// One socket with a diary: what happened in its order, and every event from the server.
class Client {
  constructor(socket) {
    this.socket = socket;
    this.happened = [];
    this.received = [];
    this.watchers = new Set();
    this.listen();
  }

  // A connection of its own, to one namespace. It does not come back by itself unless the options say so.
  static open(io, { url, options, namespace = "/" }) {
    return new Client(io(url + namespace, { forceNew: true, reconnection: false, timeout: PATIENCE, ...options }));
  }

  // The same connection, in another namespace.
  also(namespace, options = {}) {
    return new Client(this.socket.io.socket(namespace, options));
  }

  listen() {
    this.socket.on("connect", () => this.note("connect", this.socket.id));
    this.socket.on("disconnect", (reason) => this.note("disconnect", reason));
    this.socket.on("connect_error", (error) => this.note("connect_error", { message: error.message, data: error.data ?? null }));
    this.socket.onAny((event, ...args) => {
      this.received.push([event, ...args]);
      this.wake();
    });
  }

  note(what, detail) {
    this.happened.push([what, detail]);
    this.wake();
  }

  wake() {
    for (const watcher of [...this.watchers]) watcher();
  }

  count(what) {
    return this.happened.filter(([name]) => name === what).length;
  }

  details(what) {
    return this.happened.filter(([name]) => name === what).map(([, detail]) => detail);
  }

  events(name) {
    return this.received.filter(([event]) => event === name);
  }

  // Resolves when `condition()` holds; looks again after everything that happens. Rejects when the connection fails before.
  until(what, condition) {
    return new Promise((resolve, reject) => {
      const failures = this.count("disconnect") + this.count("connect_error");
      const end = (settle, value) => {
        clearTimeout(timer);
        this.watchers.delete(watcher);
        settle(value);
      };
      const fail = (why) => end(reject, new Error(`${why}: ${what}; so far ${JSON.stringify(this.happened)}, `
        + `${this.received.length} events, the last ${JSON.stringify(this.received.slice(-3))}`));
      const watcher = () => {
        if (condition()) end(resolve);
        else if (!this.socket.io.reconnection() && this.count("disconnect") + this.count("connect_error") > failures) {
          fail("the connection failed before");
        }
      };
      const timer = setTimeout(() => fail(`not within ${PATIENCE} ms`), PATIENCE);
      this.watchers.add(watcher);
      watcher();
    });
  }

  connected() {
    return this.until("connect", () => this.count("connect") > 0);
  }

  disconnected() {
    return this.until("disconnect", () => this.count("disconnect") > 0);
  }

  heard(event, count = 1) {
    return this.until(`${count} times ${event}`, () => this.events(event).length >= count);
  }

  get transport() {
    return this.socket.io.engine.transport.name;
  }

  // Where the client is meant to end up: connected, and on its websocket if it may go there.
  async settled() {
    await this.connected();
    if (!(this.socket.io.opts.transports ?? ["websocket"]).includes("websocket") || this.transport === "websocket") return;
    const engine = this.socket.io.engine;
    const awaken = () => this.wake();
    engine.on("upgrade", awaken);
    await this.until("upgrade", () => this.transport === "websocket");
    engine.off("upgrade", awaken);
  }

  // What the server acknowledges with: all of it, as a list.
  ask(event, ...args) {
    return new Promise((resolve, reject) => {
      this.socket.timeout(PATIENCE).emit(event, ...args, (error, ...answer) => {
        if (error) reject(new Error(`no ack of ${event}; so far ${JSON.stringify(this.happened)}`));
        else resolve(answer);
      });
    });
  }
}

// {bytes} of a test's arguments -> what the client is given to send, and the other way round. Each environment has its own ways
// to hold bytes: what is sent is a view of a buffer, or all of it.
function build(value) {
  if (Array.isArray(value)) return value.map(build);
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value.bytes)) {
    const bytes = Uint8Array.from(value.bytes);
    return value.as === "ArrayBuffer" ? bytes.buffer : bytes;
  }
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, build(inner)]));
}

function plain(value) {
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  if (value instanceof ArrayBuffer) return { bytes: [...new Uint8Array(value)] };
  if (ArrayBuffer.isView(value)) return { bytes: [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)] };
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const numbers = (count) => Array.from({ length: count }, (_, number) => number);
const inOrder = (events) => events.every(([, number], place) => number === place);

const cases = {
  // Connect, settle on a transport, tell what both sides know of the connection.
  async connect(io, args) {
    const client = Client.open(io, args);
    await client.settled();
    const [who] = await client.ask("who");
    return { happened: [...client.happened], transport: client.transport, id: client.socket.id, who };
  },

  // A connection that must not come about.
  async refused(io, args) {
    const client = Client.open(io, args);
    await client.until("connect_error", () => client.count("connect_error") > 0);
    return { happened: [...client.happened], connected: client.socket.connected };
  },

  // Events there and back, and the server's acks of them.
  async echo(io, { messages, ...args }) {
    const client = Client.open(io, args);
    await client.settled();
    const acks = [];
    for (const message of messages) {
      acks.push(plain(await client.ask("echo", ...build(message))));
      client.socket.emit("say", ...build(message));
    }
    await client.heard("said", messages.length);
    return { acks, said: client.events("said").map(([, ...said]) => plain(said)), transport: client.transport };
  },

  // The server asks and the client answers: by `call`, and by `emit` with a callback.
  async answer(io, { question, answer, ...args }) {
    const client = Client.open(io, args);
    client.socket.on("question", (...asked) => asked.pop()(...build(answer)));
    await client.settled();
    const [called] = await client.ask("ask_me", ...build(question));
    client.socket.emit("ask_later", ...build(question));
    await client.heard("answered");
    const asked = client.events("question").map(([, ...asked]) => plain(asked.filter((value) => typeof value !== "function")));
    return { called: plain(called), answered: plain(client.events("answered")[0].slice(1)), asked };
  },

  // Two namespaces on one connection.
  async namespaces(io, args) {
    const main = Client.open(io, args);
    const other = main.also("/other", { auth: args.options.auth });
    const unknown = main.also("/unknown");
    await Promise.all([main.settled(), other.connected()]);
    await unknown.until("connect_error", () => unknown.count("connect_error") > 0);
    const acks = { main: await main.ask("echo", "hello"), other: await other.ask("echo", "hello") };
    // A room of the same name in each.
    await Promise.all([main.ask("join", "room"), other.ask("join", "room")]);
    await main.ask("tell", { room: "room", data: "from main", to_self: true });
    await other.ask("tell", { room: "room", data: "from other", to_self: true });
    const told = { main: main.events("told"), other: other.events("told") };
    const ids = { main: main.socket.id, other: other.socket.id };
    other.socket.disconnect();
    await other.disconnected();
    const mainAfter = await main.ask("echo", "still here");
    return { acks, told, ids, mainAfter, reasons: other.details("disconnect"), unknown: unknown.socket.connected };
  },

  // Some clients, of which all but the last join a room. Tells who got what of each `tell`.
  async rooms(io, { members, data, ...args }) {
    const all = members.map((options) => Client.open(io, { ...args, options: { ...args.options, ...options } }));
    await Promise.all(all.map((client) => client.settled()));
    const [first, second] = all;
    const outsider = all.at(-1);
    await Promise.all(all.slice(0, -1).map((client) => client.ask("join", "room")));
    const tell = async (label, from, toSelf) => {
      for (const client of all) client.received = [];
      await from.ask("tell", { room: "room", data: build(data), to_self: toSelf });
      await from.ask("mark", label); // everybody gets it, and nothing of what was told before can come after it
      await Promise.all(all.map((client) => client.heard("marked")));
      return all.map((client) => client.events("told").map(([, told]) => plain(told)));
    };
    const facts = {
      transports: all.map((client) => client.transport),
      toAll: await tell("to all", first, true),
      notToSelf: await tell("not to the sender", first, false),
      fromOutside: await tell("from outside", outsider, true),
    };
    facts.rooms = (await first.ask("who"))[0].rooms.filter((room) => room !== first.socket.id);
    await second.ask("leave", "room");
    facts.afterLeaving = await tell("after one has left", first, true);
    second.socket.disconnect();
    await second.disconnected();
    return facts;
  },

  // `count` numbered events from the server, begun as soon as the client is connected, or once it has settled.
  async pourDown(io, { count, early, ...args }) {
    const client = Client.open(io, args);
    await (early ? client.connected() : client.settled());
    client.socket.emit("pour", count);
    await client.heard("drop", count);
    await client.settled();
    await client.ask("echo"); // what would be too many has come before this
    const drops = client.events("drop");
    return { count: drops.length, inOrder: inOrder(drops), transport: client.transport };
  },

  // `count` numbered events to the server in one go.
  async pourUp(io, { count, ...args }) {
    const client = Client.open(io, args);
    await client.settled();
    for (const number of numbers(count)) client.socket.emit("drop", number);
    const [summary] = await client.ask("poured");
    return { ...summary, transport: client.transport };
  },

  // Numbered events before, while and after each of some clients moves to its websocket.
  async pourUpDuringUpgrade(io, { clients, more, ...args }) {
    const pour = async () => {
      const client = Client.open(io, args);
      const first = client.transport;
      await client.connected();
      let number = 0;
      const send = (count) => numbers(count).forEach(() => client.socket.emit("drop", number++));
      do {
        send(5);
        await pause(1);
      } while (client.transport !== "websocket" && client.socket.connected);
      send(more);
      const [summary] = await client.ask("poured");
      return { ...summary, all: summary.count === number, transports: [first, client.transport] };
    };
    return Promise.all(numbers(clients).map(pour));
  },

  // Many questions at once, each of which has its own answer.
  async burst(io, { count, ...args }) {
    const client = Client.open(io, args);
    await client.settled();
    const answers = await Promise.all(numbers(count).map((number) => client.ask("echo", number)));
    return { right: answers.filter(([answer], number) => answer === number).length };
  },

  // What a background task, and what a route of the same program, has emitted.
  async listen(io, args) {
    const client = Client.open(io, args);
    await client.settled();
    await client.ask("in_background", "by a task");
    await client.heard("done");
    client.socket.emit("note", "listening");
    await client.heard("announced");
    return { done: client.events("done"), announced: client.events("announced") };
  },

  // Keep something for this client, in the server's session of it.
  async session(io, args) {
    const [one, two] = [Client.open(io, args), Client.open(io, args)];
    await Promise.all([one.settled(), two.settled()]);
    await one.ask("remember", "color", "blue");
    await two.ask("remember", "color", "red");
    await one.ask("remember", "number", 1);
    const recall = async (client) => [(await client.ask("recall", "color"))[0], (await client.ask("recall", "number"))[0]];
    return { one: await recall(one), two: await recall(two) };
  },

  // Flask's session: made by a route, which sets a cookie, and changed by an event.
  async flaskSession(io, args) {
    const answer = await fetch(`${args.url}/login?user=ann`);
    const cookie = answer.headers.get("set-cookie")?.split(";")[0]; // a browser keeps it for itself, and sends it
    const headers = cookie ? { cookie } : {};
    const options = { ...args.options, extraHeaders: headers };
    const client = Client.open(io, { ...args, options });
    await client.settled();
    const facts = { user: await client.ask("recall", "user") };
    await client.ask("remember", "color", "blue");
    facts.color = await client.ask("recall", "color");
    facts.byRoute = await (await fetch(`${args.url}/session`, { headers })).json();
    const later = Client.open(io, { ...args, options });
    await later.settled();
    facts.later = { user: await later.ask("recall", "user"), color: await later.ask("recall", "color") };
    return facts;
  },

  // What Flask's request is in a handler.
  async flaskRequest(io, args) {
    const main = Client.open(io, args);
    const other = main.also("/other");
    await Promise.all([main.settled(), other.connected()]);
    const [seen] = await main.ask("request", "argument");
    const [seenByOther] = await other.ask("request", "argument");
    return { seen, seenByOther, id: main.socket.id, otherId: other.socket.id };
  },

  // The client goes.
  async leave(io, args) {
    const client = Client.open(io, args);
    await client.settled();
    client.socket.disconnect();
    await client.disconnected();
    return { reasons: client.details("disconnect") };
  },

  // The client asks to be disconnected.
  async putOut(io, args) {
    const client = Client.open(io, args);
    await client.settled();
    client.socket.emit("put_out");
    await client.disconnected();
    return { reasons: client.details("disconnect"), active: client.socket.active };
  },

  // Connect and wait for whatever ends it.
  async stay(io, args) {
    const client = Client.open(io, args);
    await client.disconnected();
    return { reasons: client.details("disconnect") };
  },

  // Lose the server and find it again.
  async comeBack(io, args) {
    const again = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 250 };
    const client = Client.open(io, { ...args, options: { ...args.options, ...again } });
    await client.settled();
    client.socket.emit("note", "ready");
    await client.disconnected();
    client.socket.emit("note", "kept by the client until it is back");
    await client.until("the second connect", () => client.count("connect") > 1);
    await client.settled();
    const [who] = await client.ask("who");
    return { ids: client.details("connect"), reasons: client.details("disconnect"), who, transport: client.transport };
  },

  // One of two that talk. Each says something `turns` times, and nothing before the other has answered; the second begins.
  async talk(io, { name, second, turns, ...args }) {
    const client = Client.open(io, args);
    await client.settled();
    await client.ask("join", "talk");
    client.socket.emit("note", "there");
    for (const turn of numbers(turns)) {
      if (!second) await client.heard("told", turn + 1);
      await client.ask("tell", { room: "talk", data: `${name} ${turn}`, to_self: false });
      if (second) await client.heard("told", turn + 1);
    }
    return { heard: client.events("told").map(([, told]) => told) };
  },
};

// The one entrance: never rejects, so that both runners can hand over a failure as plain data. Leaves no connection open.
export async function run(name, io, args) {
  const sockets = [];
  const remembering = (...given) => {
    sockets.push(io(...given));
    return sockets.at(-1);
  };
  try {
    return { facts: await cases[name](remembering, args) };
  } catch (error) {
    return { failure: String(error?.stack ?? error) };
  } finally {
    await Promise.all(sockets.map(sayGoodbye));
  }
}

// Close a socket's connection, whatever other namespaces use it for. On polling that takes a last request, which must be through
// before the process or the tab ends: to the server, a client without goodbye is there until its heartbeat fails.
async function sayGoodbye(socket) {
  const { engine } = socket.io;
  const closed = new Promise((resolve) => (engine.readyState === "closed" ? resolve() : engine.once("close", resolve)));
  socket.io.reconnection(false);
  socket.disconnect();
  engine.close();
  await closed;
  if (engine.transport.name === "polling" && !engine.transport.writable) {
    await Promise.race([new Promise((resolve) => engine.transport.once("drain", resolve)), pause(5_000)]);
  }
}
