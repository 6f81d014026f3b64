// Many clients in one channel: when all are there, some of them speak, and each counts what it hears.
// Arguments: URL, transports, clients, speakers. Prints {heard, wrong, failures, upgraded} as JSON: how many clients heard
// everything once, and what went wrong.
"use strict";

const { io } = require("socket.io-client-4");
const [url, transports, clients, speakers] = process.argv.slice(2);

const report = { heard: 0, wrong: [], failures: [], upgraded: 0 };
const everybody = [];
let present = 0;

function end() {
  for (const { socket, words } of everybody) {
    if (words.size === Number(speakers)) report.heard += 1;
    if (socket.io.engine.transport.name === "websocket") report.upgraded += 1;
  }
  console.log(JSON.stringify(report));
  process.exit(0);
}

function listen(index) {
  const socket = io(url, { forceNew: true, transports: transports.split(","), timeout: 60000 });
  const words = new Set();
  everybody.push({ socket, words });
  socket.on("word", (word) => {
    if (words.has(word)) report.wrong.push([index, word]);
    words.add(word);
    if (everybody.every((each) => each.words.size === Number(speakers))) end();
  });
  socket.on("connect", () => socket.emit("__subscribe__", "hall", (answer) => {
    if (answer !== true) report.wrong.push([index, answer]);
    present += 1;
    if (present < Number(clients)) return;
    for (let speaker = 0; speaker < Number(speakers); speaker += 1) everybody[speaker].socket.emit("say", `word ${speaker}`);
  }));
  socket.on("connect_error", (error) => report.failures.push(error.message));
  socket.on("disconnect", (reason) => report.failures.push(reason));
}

for (let index = 0; index < Number(clients); index += 1) listen(index);
setTimeout(end, 60000).unref();
