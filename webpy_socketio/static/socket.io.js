/* webpy-socketio's client: Socket.IO 5 over Engine.IO 4. BSD-3-Clause.
   An Engine is one connection, over transports; a Manager renews it; Sockets share it. */
(function (global) {
"use strict";

const CONNECT = 0, DISCONNECT = 1, EVENT = 2, ACK = 3, CONNECT_ERROR = 4;
const BINARY = 3; // added to the type if there are attachments
const SEPARATOR = "\x1e";
const RESERVED = ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

function fail(message) {
  throw new Error(message);
}

// An error in a page's function is reported, but costs no packet.
function run(callback, self, args) {
  try {
    callback.apply(self, args);
  } catch (error) {
    queueMicrotask(() => { throw error; });
  }
}

class Emitter {
  constructor() {
    this.off();
  }

  listeners(event) {
    return this._listeners[event] || [];
  }

  on(event, callback) {
    this._listeners[event] = [...this.listeners(event), callback];
    return this;
  }

  once(event, callback) {
    const once = (...args) => {
      this.off(event, once);
      callback.apply(this, args);
    };
    once.callback = callback;
    return this.on(event, once);
  }

  off(event, callback) {
    if (event === undefined) this._listeners = Object.create(null); // of arrays, never changed in place
    else {
      const others = (other) => callback && ![other, other.callback].includes(callback);
      this._listeners[event] = this.listeners(event).filter(others);
    }
    return this;
  }

  _fire(event, ...args) {
    for (const callback of this.listeners(event)) run(callback, this, args);
  }
}
const { on, off } = Emitter.prototype;
Object.assign(Emitter.prototype, { addEvent: on, removeEvent: off, removeListener: off, removeAllListeners: off });

// Binary values, also those of other frames, are copied: the page may reuse its buffer before the bytes leave.
function copyBinary(value) {
  if (ArrayBuffer.isView(value)) return value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength);
  return /ArrayBuffer|Blob|File\]/.test(Object.prototype.toString.call(value)) && value.slice();
}

async function toText(packet) {
  if (typeof packet === "string") return packet;
  const bytes = new Uint8Array(packet.size ? await packet.arrayBuffer() : packet);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return "b" + btoa(text);
}

