/* The list of rooms: keeps the numbers of people up to date. */
"use strict";

const connection = document.getElementById("connection");
const system = document.getElementById("system");
const counts = [...document.querySelectorAll(".count")];
const socket = io();

function showConnection(state, text) {
  connection.dataset.state = state;
  connection.textContent = text;
}

function showCount(element, people) {
  const count = people.length;
  element.dataset.count = count;
  element.textContent = count === 0 ? "nobody" : count === 1 ? "1 person" : `${count} people`;
}

// What the server sends, by its "action".
const actions = {
  everybody({ rooms }) {
    for (const element of counts) showCount(element, rooms[element.dataset.room] || []);
  },
  people({ room, people }) {
    for (const element of counts) if (Number(element.dataset.room) === room) showCount(element, people);
  },
  system({ text }) {
    system.textContent = text;
    system.hidden = false;
  },
};

socket.on("connect", () => showConnection("on", "Live"));
socket.on("disconnect", () => showConnection("off", "Reconnecting…"));
socket.on("message", (message) => actions[message.action]?.(message));
socket.subscribe("lobby"); // also after each reconnect
