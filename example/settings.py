"""The chat's settings. webpy_socketio finds this module by its name and reads the SOCKETIO_... ones.

Variables of the environment with the same names go first: ``SOCKETIO_PORT=9000 python main_app.py``.
"""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent

SOCKETIO_HOST = "127.0.0.1"
SOCKETIO_PORT = 8000

#: The SQLite file with the rooms, the messages and the sessions; made on the first start.
CHAT_DATABASE = os.environ.get("CHAT_DATABASE", str(HERE / "chat.sqlite3"))