function sizeOf(packet) {
  if (typeof packet === "string") return new TextEncoder().encode(packet).length;
  return 1 + 4 * Math.ceil((packet.size || packet.byteLength || 0) / 3);
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

// The packet's text, then its attachments.
function encode(type, namespace, data, id = "") {
  const attachments = [];
  const detach = (key, value) => {
    const copy = typeof value === "object" && copyBinary(value);
    return copy ? { _placeholder: true, num: attachments.push(copy) - 1 } : value;
  };
  const json = data == null ? "" : JSON.stringify(data, type ? detach : null);
  const head = attachments.length ? type + BINARY + (attachments.length + "-") : type;
  return [head + (namespace === "/" ? "" : namespace + ",") + id + json, ...attachments];
}

function decode(text) {
  const match = /^(?:([0-4])|([56])([1-9]\d*)-)(?:(\/[^,]*),?)?(\d*)/.exec(text);
  const [head, plain, binary, count, namespace = "/", id] = match || fail("unknown packet");
  const json = text.slice(head.length);
  return { type: Number(plain || binary - BINARY), count: Number(count || 0), namespace, id, json, attachments: [] };
}

function payloadOf({ type, count, json, attachments }) {
  const attach = (key, value) => {
    if (!value || value._placeholder !== true) return value;
    return attachments[value.num] || fail("missing attachment");
  };
  const payload = json ? JSON.parse(json, count ? attach : null) : type === ACK ? [] : undefined;
  const name = Array.isArray(payload) && payload[0];
  const valid =
    type === EVENT ? /string|number/.test(typeof name) && !RESERVED.includes(name)
    : type === ACK ? Array.isArray(payload)
    : type === DISCONNECT ? !json : payload;
  return valid ? payload : fail("wrong payload");
}

class Polling {
  constructor(engine) {
    this.name = "polling";
    this.engine = engine;
    this.aborter = new AbortController();
    this.reading = this.writing = null; // promises; never rejected
    this.resume();
  }

  get writable() {
    return !this.writing && !this.paused;
  }

  resume() {
    this.paused = false;
    this.reading = this.reading || this._read();
  }

  // Resolves when nothing is in flight that a WebSocket could overtake.
  pause() {
    this.paused = true;
    return Promise.all([this.reading, this.writing]);
  }

  flush() {
    this.writing = this.writing || this._write();
  }

  async _read() {
    try {
      while (!this.paused && this.engine.readyState !== "closed") {
        for (const packet of (await this._request("GET")).split(SEPARATOR)) this.engine._receive(this, packet);
      }
    } catch (error) {
      this.engine._lost(this, "error", error);
    }
    this.reading = null;
  }

  async _write() {
    try {
      await null; // what is emitted at once shares a request
      while (!this.paused && this.engine.writeBuffer.length) await this._request("POST", await this._payload());
    } catch (error) {
      this.engine._lost(this, "error", error);
    }
    this.writing = null;
  }

  // As many packets as the server takes; at least one.
  async _payload() {
    const { writeBuffer, maxPayload } = this.engine;
    let count = 0;
    for (let size = 0; count < writeBuffer.length; count++) {
      size += sizeOf(writeBuffer[count]);
      if (count && size + count > maxPayload) break;
    }
    return (await Promise.all(writeBuffer.splice(0, count).map(toText))).join(SEPARATOR);
  }

  async _request(method, body) {
    const { extraHeaders: headers, withCredentials } = this.engine.options;
    const response = await fetch(this.engine._url("http", this.name), {
      method, headers, body, cache: "no-store", signal: this.aborter.signal,
      credentials: withCredentials ? "include" : "same-origin",
    });
    const text = await response.text();
    if (!response.ok) fail(`HTTP ${response.status} ${text}`);
    return text;
  }

  async close(graceful) {
    if (graceful) {
      if (!this.engine.id) await this.reading; // it may be opening: end it all the same
      this.paused = !this.engine.id;
      this.flush();
      await this.writing; // in one request, Node would take the end before the rest
      this.engine.writeBuffer.push("1");
      this.flush();
      await this.writing;
    }
    this.paused = true;
    this.aborter.abort();
  }
}

class WebSocketTransport {
  constructor(engine) {
    this.name = "websocket";
    this.engine = engine;
    try {
      const socket = this.socket = new WebSocket(engine._url("ws", this.name));
      socket.binaryType = "arraybuffer";
      socket.onopen = () => engine.candidate === this && socket.send("2probe");
      socket.onmessage = ({ data }) => engine._receive(this, data);
      socket.onerror = socket.onclose = (event) => engine._lost(this, event.type, event);
    } catch (error) { // blocked by a policy
      queueMicrotask(() => engine._lost(this, "error", error));
    }
  }

  get writable() {
    return this.socket.bufferedAmount < 65536;
  }

  flush() {
    for (const packet of this.engine.writeBuffer.splice(0)) this.socket.send(packet);
  }

  close() {
    if (this.socket) this.socket.close(); // the browser sends what it holds first
  }
}
const transports = { polling: Polling, websocket: WebSocketTransport };

class Engine extends Emitter {
  constructor(manager, options) {
    super();
    this.manager = manager;
    this.options = options;
    this.readyState = "opening";
    this.id = "";
    this.writeBuffer = [];
    this.candidate = null; // the WebSocket that may take over
    // 2012 knew xhr-polling, jsonp-polling...
    this.names = options.transports.map((name) => name.replace(/.*-/, "")).filter((name) => transports[name]);
    this.untried = [...this.names];
    // The server shall know at once that the page goes. But it may come back from the browser's cache.
    this._leave = () => {
      if (this.transport.name === "polling") navigator.sendBeacon(this._url("http", "polling"), "1");
      this.close("transport close");
      const back = ({ persisted }) => persisted && manager._active().length && manager.open();
      global.addEventListener("pageshow", back, { once: true });
    };
    this._limit(options.timeout || Infinity, "timeout");
    queueMicrotask(() => this._try()); // the page adds its listeners first
  }

  _try() {
    if (this.readyState === "opening") this.transport = new transports[this.untried.shift() || "polling"](this);
  }

  _url(scheme, transport) {
    const { path, query } = this.options;
    const parameters = new URLSearchParams({ ...query, EIO: 4, transport, ...(this.id && { sid: this.id }) });
    return `${this.manager.uri.replace("http", scheme)}${path.replace(/\/?$/, "/")}?${parameters}`;
  }

  // Closes, unless called again in time. Timers beyond 24 days would run at once.
  _limit(milliseconds, reason) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.close(reason), Math.min(milliseconds, 2e9));
  }

  write(...packets) {
    this.writeBuffer.push(...packets);
    this.transport.flush();
  }

  _receive(transport, packet) {
    if (transport === this.candidate) {
      if (packet === "3probe") this._upgrade();
      return;
    }
    try {
      const type = packet[0];
      if (type === "0") this._opened(JSON.parse(packet.slice(1)));
      else if (transport !== this.transport || this.readyState === "closed") return;
      else if (typeof packet !== "string") this.manager._receive(packet);
      else if (type === "4") this.manager._receive(packet.slice(1));
      else if (type === "b") this.manager._receive(fromBase64(packet.slice(1)));
      else if (type === "1") this.close("transport close");
      else if (type === "2") {
        this._limit(this.patience, "ping timeout");
        this.write("3");
        this.manager._fire("ping");
      } else if (type !== "6") fail("unknown packet");
    } catch (error) {
      this.close("parse error", error);
    }
  }

  _opened({ sid, upgrades, pingInterval, pingTimeout, maxPayload }) {
    this.id = sid; // even if closed meanwhile: to end the session
    if (this.readyState !== "opening") return;
    this.readyState = "open";
    this.maxPayload = maxPayload || Infinity;
    this.patience = pingInterval + pingTimeout;
    this._limit(this.patience, "ping timeout");
    global.addEventListener("pagehide", this._leave);
    this.manager._opened();
    const possible = this.options.upgrade && upgrades.includes("websocket") && this.names.includes("websocket");
    if (possible && this.readyState === "open") this.candidate = new WebSocketTransport(this);
  }

  async _upgrade() {
    const { candidate } = this;
    await this.transport.pause();
    const { socket } = candidate;
    if (this.candidate !== candidate || this.readyState !== "open" || socket.readyState !== socket.OPEN) return;
    socket.send("5");
    this.transport = candidate;
    this.candidate = null;
    this._fire("upgrade", candidate);
    candidate.flush();
  }

  // Only the transport in use takes the connection with it.
  _lost(transport, kind, cause) {
    if (this.readyState === "closed") return;
    if (transport === this.candidate) {
      this.candidate = null;
      this.transport.resume();
      this.transport.flush();
    } else if (transport === this.transport) {
      if (this.readyState === "opening" && this.untried.length && transport.name === "websocket") return this._try();
      const what = [cause.message || kind, cause.code, cause.reason].filter(Boolean).join(" ");
      this.close("transport " + kind, Object.assign(new Error(`${transport.name}: ${what}`), { context: cause }));
    }
  }

  close(reason = "forced close", error) {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    clearTimeout(this.timer);
    global.removeEventListener("pagehide", this._leave);
    if (this.candidate) this.candidate.close();
    if (this.transport) this.transport.close(/forced|parse/.test(reason));
    this._fire("close", reason, error);
    this.manager._closed(reason, error);
  }
}

