"use strict";
// A client on WebSocket that tells how its connection ends. Argument: the URL.

const { io } = require("socket.io-client-4");
const socket = io(process.argv[2], { transports: ["websocket"], reconnection: false });

socket.on("connect", () => console.log("connected"));
socket.on("disconnect", (reason, details) => {
  console.log(JSON.stringify([reason, details.context.code, details.context.reason]));
});

setTimeout(() => process.exit(1), 20000).unref();
