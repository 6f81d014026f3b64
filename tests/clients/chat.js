// Two clients of one generation chat in a room of the README's sample. Arguments: package, URL, transports.
"use strict";

const [, , library, url, transports] = process.argv;
const { io } = require(library);
const connect = () => io(url, { transports: transports.split(","), reconnection: false, forceNew: true });
const once = (socket, event) => new Promise((resolve) => socket.once(event, resolve));
const subscribe = (socket) => new Promise((resolve) => socket.emit("__subscribe__", "room-1", resolve));

async function settled(socket) {
  if (transports !== "polling,websocket") return;
  while (socket.io.engine.transport.name !== "websocket") await once(socket.io.engine, "upgrade");
}

async function main() {
  const clients = [];
  for (let number = 0; number < 2; number++) {
    const client = connect();
    clients.push(client);
    client.on("connect_error", (error) => { throw error; });
    await once(client, "connect");
    await settled(client);
    if (await subscribe(client) !== true) throw new Error("the subscription was refused");
  }
  const received = clients.map((client) => once(client, "message"));
  clients[0].send("hello");
  console.log(JSON.stringify({
    received: await Promise.all(received),
    transports: clients.map((client) => client.io.engine.transport.name),
  }));
  clients.forEach((client) => client.disconnect());
}

setTimeout(() => { console.error("no answer in time"); process.exit(2); }, 10000).unref();
main().catch((error) => { console.error(error); process.exit(1); });
