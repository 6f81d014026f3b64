"use strict";
// The conformance application on Socket.IO's own server: what tests/apps/conformance.py does, in its words.
// SETTINGS is a JSON object of Socket.IO options; PORT says where to listen.

const http = require("http");
const { Server } = require("socket.io");

const settings = JSON.parse(process.env.SETTINGS || "{}");
const web = http.createServer((request, response) => response.end("index"));
const io = new Server(web, { serveClient: false, allowEIO3: false, ...settings });

io.on("connection", (socket) => {
  const counted = [];
  socket.emit("auth", socket.handshake.auth);
  socket.on("message", (...args) => socket.emit("message-back", ...args));
  socket.on("message-with-ack", (...args) => args.pop()(...args));
  socket.on("announce", (text) => socket.broadcast.emit("message", text));
  socket.on("leave", () => socket.disconnect());
  socket.on("ask", (...args) => socket.emit("question", ...args, (...answer) => socket.emit("answered", ...answer)));
  socket.on("count", (number) => counted.push(number));
  socket.on("counted", (ack) => ack(counted));
  socket.on("stream", (count) => stream(socket, 0, count));
});

io.of("/custom").on("connection", (socket) => {
  socket.emit("auth", socket.handshake.auth);
  socket.on("leave", () => socket.disconnect());
});

io.of("/refusing").use((socket, next) => {
  const error = new Error("nope");
  error.data = socket.handshake.auth.reason;
  next(error);
});

function stream(socket, number, count) {
  for (const end = Math.min(number + 50, count); number < end; number += 1) {
    socket.emit("number", number);
  }
  if (number < count) {
    setTimeout(stream, 1, socket, number, count);
  }
}

process.on("SIGTERM", () => {
  io.close(() => process.exit(0));
  setTimeout(() => process.exit(0), 1000).unref();
});
web.listen(Number(process.env.PORT), "127.0.0.1");
