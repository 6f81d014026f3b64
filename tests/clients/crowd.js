// Many clients at once, each of which asks a number of times, and disconnects.
// Arguments: URL, transports, clients, questions. Prints {ok, failures, upgraded, processes, moved} as JSON.
"use strict";

const { io } = require("socket.io-client-4");
const [url, transports, clients, questions] = process.argv.slice(2);

const report = { ok: 0, failures: [], upgraded: 0, processes: [], moved: 0 };
const processes = new Set();
let left = Number(clients);

function leave(socket) {
  if (socket.io.engine.transport.name === "websocket") report.upgraded += 1;
  socket.disconnect();
  left -= 1;
  if (left === 0) {
    report.processes = [...processes];
    console.log(JSON.stringify(report));
    process.exit(0);
  }
}

for (let index = 0; index < Number(clients); index += 1) {
  const socket = io(url, { forceNew: true, transports: transports.split(","), timeout: 60000 });
  let home = null;
  let asked = 0;
  const ask = () => socket.emit("message", asked, (pid) => {
    processes.add(pid);
    if (home !== null && home !== pid) report.moved += 1;
    home = pid;
    asked += 1;
    if (asked < Number(questions)) return setTimeout(ask, 20);
    report.ok += 1;
    return leave(socket);
  });
  socket.on("connect", ask);
  socket.on("connect_error", (error) => report.failures.push(error.message));
  socket.on("disconnect", (reason) => { if (reason !== "io client disconnect") report.failures.push(reason); });
}

setTimeout(() => { console.log(JSON.stringify({ ...report, left })); process.exit(1); }, 90000).unref();
