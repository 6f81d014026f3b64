"use strict";
// What clients of every generation do, in Node and in pages: one goes through all that a client can, and the members of
// a room talk across the generations, also after the server was away. In Node, commands arrive as lines of JSON.

const generations = (() => {
  const PATIENCE = 30000;
  const QUICK = { reconnectionDelay: 50, reconnectionDelayMax: 100 };
  const WAYS = { polling: ["polling"], jsonp: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };
  const inNode = typeof window === "undefined";
  const members = {};

  // Buffers with memory of their own: old clients would send all that a small one shares with others.
  const binary = (...values) => {
    const { buffer } = Uint8Array.from(values);
    return inNode ? Buffer.from(buffer) : buffer;
  };
  const bytes = (value) => Array.from(new Uint8Array(value));

  function within(promise, what) {
    return Promise.race([promise, new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error(`timed out: ${what}`)), PATIENCE);
    })]);
  }

  const once = (socket, event) => within(new Promise((resolve) => socket.once(event, (...args) => resolve(args))), event);
  const call = (socket, event, ...args) => within(
    new Promise((resolve) => socket.emit(event, ...args, (...answer) => resolve(answer))), event);

  async function until(condition, what) {
    const end = Date.now() + PATIENCE;
    while (!await condition()) {
      if (Date.now() > end) throw new Error(`timed out: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  function open(io, url, way, more) {
    const forceJSONP = way === "jsonp";
    return io(url, { transports: WAYS[way], forceJSONP, forceNew: true, reconnection: false, ...more });
  }

  const transport = (socket) => socket.io.engine.transport;

  async function settled(socket, way) {
    if (!socket.connected) await once(socket, "connect");
    if (way === "upgrade") await until(() => transport(socket).name === "websocket", "upgrade");
  }

  function kind(socket) {
    return transport(socket).form ? "jsonp" : transport(socket).name;
  }

  async function echo(socket, event, ...args) {
    const back = once(socket, "back");
    socket.emit(event, ...args);
    return back;
  }

  async function journey(io, url, way, text) {
    const seen = {};
    const socket = open(io, url, way);
    seen.brought = await once(socket, "brought");
    await settled(socket, way);
    const { engine } = socket.io;
    seen.sameId = socket.id === undefined || socket.id === engine.id;
    const back = once(socket, "back");
    socket.send("hello");
    seen.message = await back;
    seen.event = await echo(socket, "echo", 1, "2", { three: [true, null, []] });
    seen.nothing = await echo(socket, "echo");
    seen.textUp = (await echo(socket, "echo", text))[0];
    seen.textDown = (await call(socket, "text"))[0];
    seen.long = (await echo(socket, "echo", "x".repeat(100000)))[0].length;
    const [first, second] = await echo(socket, "echo", binary(1, 2, 255), { deep: [binary(0)] });
    seen.binary = [bytes(first), bytes(second.deep[0])];
    seen.transport = kind(socket);
    seen.ack = await call(socket, "answer", 1, "2");
    seen.emptyAck = await call(socket, "answer");
    seen.binaryAck = (await call(socket, "answer", binary(7, 8))).map(bytes);
    socket.on("question", (...args) => args.pop()(...args));
    let answered = once(socket, "answered");
    socket.emit("ask", "how", { are: "you" });
    seen.question = await answered;
    answered = once(socket, "answered");
    socket.emit("ask", binary(9));
    seen.binaryQuestion = (await answered).map(bytes);
    seen.order = await order(socket);
    seen.broadcast = await broadcast(io, url, way, socket);
    seen.custom = await custom(io, url, way);
    seen.refused = await refusal(io, url + "/refusing", way);
    seen.unknown = await refusal(io, url + "/nowhere", way);
    if (!closes(socket, way)) return seen;
    seen.leaving = await leaving(io, url, way, socket);
    const gone = once(socket, "disconnect");
    socket.emit("leave");
    seen.kicked = (await gone)[0];
    close(socket, way);
    return seen;
  }

  async function order(socket) {
    const received = [];
    const note = (number) => received.push(number);
    socket.on("back", note);
    for (let number = 0; number < 50; number += 1) socket.emit("echo", number);
    await until(() => received.length === 50, "50 echoes");
    socket.removeListener("back", note);
    return received.every((number, index) => number === index);
  }

  // The clients 1.0 run out of stack when they close JSONP after they sent something: the iframe is no more in the form.
  function closes(socket, way) {
    return way !== "jsonp" || socket.id !== undefined;
  }

  function close(socket, way) {
    if (closes(socket, way)) socket.disconnect();
  }

  async function custom(io, url, way) {
    const options = { query: "token=abc", auth: { token: "abc" } };
    const socket = open(io, url + "/custom?token=abc", way, options);
    const [auth, query] = await once(socket, "brought");
    await settled(socket, way);
    if (!closes(socket, way)) return { auth, query };
    const gone = once(socket, "disconnect");
    socket.emit("leave");
    const [reason] = await gone;
    close(socket, way);
    return { auth, query, reason };
  }

  async function refusal(io, url, way) {
    const socket = open(io, url, way);
    const [error] = await Promise.race([once(socket, "error"), once(socket, "connect_error")]);
    close(socket, way);
    if (socket.io.engine.id && closes(socket, way)) socket.io.engine.close();
    return error.message || error;
  }

  async function broadcast(io, url, way, socket) {
    const other = open(io, url, way);
    await settled(other, way);
    const heard = [];
    other.on("message", ({ key, value }) => { if (key === other.io.engine.id) heard.push(value); });
    for (const value of ["to all", binary(3, 4)]) socket.emit("announce", { key: other.io.engine.id, value });
    await until(() => heard.length === 2, "broadcasts");
    close(other, way);
    return [heard[0], bytes(heard[1])];
  }

  async function leaving(io, url, way, witness) {
    const socket = open(io, url, way);
    await settled(socket, way);
    const name = `${Math.random()}`;
    socket.emit("name", name);
    await echo(socket, "echo", "named");
    const gone = once(socket, "disconnect");
    socket.disconnect();
    const [reason] = await gone;
    let told;
    await until(async () => typeof (told = (await call(witness, "reason", name))[0]) === "string", "the server knows");
    return [reason, told];
  }

  // Members of the room.

  async function join(io, name, url, way) {
    const socket = open(io, url, way, { reconnection: true, ...QUICK });
    const member = members[name] = { socket, way, heard: {}, joined: 0, reasons: [] };
    socket.on("connect", () => {
      socket.emit("name", name);
      socket.emit("__subscribe__", "room", () => { member.joined += 1; });
    });
    socket.on("disconnect", (reason) => member.reasons.push(reason));
    socket.on("message", ({ from, value, text }) => {
      const heard = member.heard[from] = member.heard[from] || [];
      heard.push(typeof value === "string" ? value : bytes(value), text);
    });
    await joined(1, name);
  }

  // All are in the room, for this time.
  async function joined(times, ...names) {
    for (const name of names.length ? names : Object.keys(members)) {
      const { socket, way } = members[name];
      await until(() => members[name].joined === times, `${name} joins for time ${times}`);
      await settled(socket, way);
      members[name].heard = {};
    }
  }

  async function tell() {
    await Promise.all(Object.values(members).map(async ({ socket }) => {
      await call(socket, "tell", "text");
      await call(socket, "tell", binary(1, 2, 255));
    }));
  }

  // What each has heard, once it has heard all the others.
  async function heard(others) {
    const complete = ({ heard }) => Object.values(heard).filter((values) => values.length === 4).length === others;
    await until(() => Object.values(members).every(complete), "all have heard all").catch(() => {});
    return Object.fromEntries(Object.entries(members).map(([name, member]) => [name, member.heard]));
  }

  async function gone(times) {
    const report = {};
    for (const [name, { reasons }] of Object.entries(members)) {
      await until(() => reasons.length === times, `${name} notices`);
      report[name] = reasons[times - 1];
    }
    return report;
  }

  return { journey, join, joined, tell, heard, gone };
})();

if (typeof window === "undefined") {
  const lines = require("readline").createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const [name, ...args] = JSON.parse(line);
    const withClient = name === "join" || name === "journey";
    try {
      if (withClient) args[0] = require(args[0]);
      const result = await generations[name](...args);
      console.log(JSON.stringify({ result: result === undefined ? null : result }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error.stack || error) }));
    }
  });
  lines.on("close", () => process.exit(0));
}
