/* webpy-socketio's channels, for our client or the official socket.io-client 3 or 4. BSD-3-Clause. */
(function (global) {
"use strict";

const { io, location } = global;
if (!io) throw new Error("channels.js: load the Socket.IO client first");
// Client 3 does not export its class.
const { prototype } = io.Socket || new io.Manager(location.origin, { autoConnect: false }).socket("/").constructor;
if (prototype.subscribe) return; // loaded twice

// The page may set io.token = async (channel, namespace) => token, for when a token is missing or good no more.

const memories = new WeakMap(); // socket → its wishes and farewells, by channel, and how to renew them

function memoryOf(socket) {
  if (!memories.has(socket)) {
    const wishes = new Map(), left = new Set();
    const renew = () => {
      if (!socket.recovered) left.clear();
      left.forEach((channel) => leave(socket, left, channel));
      wishes.forEach((wish) => ask(socket, wishes, wish));
    };
    memories.set(socket, { wishes, left, renew });
  }
  const memory = memories.get(socket), { renew } = memory;
  if ("beforeFlush" in socket) socket.beforeFlush = renew; // our client
  else if (!socket.listeners("connect").includes(renew)) socket.on("connect", renew); // the page may have removed it
  return memory;
}

// Once per connection; after a recovery the id is the old one, and what was granted holds.
function ask(socket, wishes, wish) {
  if (!socket.connected) return;
  if (wish.granted === socket.id) return Promise.resolve().then(() => tell(wish, true));
  const connection = connectionOf(socket);
  if (wish.askedOn === connection) return;
  wish.askedOn = connection;
  send(socket, wishes, wish, true);
}

function connectionOf(socket) {
  return socket.id + socket.io.engine.id;
}

function send(socket, wishes, wish, mayRenew) {
  const { channel } = wish, token = wish.token || pageToken(socket, channel);
  socket.emit("__subscribe__", channel, ...(token ? [{ token }] : []), (...answer) => {
    const reply = answer.pop(); // with the option ackTimeout an error or null comes first
    if (wishes.get(channel) !== wish || reply instanceof Error) return; // unsubscribed meanwhile, or not answered
    if (mayRenew && /^token_/.test((errorOf(reply) || {}).code)) renewToken(socket, wishes, wish, token, reply);
    else settle(socket, wishes, wish, reply);
  });
}

function settle(socket, wishes, wish, reply) {
  const granted = reply === true;
  wish.granted = granted && socket.id;
  if (!granted) {
    wishes.delete(wish.channel); // not tried again
    if (!wish.waiting.length && wish.told) wish.waiting.push(wish.told); // it was granted before
  }
  tell(wish, granted, errorOf(reply));
}

// A token was refused, or there was none: ask once more with another one, if there is any.
async function renewToken(socket, wishes, wish, token, reply) {
  const { channel, askedOn } = wish;
  let other = wish.token !== token && wish.token; // the page gave it meanwhile
  try {
    other = other || (io.token && await io.token(channel, socket.nsp));
  } catch (error) {
    setTimeout(() => { throw error; }); // reported, as it is the page's
  }
  if (wishes.get(channel) !== wish) return;
  wish.token = other || wish.token;
  if (!socket.connected || connectionOf(socket) !== askedOn) return; // it was, or will be, asked anew
  if (other) send(socket, wishes, wish, false);
  else settle(socket, wishes, wish, reply);
}

// What the page was rendered with, for servers of its own host: others could use it there.
function pageToken({ nsp, io: { uri } }, channel) {
  const isOurs = global.document && new URL(uri || "", location).hostname === location.hostname;
  let found;
  for (const block of isOurs ? global.document.querySelectorAll("script.socketio-tokens") : []) {
    for (const [place, name, token] of JSON.parse(block.textContent)) {
      if (place === nsp && name === channel) found = token;
    }
  }
  return found;
}

// To be said again after a recovery, until it is answered.
function leave(socket, left, channel, callback = () => {}) {
  socket.emit("__unsubscribe__", channel, (...answer) => {
    const reply = answer.pop();
    if (!(reply instanceof Error)) left.delete(channel);
    callback(reply === true, errorOf(reply));
  });
}

function errorOf(reply) {
  return (reply || {}).error;
}

function tell(wish, granted, error) {
  for (const callback of wish.waiting.splice(0)) {
    wish.told = callback;
    callback(granted, error);
  }
}

function check(channel) {
  if (typeof channel !== "string" || !channel) throw new TypeError("a channel's name is a string, not empty");
}

// Survives reconnects. The callback is called once, and again if a later connection is refused. Before it there may be
// an object with a token for the channel; else it is the page's.
prototype.subscribe = function (channel, options, callback) {
  check(channel);
  if (typeof options === "function") [options, callback] = [{}, options];
  const { token } = options || {};
  if (token && typeof token !== "string") throw new TypeError("a token is a string");
  const { wishes, left } = memoryOf(this);
  const wish = wishes.get(channel) || { channel, waiting: [] };
  wishes.set(channel, wish);
  left.delete(channel);
  if (callback) wish.waiting.push(callback);
  wish.token = token || wish.token;
  ask(this, wishes, wish);
  return this;
};

prototype.unsubscribe = function (channel, callback) {
  check(channel);
  const { wishes, left } = memoryOf(this);
  const wish = wishes.get(channel);
  wishes.delete(channel);
  left.add(channel);
  if (wish) tell(wish, false, { code: "unsubscribed", message: "unsubscribed before the answer" });
  if (this.connected) leave(this, left, channel, callback);
  else if (callback) Promise.resolve().then(() => callback(true));
  return this;
};
})(globalThis);
