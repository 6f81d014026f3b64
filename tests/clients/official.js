"use strict";
// Goes through what an official client can do, and prints what happened as JSON.
// Usage: node official.js PACKAGE TRANSPORTS URL, with transports like "polling,websocket".

const [name, transports, url] = process.argv.slice(2);
const { io } = require(name);

const DEADLINE = 20000;
const BYTES = Buffer.from([0, 1, 2, 254, 255]);
const TEXT = "€ 😀 \u2028 \\ \" \u0000";

function open(namespace, auth) {
  const options = { transports: transports.split(","), auth, reconnection: false, forceNew: true };
  return io(url + namespace, options);
}

function once(socket, event) {
  return new Promise((resolve) => socket.once(event, (...args) => resolve(args)));
}

function call(socket, event, ...args) {
  return new Promise((resolve) => socket.emit(event, ...args, (...answer) => resolve(answer)));
}

async function echo(socket, ...args) {
  const back = once(socket, "message-back");
  socket.emit("message", ...args);
  return back;
}

async function settled(socket) {
  const engine = socket.io.engine;
  if (transports.includes(",") && engine.transport.name === "polling") {
    await new Promise((resolve) => engine.once("upgrade", resolve));
  }
  return engine.transport.name;
}

async function refusal(namespace, auth) {
  const socket = open(namespace, auth);
  const [error] = await once(socket, "connect_error");
  socket.close();
  return { message: error.message, data: error.data === undefined ? null : error.data };
}

async function question(socket, ...args) {
  socket.once("question", (...received) => received.pop()(...received));
  const answered = once(socket, "answered");
  socket.emit("ask", ...args);
  return answered;
}

async function custom() {
  const socket = open("/custom", { token: "abc" });
  const [auth] = await once(socket, "auth");
  const gone = once(socket, "disconnect");
  socket.emit("leave");
  return { auth, reason: (await gone)[0] };
}

async function kicked() {
  const socket = open("/");
  await once(socket, "connect");
  const gone = once(socket, "disconnect");
  socket.emit("leave");
  const [reason] = await gone;
  const again = open("/");
  const back = await echo(again, "again");
  again.close();
  return { reason, back };
}

async function shared() {
  const main = open("/");
  await once(main, "connect");
  const other = main.io.socket("/custom");
  await once(other, "auth");
  const differ = main.id !== other.id;
  other.close();
  const back = await echo(main, "main goes on");
  main.close();
  return { differ, back };
}

async function order(socket) {
  const received = [];
  socket.on("message-back", (number) => received.push(number));
  for (let number = 0; number < 200; number += 1) {
    socket.emit("message", number);
  }
  await call(socket, "counted");
  socket.off("message-back");
  return received;
}

function hex(values) {
  return values.map((value) => Buffer.from(value).toString("hex"));
}

async function main() {
  const report = {};
  const socket = open("/", { token: "123" });
  const connected = once(socket, "connect");
  report.auth = await once(socket, "auth");
  await connected;
  report.connected = [socket.connected, socket.id.length];
  report.early = await echo(socket, "before the upgrade");
  report.transport = await settled(socket);
  report.text = await echo(socket, 1, "2", { 3: [true, null] }, TEXT);
  report.binary = hex(await echo(socket, BYTES, Buffer.alloc(0)));
  report.nested = hex([(await echo(socket, { deep: [BYTES] }))[0].deep[0]]);
  report.long = (await echo(socket, "x".repeat(300000)))[0].length;
  report.nothing = await echo(socket);
  report.ack = await call(socket, "message-with-ack", 1, "2", { 3: [false] });
  report.emptyAck = await call(socket, "message-with-ack");
  report.binaryAck = hex(await call(socket, "message-with-ack", BYTES, BYTES));
  report.question = await question(socket, "how", { are: "you" });
  report.binaryQuestion = hex(await question(socket, BYTES));
  report.order = await order(socket);
  report.custom = await custom();
  report.kicked = await kicked();
  report.shared = await shared();
  report.unknown = await refusal("/random");
  report.refused = await refusal("/refusing", { reason: { code: 7 } });
  const gone = once(socket, "disconnect");
  socket.disconnect();
  report.disconnect = [(await gone)[0], socket.connected];
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

setTimeout(fail, DEADLINE, "no answer in time");
main().catch(fail);
