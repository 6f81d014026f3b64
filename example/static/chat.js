/* A room: the way in, the people, the conversation; and back into it by itself after an interruption. */
"use strict";

const byId = (id) => document.getElementById(id);
const log = byId("log"), messages = byId("messages"), textInput = byId("text"), nameInput = byId("name");
const room = Number(byId("chat").dataset.room);
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const dayAndHour = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const LONGEST_LOG = 500;
const HUES = 6; // the colours of avatars in chat.css

// Proves to the server that it is still this window that comes back after a lost connection.
const token = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

let ourName = null; // the name we have in the room, or asked for; null while we stay outside
let inRoom = false; // whether the server has us in the room at this moment
let lastId = 0; // of the newest message shown
let unsent = []; // messages that the server has not confirmed
let atEnd = true; // whether the newest message is in view, and so should stay

const socket = io();

/* Showing things. Text from people only ever becomes textContent: it is never read as HTML. */

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children); // a string becomes text
  return element;
}

function showConnection(state, text) {
  byId("connection").dataset.state = state;
  byId("connection").textContent = text;
}

function showProblem(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

function avatar(person) {
  const hue = [...person].reduce((sum, sign) => sum + sign.codePointAt(0), 0) % HUES;
  const sign = make("span", `avatar hue-${hue}`, [...person][0].toUpperCase());
  sign.setAttribute("aria-hidden", "true");
  return sign;
}

function showPeople(people) {
  byId("people-count").textContent = people.length;
  byId("people").replaceChildren(...people.map((person) => {
    const you = inRoom && person === ourName ? [make("span", "you", "(you)")] : [];
    return make("li", "", avatar(person), make("span", "who", person), ...you);
  }));
}

function timeOf(moment) {
  const date = new Date(moment);
  const today = date.toDateString() === new Date().toDateString();
  const element = make("time", "", (today ? hour : dayAndHour).format(date));
  element.dateTime = moment;
  return element;
}

function append(item) {
  messages.append(item);
  if (messages.children.length > LONGEST_LOG) messages.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function showMessage(message) {
  if (message.id <= lastId) return; // shown before the connection was lost
  lastId = message.id;
  const head = make("p", "head", make("span", "who", message.name), " ", timeOf(message.time));
  const bubble = make("div", "bubble", head, make("p", "words", message.text));
  append(make("li", message.name === ourName ? "message mine" : "message", avatar(message.name), bubble));
}

function showSystemMessage({ text, time }) {
  const head = make("p", "head", make("span", "who", "System message"), " ", timeOf(time));
  if (inRoom) append(make("li", "house", head, make("p", "words", text)));
  else showProblem("system", text);
}

// Outside there is the form to join, inside the conversation.
function showInside(inside) {
  document.body.classList.toggle("inside", inside);
  byId("join").hidden = inside;
  byId("talk").hidden = byId("leave").hidden = !inside;
  showProblem("system", "");
  showProblem("talk-problem", "");
}

/* Joining and leaving. */

function join() {
  socket.emit("join", room, ourName, token, (answer) => {
    if (ourName === null) return; // left meanwhile
    if (answer.error) stayOutside(answer.error.message);
    else goInside(answer);
  });
}

function goInside(answer) {
  const firstTime = byId("talk").hidden; // and not back after a lost connection: then the focus stays where it is
  ourName = answer.name;
  inRoom = true;
  if (firstTime) showInside(true);
  showProblem("talk-problem", "");
  showPeople(answer.people);
  log.setAttribute("aria-busy", "true"); // old messages are not read aloud
  answer.messages.forEach(showMessage);
  log.removeAttribute("aria-busy");
  if (firstTime) textInput.focus();
}

function stayOutside(problem) {
  ourName = null;
  inRoom = false;
  showInside(false);
  showProblem("join-problem", problem);
  nameInput.setAttribute("aria-invalid", String(Boolean(problem)));
  nameInput.focus();
}

byId("join").addEventListener("submit", (event) => {
  event.preventDefault();
  showProblem("join-problem", "");
  ourName = nameInput.value;
  if (socket.connected) join(); // otherwise as soon as it is
});

byId("leave").addEventListener("click", () => {
  if (socket.connected) socket.emit("leave", ({ people }) => showPeople(people));
  stayOutside("");
});

/* Talking. */

// What did not arrive goes back to where it was typed.
function giveBack(texts) {
  textInput.value = [...texts, textInput.value].filter(Boolean).join(" ");
}

byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = textInput.value.trim();
  if (!text) return;
  if (!inRoom) {
    showProblem("talk-problem", "There is no connection right now. Your message stays here until you can send it.");
    return;
  }
  textInput.value = "";
  atEnd = true;
  unsent.push(text);
  socket.emit("message", text, (answer) => {
    unsent.shift();
    const refused = answer && answer.error;
    if (refused) giveBack([text]);
    showProblem("talk-problem", refused ? refused.message : "");
  });
});

log.addEventListener("scroll", () => {
  atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
});
new ResizeObserver(() => { // a keyboard has come up, say
  if (atEnd) log.scrollTop = log.scrollHeight;
}).observe(log);

/* The connection. */

// What the server sends, by its "action".
const actions = {
  message: (message) => inRoom && showMessage(message),
  system: showSystemMessage,
  people: (message) => message.room === room && showPeople(message.people),
  everybody: ({ rooms }) => showPeople(rooms[room] || []),
};

socket.on("connect", () => {
  showConnection("on", "Connected");
  if (ourName !== null) join();
});

socket.on("disconnect", () => {
  inRoom = false;
  giveBack(unsent);
  unsent = [];
  showConnection("off", "Reconnecting…");
});

socket.on("message", (message) => actions[message.action]?.(message));
socket.subscribe("lobby"); // also after each reconnect
