// What every page of the tests has at hand. Nothing waits for ever.
"use strict";

const PATIENCE = 10000;

function within(promise, what, patience = PATIENCE) {
  return Promise.race([promise, new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`timed out: ${what}`)), patience);
  })]);
}

// The arguments of the emitter's next such event.
function next(emitter, event, patience) {
  return within(new Promise((resolve) => emitter.once(event, (...args) => resolve(args))), event, patience);
}

async function until(condition, patience = PATIENCE) {
  const end = performance.now() + patience;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`timed out: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function connected(socket) {
  if (!socket.connected) await next(socket, "connect");
  return socket;
}

async function upgraded(socket) {
  await connected(socket);
  await until(() => socket.io.engine.transport.name === "websocket");
  return socket;
}

function call(socket, event, ...args) {
  return within(new Promise((resolve) => socket.emit(event, ...args, resolve)), event);
}

function bytes(value) {
  return Array.from(new Uint8Array(value));
}