class Manager extends Emitter {
  constructor(url, options) {
    super();
    if (url && typeof url === "object") [url, options] = [undefined, url];
    const { origin, query } = parseUrl(url);
    this.uri = origin;
    this.nsps = new Map();
    this.opts = {
      path: io.path, query, transports: ["polling", "websocket"], upgrade: true, timeout: 20000, autoConnect: true,
      reconnection: true, reconnectionAttempts: Infinity, reconnectionDelay: 1000, reconnectionDelayMax: 5000,
      randomizationFactor: 0.5, ...options,
    };
    this._state = "closed"; // opening, open
    this._attempts = 0;
    this._retry = undefined; // timer of the next attempt
    this._partial = null; // waits for attachments
    if (this.opts.autoConnect) this.open();
  }

  socket(namespace, options) {
    if (!this.nsps.has(namespace)) new Socket(this, namespace, options);
    const socket = this.nsps.get(namespace);
    return this.opts.autoConnect ? socket.connect() : socket;
  }

  open() {
    if (this._state === "closed") {
      this._retry = clearTimeout(this._retry);
      this._state = "opening";
      this.engine = new Engine(this, this.opts);
    }
    return this;
  }

  _active() {
    return [...this.nsps.values()].filter((socket) => socket.active);
  }

  // The connection ends when the last socket leaves.
  _release() {
    if (this._active().length) return;
    this._retry = clearTimeout(this._retry);
    this._attempts = 0;
    if (this.engine) this.engine.close();
  }

