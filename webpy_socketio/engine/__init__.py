"""The Engine.IO session without its sockets: packets and times in, packets out."""
