// Socket.IO's own server, with the behaviours that the tests of the browser client ask for.
// browser_server.py is its twin on webpy_socketio. Settings are environment variables, durations in seconds.
"use strict";

const fs = require("fs");
const http = require("http");
const path = require("path");
const { Server } = require("socket.io");

const ROOT = path.resolve(__dirname, "..", "..");
const STATIC = path.join(ROOT, "webpy_socketio", "static");
const PACKAGES = path.join(ROOT, "tests", "clients", "node_modules");
const { PORT, PING_INTERVAL = 25, PING_TIMEOUT = 20, MAX_PAYLOAD = 1000000, TRANSPORTS = "polling,websocket" } = process.env;
const { RECOVERY = "false", RECOVERY_WINDOW = 120 } = process.env;

const files = {
  "/": [path.join(ROOT, "tests", "browser", "pages", "blank.html")],
  "/socket.io/socket.io.js": [path.join(STATIC, "socket.io.js"), path.join(STATIC, "channels.js")],
  "/socket.io/channels.js": [path.join(STATIC, "channels.js")],
  "/official-3.js": [path.join(PACKAGES, "socket.io-client-3", "dist", "socket.io.min.js")],
  "/official-4.js": [path.join(PACKAGES, "socket.io-client-4", "dist", "socket.io.min.js")],
};

const log = []; // what happened here, for tests to read at /log

const server = http.createServer((request, response) => {
  response.writeHead(404).end();
});
const io = new Server(server, {
  serveClient: false,
  pingInterval: PING_INTERVAL * 1000,
  pingTimeout: PING_TIMEOUT * 1000,
  maxHttpBufferSize: Number(MAX_PAYLOAD),
  transports: TRANSPORTS.split(","),
  cors: { origin: true, credentials: true },
  ...(RECOVERY === "true" && {
    connectionStateRecovery: { maxDisconnectionDuration: RECOVERY_WINDOW * 1000, skipMiddlewares: true },
  }),
});

const behind = server.listeners("request");
server.removeAllListeners("request");
server.on("request", (request, response) => {
  const { pathname } = new URL(request.url, "http://here");
  if (pathname === "/log") {
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(log));
  } else if (files[pathname]) {
    response.setHeader("Content-Type", pathname.endsWith(".js") ? "text/javascript" : "text/html");
    response.end(files[pathname].map((file) => fs.readFileSync(file, "utf8")).join("\n"));
  } else {
    behind.forEach((listener) => listener.call(server, request, response));
  }
});

function greet(socket) {
  const numbers = [];
  const seen = [];
  let arrived = 0; // counted on the wire, since Node forgets events that come together with a disconnect
  socket.conn.on("packet", ({ data }) => {
    if (String(data).includes('["number"')) arrived += 1;
  });
  log.push({ connect: socket.nsp.name, auth: socket.handshake.auth });
  socket.on("disconnect", (reason) => log.push({ disconnect: socket.nsp.name, reason, numbers: arrived }));
  socket.onAny((event) => seen.push(event));

  socket.on("message", (value) => socket.send(value));
  socket.on("echo", (...values) => socket.emit("echo", ...values));
  socket.on("ack", (value, ack) => ack(value));
  socket.on("silent", () => {});
  socket.on("ask", (value) => socket.emit("question", value, (answer) => socket.emit("answer", answer)));
  socket.on("seen", (ack) => ack(seen));
  socket.on("number", (number) => numbers.push(number));
  socket.on("numbers", (ack) => ack(numbers));
  socket.on("handshake", (ack) => ack({ auth: socket.handshake.auth, query: socket.handshake.query, header: socket.handshake.headers["x-test"] }));
  socket.on("kick", () => socket.disconnect());
  socket.on("drop", () => socket.conn.close());
  socket.on("flood", (count) => {
    let next = 0;
    const pour = () => {
      for (let i = 0; i < 100 && next < count; i++) socket.emit("number", next++);
      if (next < count) setTimeout(pour, 2);
    };
    pour();
  });
  socket.on("__subscribe__", (channel, ack) => {
    if (channel.startsWith("secret")) return ack({ error: { code: "refused", message: `no access to ${channel}` } });
    socket.join(channel);
    log.push({ subscribe: channel });
    ack(true);
  });
  socket.on("__unsubscribe__", (channel, ack) => {
    socket.leave(channel);
    log.push({ unsubscribe: channel });
    ack(true);
  });
  socket.on("publish", (channel, value) => io.of(socket.nsp.name).to(channel).emit("message", [channel, value]));
}

io.on("connection", greet);
io.of("/other").on("connection", greet);
io.of("/guarded").use((socket, next) => {
  if (socket.handshake.auth.token === "good") return next();
  next(Object.assign(new Error("not authorized"), { data: { code: 42 } }));
}).on("connection", greet);
io.of("/slow").use((socket, next) => setTimeout(next, 100)).on("connection", greet);

server.listen(Number(PORT), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
