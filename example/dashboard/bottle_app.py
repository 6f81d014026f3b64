"""The dashboard in an application of Bottle: ``pip install bottle``, then run it as ``app.py`` beside this file."""

from gevent import monkey

monkey.patch_all()

from pathlib import Path

from bottle import Bottle

from webpy_socketio import SocketIOServer, to
from webpy_socketio.wsgi import SocketIOApp

PAGE = Path(__file__).with_name("page.html").read_text()

app = Bottle()
application = SocketIOApp(app, websocket="ws", sse="sse", publish="publish")


@app.get("/")
def index():
    """The page."""
    return PAGE


@app.post("/load/<value>")
def tell(value):
    """A page tells a value to whoever wants to know; returns how many that are."""
    return {"reached": to("load").send(value)}


if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
