"""Says something in a room, and prints the first that is heard: ``client.py ws://127.0.0.1:8000/ws/room-1 hello``.

It needs ``pip install websocket-client``.
"""

import sys

import websocket

url, message = sys.argv[1:]
connection = websocket.create_connection(url, timeout=10)
connection.send(message)
print(connection.recv())  # noqa: T201
connection.close()
