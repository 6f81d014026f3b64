// An official client subscribes by the event alone. Arguments: package, URL, and pairs of channel and token as JSON.
"use strict";

const [, , library, url, pairs] = process.argv;
const connect = require(library);
const socket = (connect.io || connect)(url, { reconnection: false });
const subscribe = (channel, token) =>
  new Promise((resolve) => socket.emit("__subscribe__", channel, ...(token ? [{ token }] : []), resolve));

async function main() {
  await new Promise((resolve) => socket.on("connect", resolve));
  const answers = [];
  for (const pair of JSON.parse(pairs)) {
    const answer = await subscribe(...pair);
    answers.push(answer === true || answer.error.code);
  }
  console.log(JSON.stringify(answers));
  socket.close();
}

setTimeout(() => { console.error("no answer in time"); process.exit(2); }, 10000).unref();
main().catch((error) => { console.error(error); process.exit(1); });
