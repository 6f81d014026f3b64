"use strict";
// A client of the package ws that only listens: prints "open", and then each message. Usage: node listen.js URL

const { WebSocket } = require("ws");

const socket = new WebSocket(process.argv[2]);
socket.on("open", () => console.log("open"));
socket.on("message", (data) => console.log(data.toString()));
socket.on("error", (error) => { console.error(error); process.exit(1); });
