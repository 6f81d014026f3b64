/* webpy-socketio's channels, for our client or the official socket.io-client 3 or 4. BSD-3-Clause. */
(function (global) {
"use strict";

const { io, location } = global;
if (!io) throw new Error("channels.js: load the Socket.IO client first");
// Client 3 does not export its class.
const { prototype } = io.Socket || new io.Manager(location.origin, { autoConnect: false }).socket("/").constructor;
if (prototype.subscribe) return; // loaded twice

const memories = new WeakMap(); // socket → its wishes, by channel, and how to renew them

function wishesOf(socket) {
  if (!memories.has(socket)) {
    const wishes = new Map();
    memories.set(socket, { wishes, renew: () => wishes.forEach((wish) => ask(socket, wishes, wish)) });
  }
  const { wishes, renew } = memories.get(socket);
  if ("beforeFlush" in socket) socket.beforeFlush = renew; // our client
  else if (!socket.listeners("connect").includes(renew)) socket.on("connect", renew); // the page may have removed it
  return wishes;
}

// Once per connection; each has its own id.
function ask(socket, wishes, wish) {
  if (!socket.connected || wish.askedOn === socket.id) return;
  wish.askedOn = socket.id;
  wish.granted = false;
  socket.emit("__subscribe__", wish.channel, (...answer) => {
    const reply = answer.pop(); // with the option ackTimeout an error or null comes first
    if (wishes.get(wish.channel) !== wish || reply instanceof Error) return; // unsubscribed meanwhile, or not answered
    wish.granted = reply === true;
    if (!wish.granted) {
      wishes.delete(wish.channel); // not tried again
      if (!wish.waiting.length && wish.told) wish.waiting.push(wish.told); // it was granted before
    }
    tell(wish, wish.granted, errorOf(reply));
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

// Survives reconnects. The callback is called once, and again if a later connection is refused.
prototype.subscribe = function (channel, callback) {
  check(channel);
  const wishes = wishesOf(this);
  const wish = wishes.get(channel) || { channel, waiting: [] };
  wishes.set(channel, wish);
  if (callback) wish.waiting.push(callback);
  ask(this, wishes, wish);
  if (wish.granted && this.connected) Promise.resolve().then(() => tell(wish, true));
  return this;
};

prototype.unsubscribe = function (channel, callback = () => {}) {
  check(channel);
  const wishes = wishesOf(this);
  const wish = wishes.get(channel);
  wishes.delete(channel);
  if (wish) tell(wish, false, { code: "unsubscribed", message: "unsubscribed before the answer" });
  if (!this.connected) Promise.resolve().then(() => callback(true)); // nothing to take back
  else this.emit("__unsubscribe__", channel, (...answer) => {
    const reply = answer.pop();
    callback(reply === true, errorOf(reply));
  });
  return this;
};
})(globalThis);
