"use strict";
// Talks to an echoing engine as a page would: node engine.js LIBRARY URL TRANSPORTS; LIBRARY is a package here that has
// engine.io-client among its dependencies. Prints what came back, bytes as hexadecimal digits.

const [library, url, transports] = process.argv.slice(2);
const { Socket } = require(require.resolve("engine.io-client", { paths: [require.resolve(library)] }));
const received = [];
const socket = new Socket(url, { transports: transports.split(",") });

function begin() {
  socket.send("hello €😀");
  socket.send(Uint8Array.from([1, 2, 255]).buffer);
}

socket.binaryType = "arraybuffer";
socket.on("open", () => (transports.includes(",") ? socket.on("upgrade", begin) : begin()));
socket.on("message", (message) => {
  received.push(typeof message === "string" ? message : Buffer.from(message).toString("hex"));
  if (received.length === 3) {
    console.log(JSON.stringify({ received, transport: socket.transport.name }));
    socket.close();
  }
});
socket.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
setTimeout(() => process.exit(1), 10000).unref();
