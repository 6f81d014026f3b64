"use strict";
// Opens connections and says nothing on them. Prints why each has ended, as JSON; null, if it holds after the time.
// Usage: node idle.js URL SECONDS PACKAGE:TRANSPORT...

const [url, seconds, ...clients] = process.argv.slice(2);

function idle(client) {
  const [name, transport] = client.split(":");
  const socket = require(name)(url, { transports: [transport], reconnection: false, forceNew: true });
  return new Promise((resolve) => {
    socket.on("connect", () => setTimeout(resolve, seconds * 1000, null));
    socket.on("disconnect", resolve);
    for (const failure of ["connect_error", "error"]) {
      socket.on(failure, (error) => socket.connected || resolve(`${failure}: ${error.message || error}`));
    }
  });
}

Promise.all(clients.map(idle)).then((ends) => {
  const report = Object.fromEntries(clients.map((client, index) => [client, ends[index]]));
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
});
