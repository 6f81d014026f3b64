"use strict";
// A client that comes back when it loses its connection. Usage: node traveller.js PACKAGE TRANSPORTS URL
// Prints a line of JSON for each connection, ["connect", id, recovered], and for each message, ["told", ...].

const [name, transports, url] = process.argv.slice(2);
const { io } = require(name);

const say = (...line) => console.log(JSON.stringify(line));
const auth = { name: "Ada", channels: ["all"] };
const socket = io(url, { transports: transports.split(","), auth, reconnectionDelay: 5, reconnectionDelayMax: 20 });
socket.on("connect", () => say("connect", socket.id, socket.recovered));
socket.on("disconnect", () => say("disconnect"));
socket.on("told", (message) => say("told", message)); // the offset behind it is no business of ours
