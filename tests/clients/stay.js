// Clients that stay: they come back whenever they lose their server, and print what happens to them, a line of JSON each.
// Arguments: package, URL. There is one client by polling, one by WebSocket, one that moves from one to the other.
"use strict";

const [, , library, url] = process.argv;
const client = require(library);
const io = client.io || client; // before 3.0 the package was the function itself
const delay = require("node:timers/promises").setTimeout;
const WAYS = ["polling", "websocket", "polling,websocket"];
const say = (way, what, value) => console.log(JSON.stringify({ way, what, value }));

async function settled(way, socket) {
  const engine = socket.io.engine;
  const wanted = way.split(",").pop();
  if (engine.transport.name !== wanted) {
    // It may fail, even before the connection is there, if the server was replaced just now.
    await Promise.race([new Promise((resolve) => engine.once("upgrade", resolve)), delay(1000)]);
  }
  return engine.transport.name;
}

for (const way of WAYS) {
  const options = { transports: way.split(","), forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 300 };
  const socket = io(url, options);
  socket.on("connect", async () => {
    const transport = await settled(way, socket);
    socket.emit("message", { a: [1, "ü"] }, (answer) => say(way, "connect", { transport, answer }));
  });
  socket.on("disconnect", (reason) => say(way, "disconnect", reason));
  socket.on("message", (message) => say(way, "message", message));
}

setTimeout(() => process.exit(2), 60000).unref();