  _opened() {
    const attempts = this._attempts;
    this._state = "open";
    this._attempts = 0;
    this._fire("open");
    for (const socket of this._active()) socket._join();
    if (attempts) this._fire("reconnect", attempts);
  }

  _closed(reason, error = new Error(reason)) {
    const failed = this._state === "opening" && reason !== "forced close";
    this._state = "closed";
    this._partial = null;
    const active = this._active();
    const { code } = error.context || {};
    const isUnwanted = code >= 4100 && code < 4200; // the server wants it to stay away
    if (isUnwanted) for (const socket of active) socket.active = false;
    for (const socket of this.nsps.values()) socket._lost(reason, error);
    if (failed) {
      this._fire("error", error);
      for (const socket of active) socket._fire("connect_error", error);
      if (this._attempts) this._fire("reconnect_error", error);
    } else this._fire("close", reason, error);
    // Unless the page's listeners have decided otherwise.
    if (this._state === "closed" && !this._retry && this.opts.reconnection && this._active().length) this._reconnect();
  }

  _reconnect() {
    const { reconnectionAttempts, reconnectionDelay, reconnectionDelayMax, randomizationFactor } = this.opts;
    const attempt = ++this._attempts;
    if (attempt > reconnectionAttempts) {
      this._attempts = 0;
      return this._fire("reconnect_failed");
    }
    const spread = 1 + randomizationFactor * (2 * Math.random() - 1); // not all pages at once
    this._retry = setTimeout(() => {
      this._retry = undefined;
      this._fire("reconnect_attempt", attempt);
      if (this._active().length) this.open();
    }, Math.min(reconnectionDelay * 2 ** (attempt - 1) * spread, reconnectionDelayMax));
  }

  _send([text, ...attachments]) {
    this.engine.write("4" + text, ...attachments);
  }

  _receive(data) {
    if ((typeof data === "string") === !!this._partial) fail("wrong attachment");
    const packet = this._partial || decode(data);
    if (this._partial) packet.attachments.push(data);
    this._partial = packet.attachments.length < packet.count ? packet : null;
    if (this._partial) return;
    const payload = payloadOf(packet);
    const socket = this.nsps.get(packet.namespace);
    if (socket) socket._receive(packet.type, payload, packet.id);
  }
}
Manager.prototype.connect = Manager.prototype.open;

