"use strict";
// The reference: Socket.IO's own server with its default options, doing what plugin_server.py does.

const { createServer } = require("http");
const { Server } = require("socket.io");

const httpServer = createServer((request, response) => response.end("benchmark"));
const options = { serveClient: false };
if (process.env.PING_INTERVAL) {
  options.pingInterval = Number(process.env.PING_INTERVAL);
}
const io = new Server(httpServer, options);

io.on("connection", (socket) => {
  socket.join("all");
  socket.on("message", (message) => socket.emit("message", message));
  socket.on("cast", (message) => io.to("all").emit("message", message));
  socket.on("join", (channel, answer) => {
    socket.join(channel);
    answer("ok");
  });
  socket.on("tell", (channel, message) => io.to(channel).emit("message", message));
});

const listen = () => httpServer.listen(Number(process.env.PORT), "127.0.0.1");

if (process.env.REDIS_URL) {
  const { createAdapter } = require("@socket.io/redis-adapter");
  const { createClient } = require("redis");
  const pub = createClient({ url: process.env.REDIS_URL });
  const sub = pub.duplicate();
  Promise.all([pub.connect(), sub.connect()]).then(() => {
    io.adapter(createAdapter(pub, sub));
    listen();
  });
} else {
  listen();
}
