"use strict";
// The engine alone on Node's own engine.io: what tests/apps/engine.py does, in its words.
// SETTINGS is a JSON object of engine.io options; PORT says where to listen.

const http = require("http");
const engine = require("engine.io");

const web = http.createServer((request, response) => response.end("index"));
const server = engine.attach(web, JSON.parse(process.env.SETTINGS || "{}"));

server.on("connection", (socket) => {
  socket.on("data", (message) => socket.send(message));
});

process.on("SIGTERM", () => {
  server.close();
  web.close(() => process.exit(0));
  setTimeout(() => process.exit(0), 1000).unref();
});
web.listen(Number(process.env.PORT), "127.0.0.1");
