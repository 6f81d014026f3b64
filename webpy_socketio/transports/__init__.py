"""The transports: the only hands on sockets, and what runs in greenlets."""
