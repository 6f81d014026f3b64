"use strict";
// A client on WebSocket that tells how its connection ends. Arguments: package, URL.

const [, , library, url] = process.argv;
const client = require(library);
const io = client.io || client; // before 3.0 the package was the function itself
const socket = io(url, { transports: ["websocket"], reconnection: false });

socket.on("connect", () => console.log("connected"));
socket.on("disconnect", (reason, details) => {
  const { code, reason: sentence } = (details && details.context) || {}; // since 4.5
  console.log(JSON.stringify({ reason, code, sentence }));
});

setTimeout(() => process.exit(1), 20000).unref();
