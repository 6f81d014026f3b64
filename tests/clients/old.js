"use strict";
// Goes through what an official client 1.x or 2.x can do, and prints what happened as JSON.
// Usage: node old.js PACKAGE TRANSPORTS URL

const [name, transports, url] = process.argv.slice(2);
const io = require(name);
const open = (path) => io(url + path, { transports: transports.split(","), reconnection: false, forceNew: true });
const once = (socket, event) => new Promise((resolve) => socket.once(event, (...args) => resolve(args)));
const bytes = (value) => Array.from(new Uint8Array(value));

async function main() {
  const seen = {};
  const socket = open("/");
  const auth = once(socket, "auth");
  await once(socket, "connect");
  const engine = socket.io.engine;
  seen.sameId = socket.id === engine.id;
  seen.auth = await auth;
  if (transports.includes(",") && engine.transport.name === "polling") await once(engine, "upgrade");
  seen.transport = engine.transport.name;
  let back = once(socket, "message-back");
  socket.emit("message", "hello", { a: [1] });
  seen.text = await back;
  back = once(socket, "message-back");
  socket.emit("message", Buffer.from([1, 2, 255]), { b: Buffer.from([4]) });
  const [first, second] = await back;
  seen.binary = [bytes(first), bytes(second.b)];
  seen.ack = await new Promise((resolve) => socket.emit("message-with-ack", 1, "2", (...args) => resolve(args)));
  socket.once("question", (text, answer) => answer(text + "!"));
  const answered = once(socket, "answered");
  socket.emit("ask", "who");
  seen.answered = await answered;

  const custom = open("/custom?token=abc");
  seen.custom = await once(custom, "auth");
  const gone = once(custom, "disconnect");
  custom.emit("leave");
  seen.kicked = await gone;
  seen.unknown = await once(open("/nowhere"), "error");
  seen.refused = await once(open("/refusing"), "error");

  const other = open("/");
  await once(other, "connect");
  const heard = once(other, "message");
  socket.emit("announce", "to all");
  seen.broadcast = await heard;
  console.log(JSON.stringify(seen));
  process.exit(0);
}

setTimeout(() => { console.error("no answer in time"); process.exit(2); }, 15000);
main().catch((error) => { console.error(error); process.exit(1); });
