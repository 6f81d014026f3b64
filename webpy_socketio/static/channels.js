/* Channels of webpy-socketio: socket.subscribe(channel, callback) and socket.unsubscribe(channel, callback).
   Load it after our client or after the official one (socket.io-client 3 or 4). Licence: BSD-3-Clause. */
(function (global) {
  "use strict";

  const Socket = global.io && global.io.Socket;
  if (!Socket) throw new Error("channels.js extends io.Socket: load the Socket.IO client before it");
  if (Socket.prototype.subscribe) return; // loaded twice

  // What a socket wants to be subscribed to: socket → { wishes, resubscribe }, where wishes maps a channel to
  // { channel, waiting: callbacks not told yet, last: the callback told last, askedOn: a connection's id, granted }.
  const memories = new WeakMap();

  function remember(socket) {
    let memory = memories.get(socket);
    if (!memory) {
      const wishes = new Map();
      memory = { wishes, resubscribe: () => wishes.forEach((wish) => ask(socket, wishes, wish)) };
      memories.set(socket, memory);
    }
    const { resubscribe } = memory;
    if ("beforeFlush" in socket) socket.beforeFlush = resubscribe; // our client: before all that waits to be sent
    else if (!socket.listeners("connect").includes(resubscribe)) socket.on("connect", resubscribe); // off() may have removed it
    return memory.wishes;
  }

  // Sends a wish, once per connection: each connection has its own id.
  function ask(socket, wishes, wish) {
    if (!socket.connected || wish.askedOn === socket.id) return;
    wish.askedOn = socket.id;
    wish.granted = false;
    socket.emit("__subscribe__", wish.channel, (reply) => {
      if (wishes.get(wish.channel) !== wish) return; // unsubscribed meanwhile
      wish.granted = reply === true;
      // Nobody asked again, but whoever was granted it must know that the new connection is refused.
      if (!wish.granted && !wish.waiting.length && wish.last) wish.waiting.push(wish.last);
      if (!wish.granted) wishes.delete(wish.channel); // not tried again
      tell(wish, wish.granted, reply && reply.error);
    });
  }

  function tell(wish, granted, error) {
    for (const callback of wish.waiting.splice(0)) {
      wish.last = callback;
      callback(granted, error);
    }
  }

  function check(channel) {
    if (typeof channel !== "string" || !channel) throw new TypeError("a channel is named by a string that is not empty");
  }

  // Holds across reconnects. The callback hears once how it went; and again if a later connection is refused.
  Socket.prototype.subscribe = function (channel, callback) {
    check(channel);
    const wishes = remember(this);
    let wish = wishes.get(channel);
    if (!wish) wishes.set(channel, wish = { channel, waiting: [], last: null, askedOn: null, granted: false });
    if (callback) wish.waiting.push(callback);
    ask(this, wishes, wish);
    if (wish.granted && this.connected) Promise.resolve().then(() => tell(wish, true)); // nothing to ask
    return this;
  };

  Socket.prototype.unsubscribe = function (channel, callback) {
    check(channel);
    const wishes = remember(this);
    const wish = wishes.get(channel);
    wishes.delete(channel);
    if (wish) tell(wish, false, { code: "unsubscribed", message: "unsubscribed before the server answered" });
    if (this.connected) {
      this.emit("__unsubscribe__", channel, (reply) => callback && callback(reply === true, (reply && reply.error) || undefined));
    } else if (callback) {
      Promise.resolve().then(() => callback(true)); // without a connection there is no subscription
    }
    return this;
  };
})(globalThis);