class Socket extends Emitter {
  // The API of 2012: new io.Socket(host, options).
  constructor(manager, namespace, options) {
    super();
    if (!(manager instanceof Manager)) {
      options = namespace || {};
      namespace = "/";
      const path = options.resource ? "/" + options.resource : io.path;
      manager = new Manager(hostUrl(manager, options), { path, ...options, autoConnect: false });
    }
    manager.nsps.set(namespace, this);
    this.io = manager;
    this.nsp = namespace;
    this.auth = options && options.auth;
    this.connected = false;
    this.active = false; // connected or trying
    this.recovered = false;
    this.beforeFlush = null; // for channels.js
    this._flags = {};
    this._waiting = [];
    this._early = []; // events that came before the answer to CONNECT
    this._welcome = undefined; // that answer
    this._pid = this._offset = undefined; // the server's names for our session and for its last event
    this._acks = new Map();
    this._nextId = 0;
    this._anyListeners = [];
    this._request = null; // CONNECT, not answered yet
  }

  get disconnected() {
    return !this.connected;
  }

  get volatile() {
    this._flags.volatile = true;
    return this;
  }

  timeout(milliseconds) {
    this._flags.timeout = milliseconds;
    return this;
  }

  connect() {
    const { io, active } = this;
    this.active = true;
    if (io._state !== "open") io._retry || io.open();
    else if (!active) this._join();
    return this;
  }

  disconnect() {
    if (this.connected) this.io._send(encode(DISCONNECT, this.nsp));
    this._leave("io client disconnect");
    return this;
  }

  emit(...data) {
    const { volatile, wantsError, timeout = this.io.opts.ackTimeout } = this._flags;
    this._flags = {};
    const callback = typeof data[data.length - 1] === "function" && data.pop();
    if (RESERVED.includes(data[0])) fail(`"${data[0]}" is a reserved event name`);
    const id = callback ? this._nextId++ : undefined;
    const packet = encode(EVENT, this.nsp, data, id);
    if (callback) {
      const limited = timeout !== undefined;
      const expire = () => {
        this._waiting = this._waiting.filter((other) => other !== packet);
        this._settle(id, new Error("operation has timed out"));
      };
      const timer = limited && setTimeout(expire, timeout);
      this._acks.set(id, { callback, timer, wantsError: wantsError || limited });
    }
    if (!this.connected) volatile || this._waiting.push(packet);
    else if (!volatile || this.io.engine.transport.writable) this.io._send(packet);
    return this;
  }

  emitWithAck(...data) {
    this._flags.wantsError = true; // the callback is always called, with an error or null first
    return new Promise((resolve, reject) => {
      this.emit(...data, (error, value) => (error ? reject(error) : resolve(value)));
    });
  }

  send(...args) {
    return this.emit("message", ...args);
  }

  onAny(callback) {
    this._anyListeners = [...this._anyListeners, callback];
    return this;
  }

  offAny(callback) {
    this._anyListeners = this._anyListeners.filter((other) => callback && other !== callback);
    return this;
  }

  _settle(id, error, values = []) {
    const ack = this._acks.get(id);
    if (!ack) return; // too late
    this._acks.delete(id);
    clearTimeout(ack.timer);
    if (ack.wantsError) run(ack.callback, this, [error, ...values]);
    else if (!error) run(ack.callback, this, values);
  }

  // An older request must be answered first.
  _join() {
    if (this._request && this._request.sent) return;
    const request = this._request = { sent: false, stale: false };
    const send = (auth) => {
      if (this._request !== request || request.sent) return;
      request.sent = true;
      const { _pid: pid, _offset: offset } = this;
      this.io._send(encode(CONNECT, this.nsp, pid ? { pid, offset, ...auth } : auth));
    };
    if (typeof this.auth === "function") run(this.auth, this, [send]);
    else send(this.auth);
  }

