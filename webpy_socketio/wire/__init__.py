"""The wire: pure codecs, (value, bytes) both ways. Nothing here knows a socket, a clock or a logger."""
