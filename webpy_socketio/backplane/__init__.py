"""The backplane: how an event reaches the sockets of every process."""
