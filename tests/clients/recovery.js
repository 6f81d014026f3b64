"use strict";
// Clients that come back after their connections were cut, and tell what they received.
// Usage: node recovery.js PACKAGE TRANSPORTS PROXY_URL SERVER_URL CLIENTS MESSAGES
// Lets one that is never cut start the messages; whenever the first of the others has received some more, prints "cut".

const [name, transports, url, direct, clients, messages] = process.argv.slice(2);
const { io } = require(name);

const DEADLINE = 150000;
const patience = { reconnectionDelay: 5, reconnectionDelayMax: 20, forceNew: true };

const FEWEST = 3;
const MOST = 30;

function randomly() {
  return FEWEST + Math.floor(Math.random() * (MOST - FEWEST));
}

function follow(index) {
  const auth = { name: `client ${index}`, channels: ["all"] };
  const socket = io(url, { transports: transports.split(","), auth, ...patience });
  const report = { numbers: [], binary: [], recovered: 0, anew: 0, lost: 0, sids: 0 };
  let first = true;
  let until = randomly();
  let sid = null;
  socket.on("connect", () => {
    if (!first) report[socket.recovered ? "recovered" : "anew"] += 1;
    first = false;
    until = randomly();
    if (socket.id !== sid) report.sids += 1;
    sid = socket.id;
  });
  socket.on("disconnect", () => { report.lost += 1; });
  socket.on("number", (number, data) => {
    report.numbers.push(number);
    until -= 1;
    if (index === 0 && until === 0) {
      console.log("cut");
      until = MOST; // a poll that was not on its way is not cut
    }
    if (data) report.binary.push(data[0]);
  });
  report.ready = new Promise((resolve) => socket.once("connect", resolve));
  report.done = new Promise((resolve) => socket.once("end", resolve));
  return report;
}

async function main() {
  const reports = Array.from({ length: Number(clients) }, (_, index) => follow(index));
  const starter = io(direct, { transports: ["websocket"] });
  await Promise.all([...reports.map((report) => report.ready), new Promise((resolve) => starter.once("connect", resolve))]);
  starter.emit("start", Number(messages));
  await Promise.all(reports.map((report) => report.done));
  process.stdout.write(JSON.stringify(reports) + "\n", () => process.exit(0));
}

setTimeout(() => { console.error("not done in time"); process.exit(2); }, DEADLINE);
main().catch((error) => { console.error(error); process.exit(1); });
