// One process of a cluster, on Socket.IO's own server with its adapter for Redis; the twin of cluster.py.
"use strict";

const http = require("http");
const pubsub = require("@socket.io/redis-adapter");
const streams = require("@socket.io/redis-streams-adapter");
const { Emitter } = require("@socket.io/redis-emitter");
const { createClient } = require("redis");
const { Server } = require("socket.io");

const { PORT, REDIS_URL, SPECIFIC = "", ADAPTER = "pubsub", RECOVERY = "" } = process.env;
const heard = [];

const withBytes = (key, value) =>
  value && typeof value.hex === "string" ? Buffer.from(value.hex, "hex") : value;

function target({ channels = [], excluding = [], namespace = "/", local = false }) {
  let to = io.of(namespace);
  if (local) to = to.local;
  for (const channel of channels) to = to.to(channel);
  return [].concat(excluding).reduce((before, name) => before.except(name), to);
}

const operations = {
  emit: ({ data, volatile, ...whom }) => (volatile ? target(whom).volatile : target(whom)).emit(...data),
  call: ({ data, timeout = 3, ...whom }) => target(whom).timeout(timeout * 1000).emitWithAck(...data),
  sockets: async (whom) => (await target(whom).fetchSockets()).map(({ id, rooms, data, handshake }) =>
    ({ session_id: id, channels: [...rooms].filter((name) => name !== id), context: data, handshake })),
  subscribe: ({ names, ...whom }) => target(whom).socketsJoin(names),
  unsubscribe: ({ names, ...whom }) => target(whom).socketsLeave(names),
  disconnect: ({ close = false, ...whom }) => target(whom).disconnectSockets(close),
  channels: async ({ namespace = "/" }) => [...await io.of(namespace).adapter.allRooms()],
  server_emit: ({ data }) => io.serverSideEmit(...data),
  server_call: ({ data }) => io.serverSideEmitWithAck(...data),
  heard: () => heard,
  state: () => ({ ready: true }),
  emitter: ({ sid }) => {
    const emitter = new Emitter(pub);
    emitter.emit("all", Buffer.from([1]));
    emitter.to("room").emit("room");
    emitter.in("room").except(sid).socketsJoin("joined");
    emitter.to("joined").emit("joined");
    emitter.in(sid).disconnectSockets(true);
    emitter.serverSideEmit("ping", "emitter");
    emitter.emit("end");
  },
  date: () => io.emit("date", new Date(1700000000123), undefined, new Uint8Array([1, 2]), 2.5),
};

const server = http.createServer(async (request, response) => {
  if (request.url !== "/do") return;
  let text = "";
  for await (const chunk of request) text += chunk;
  const order = JSON.parse(text, withBytes);
  try {
    const answer = await operations[order.do](order);
    response.end(JSON.stringify(typeof answer === "object" ? answer : null));
  } catch (error) {
    response.end(JSON.stringify({ error: error.message, answers: error.responses || [] }));
  }
});
const connectionStateRecovery = { maxDisconnectionDuration: Number(RECOVERY) * 1000, skipMiddlewares: true };
const io = new Server(server, RECOVERY ? { connectionStateRecovery } : {});

for (const namespace of ["/", "/chat"]) {
  io.of(namespace).on("connection", (socket) => {
    if (socket.recovered) return;
    socket.data.name = socket.handshake.auth.name;
    socket.join(socket.handshake.auth.channels);
    socket.on("others", (...data) => socket.broadcast.emit(...data));
  });
}
io.on("ping", (...args) => {
  const ack = typeof args[args.length - 1] === "function" ? args.pop() : null;
  heard.push(["ping", ...args]);
  if (ack) ack(["pong", ...args]);
});

const pub = createClient({ url: REDIS_URL });
const sub = pub.duplicate();
for (const client of [pub, sub]) client.on("error", () => {});
Promise.all([pub.connect(), sub.connect()]).then(() => {
  const options = { publishOnSpecificResponseChannel: SPECIFIC === "true", requestsTimeout: 3000 };
  io.adapter(ADAPTER === "streams" ? streams.createAdapter(pub) : pubsub.createAdapter(pub, sub, options));
  setTimeout(() => server.listen(Number(PORT), "127.0.0.1"), 100);
});
process.on("SIGTERM", () => process.exit(0));
