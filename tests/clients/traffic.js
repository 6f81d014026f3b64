"use strict";
// Counts up to the server while the server counts to us, and moves from polling to WebSocket meanwhile.
// Usage: node traffic.js PACKAGE URL MESSAGES; prints a report as JSON.

const [name, url, messages] = process.argv.slice(2);
const { io } = require(name);

const MESSAGES = Number(messages);
const BURST = 50;

const socket = io(url, { transports: ["polling", "websocket"], reconnection: false, forceNew: true });
const report = { received: [], counted: [], upgrades: 0, sentBefore: 0 };
let sent = 0;

socket.io.on("open", () => {
  socket.io.engine.once("upgrade", () => {
    report.upgrades += 1;
    report.sentBefore = sent;
  });
});
socket.on("connect", () => {
  socket.emit("stream", MESSAGES);
  sendBurst();
});
socket.on("number", (number) => {
  report.received.push(number);
  finishIfComplete();
});
socket.on("connect_error", fail);
socket.on("disconnect", fail);

function sendBurst() {
  for (const end = Math.min(sent + BURST, MESSAGES); sent < end; sent += 1) {
    socket.emit("count", sent);
  }
  if (sent < MESSAGES) {
    setTimeout(sendBurst, 1);
  } else {
    finishIfComplete();
  }
}

function finishIfComplete() {
  if (sent === MESSAGES && report.received.length === MESSAGES) {
    socket.emit("counted", (counted) => {
      report.counted = counted;
      process.stdout.write(JSON.stringify(report), () => process.exit(0));
    });
  }
}

function fail(reason) {
  console.error("connection failed:", reason);
  process.exit(1);
}