  _answered(type, payload) {
    const request = this._request;
    this._request = null;
    if (!request || request.stale) { // the page left meanwhile, perhaps to come back
      if (type === CONNECT) this.io._send(encode(DISCONNECT, this.nsp));
      if (this.active) this._join();
    } else if (type === CONNECT) {
      const { sid, pid } = this._welcome = payload;
      this.id = sid;
      this.recovered = !!pid && pid === this._pid;
      if (!this.recovered) this._offset = undefined;
      this._pid = pid;
      this.connected = true;
      if (this.beforeFlush) run(this.beforeFlush, this);
      for (const packet of this._waiting.splice(0)) this.io._send(packet);
      while (this.connected && this._early.length) this._dispatch(...this._early.shift());
      if (this.connected) this._fire("connect");
    } else {
      this.active = false;
      this._fire("connect_error", Object.assign(new Error(payload.message || payload), { data: payload.data }));
      this.io._release();
    }
  }

  _receive(type, payload, id) {
    if (type === CONNECT || type === CONNECT_ERROR) this._answered(type, payload);
    else if (!this.active) return; // on its way when we left
    else if (type === DISCONNECT) this._leave("io server disconnect");
    else if (type === ACK) this._settle(parseInt(id), null, payload);
    else {
      const last = payload.slice(1).pop();
      if (!id && typeof last === "string") this._offset = last;
      if (this.connected) this._dispatch(payload, id);
      else this._early.push([payload, id]);
    }
  }

  _dispatch(args, id) {
    let asker = this._welcome; // an answer must not go to another connection
    const answer = (...values) => {
      if (asker && asker === this._welcome) this.io._send(encode(ACK, this.nsp, values, id));
      asker = undefined;
    };
    if (id) args.push(answer);
    for (const callback of this._anyListeners) run(callback, this, args);
    this._fire(...args);
  }

  // For good; _lost() is for the connection's end.
  _leave(reason) {
    this.active = false;
    if (this._request && this._request.sent) this._request.stale = true;
    else this._request = null;
    this._drop(reason);
    this.io._release();
  }

  _lost(reason, error) {
    this._request = null;
    this._drop(reason, error);
  }

  _drop(reason, error) {
    // Ended on purpose; or a packet would come again that ends every connection.
    if (/parse/.test(reason) || (this.connected && /^io/.test(reason))) this._pid = undefined;
    if (!this.connected) return;
    this.connected = false;
    this.id = this._welcome = undefined;
    for (const id of [...this._acks.keys()]) this._settle(id, new Error("socket has been disconnected"));
    this._fire("disconnect", reason, error);
  }
}
Socket.prototype.open = Socket.prototype.connect;
Socket.prototype.close = Socket.prototype.disconnect;

// "/admin", "http://host:8000/admin?token=1", "//host", "host:8000", or nothing: the page's server.
function parseUrl(url) {
  const { origin, protocol } = global.location;
  url = String(url || "/").replace(/^ws(?=s?:\/\/)/i, "http");
  if (/^\/(?!\/)/.test(url)) url = origin + url;
  else if (!/^https?:\/\//i.test(url)) url = protocol + url.replace(/^(\/\/)?/, "//");
  const [, server, namespace, search] = /^(\w+:\/\/[^/?#]*)([^?#]*)([^#]*)/.exec(url);
  return {
    origin: new URL(server).origin,
    namespace: namespace || "/", // as spelt: servers compare it literally
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

function hostUrl(host, { port, secure }) {
  const { location } = global;
  if (/:\/\//.test(host)) return host;
  if (!/:\d+$/.test(host)) host = `${host || location.hostname}:${port || location.port}`;
  return `${secure === undefined ? location.protocol : secure ? "https:" : "http:"}//${host}`;
}

const managers = new Map(); // by server and path

function io(url, options) {
  if (url && typeof url === "object") [url, options] = [undefined, url];
  const { origin, namespace, query } = parseUrl(url);
  options = { query, ...options };
  const key = origin + (options.path || "");
  const alone = options.forceNew || options.multiplex === false;
  const known = managers.get(key);
  const manager = known && !alone && !known.nsps.has(namespace) ? known : new Manager(origin, options);
  if (!known && !alone) managers.set(key, manager);
  return manager.socket(namespace, options);
}

global.io = Object.assign(io, { io, connect: io, Manager, Socket, protocol: 5, path: "/socket.io" });
})(globalThis);
