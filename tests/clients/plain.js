// A plain WebSocket by the library that most servers on Node use. Argument: the URL, to which a channel is added.
// Prints as JSON what came back: a text, bytes, a message of its channel, and the code of the end.
"use strict";

const { WebSocket } = require("ws");
const [url] = process.argv.slice(2);

const heard = [];
const other = new WebSocket(`${url}node/1`);
const socket = new WebSocket(`${url}node/1`);

other.on("message", () => other.send('!["channel", {"a": [1]}]'));
socket.on("open", () => socket.send("hello"));
socket.on("message", (data, isBinary) => {
  heard.push(isBinary ? data.toString("hex") : data.toString());
  if (heard.length === 1) socket.send(Buffer.from([0, 1, 255]));
  if (heard.length === 2) {
    if (other.readyState === WebSocket.OPEN) other.send("hello");
    else other.on("open", () => other.send("hello"));
  }
  if (heard.length === 3) socket.send('!["leave"]');
});
socket.on("close", (code) => {
  console.log(JSON.stringify([...heard, code]));
  other.close();
});
