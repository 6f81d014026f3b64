// An official client meets what the server can do, and prints what happened as JSON. Arguments: package, URL.
"use strict";

const [, , library, url] = process.argv;
const io = require(library).io || require(library);
const open = (path, auth) => io(url + path, { auth, forceNew: true, reconnectionDelay: 10, transports: ["websocket"] });
const old = (path) => require("socket.io-client-2")(url + path, { forceNew: true, transports: ["websocket"] });
const once = (socket, event) => new Promise((resolve) => socket.once(event, resolve));
const call = (socket, ...event) => new Promise((resolve) => socket.emit(...event, resolve));
const get = async (path) => (await fetch(url + path)).text();

// One answers the broadcast, one never does, one has left before.
async function broadcast() {
  const sockets = [];
  for (const name of ["answers", "silent", "left"]) {
    const socket = open("/", { name });
    await once(socket, "auth");
    await call(socket, "__subscribe__", "poll");
    sockets.push(socket);
  }
  const [answers, silent, left] = sockets;
  answers.on("ask", (question, reply) => reply(`${question}: 1`));
  silent.on("ask", () => left.disconnect());
  const result = JSON.parse(await get("/ask/page/poll/0.5"));
  answers.disconnect();
  silent.disconnect();
  return result;
}

async function refusal() {
  const refused = await once(open("/members", { token: "bad" }), "connect_error");
  const member = open("/members", { token: "good" });
  await once(member, "connect");
  return { message: refused.message, data: refused.data, answer: await call(member, "message", "quiet") };
}

// The object of a namespace by class belongs to one connection.
async function reconnection() {
  const socket = open("/chat");
  const said = [await call(socket, "message", "a"), await call(socket, "message", "b")];
  const back = new Promise((resolve) => socket.io.once("reconnect", () => socket.once("connect", resolve)));
  socket.io.engine.close();
  await back;
  said.push(await call(socket, "message", "c"));
  return said;
}

// What is sent to somebody's session id reaches nobody else, not even when they have left.
async function strangers() {
  const victim = old("/chat");
  await once(victim, "connect");
  const stranger = open("/chat");
  await once(stranger, "connect");
  const heard = [];
  stranger.on("message", (text) => heard.push(text));
  const tell = (text) => get(`/tell?${new URLSearchParams({ id: victim.id || gone, namespace: "/chat", text })}`);
  const gone = victim.id;
  const codes = [(await call(stranger, "__subscribe__", gone)).error.code];
  const received = once(victim, "message");
  const reached = [await tell("secret")];
  const got = await received;
  victim.disconnect();
  while (await tell("probe") !== "0");
  codes.push((await call(stranger, "__subscribe__", gone)).error.code);
  reached.push(await tell("nobody"));
  await call(stranger, "message", "in order");
  return { shape: gone.startsWith("/chat#"), codes, reached, got, heard };
}

async function main() {
  const report = { broadcast: await broadcast(), refusal: await refusal(), reconnection: await reconnection() };
  report.strangers = await strangers();
  console.log(JSON.stringify(report));
  process.exit(0);
}

setTimeout(() => { console.error("no answer in time"); process.exit(2); }, 15000).unref();
main().catch((error) => { console.error(error); process.exit(1); });
