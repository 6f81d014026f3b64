// Clients in two namespaces, by polling and by WebSocket, that print when they connect and why they are disconnected.
// Arguments: package, URL, cookie. Once standard input is closed, they have a little time to come back.
"use strict";

const [, , library, url, Cookie] = process.argv;
const client = require(library);
const io = client.io || client; // before 3.0 the package was the function itself
const DELAY = 50;

for (const way of ["polling", "websocket"]) {
  const options = {
    transports: [way], reconnectionDelay: DELAY, reconnectionDelayMax: DELAY, randomizationFactor: 0,
    extraHeaders: { Cookie }, transportOptions: { polling: { extraHeaders: { Cookie } } },
  };
  const manager = new client.Manager(url, options);
  for (const name of ["/", "/admin"]) {
    const socket = manager.socket(name);
    socket.on("connect", () => console.log(JSON.stringify([name, "connect"])));
    socket.on("disconnect", (reason) => console.log(JSON.stringify([name, "disconnect", reason])));
    socket.open(); // some do it by themselves
  }
}

process.stdin.on("end", () => setTimeout(() => process.exit(0), 5 * DELAY)).resume();
setTimeout(() => process.exit(1), 20000).unref();
