"""A chat with rooms: ``python main_app.py``, then http://127.0.0.1:8000 in two windows.

This file has the pages, ``events.py`` what happens live, ``models.py`` what is stored, ``people.py`` who is there.
"""

from gevent import monkey

monkey.patch_all()  # before all other imports

import hmac
import secrets
from pathlib import Path

import models
import web
from events import SESSION_COOKIE, announce
from mako.lookup import TemplateLookup
from people import people

from webpy_socketio import NoSocket, SocketIOServer, socketio_urls, template_dir

HERE = Path(__file__).resolve().parent
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)

web.config.debug = False  # visitors shall not see the source in a traceback
web.config.session_parameters.update(cookie_name=SESSION_COOKIE, samesite="Lax")

page_urls = (
    "/", "Rooms",
    r"/rooms/(\d{1,15})", "Room",
    "/system", "System",
)  # fmt: skip
pages = web.application(page_urls, globals())
session = web.session.Session(pages, models.session_store, initializer={"name": "", "csrf_token": "", "notice": ""})

# The session belongs to the pages alone: Socket.IO's requests, of which there are many, need not load and save it.
urls = (r"/static/([a-z]+\.(?:css|js|svg))", "Static")
urls += socketio_urls
urls += ("", pages)
app = web.application(urls, globals())
application = app.wsgifunc()

# The filter "h" escapes whatever a template shows.
templates = TemplateLookup([str(HERE / "templates"), str(template_dir())], default_filters=["h"])


class Rooms:
    """The list of rooms, and the form that adds one."""

    def GET(self) -> str:
        return self.page()

    def POST(self) -> str:
        form = checked_form(room="")
        try:
            room = models.add_room(form.room)
        except models.InputError as error:
            web.ctx.status = "400 Bad Request"
            return self.page(form.room, str(error))
        raise see_other(f"/rooms/{room.id}")

    def page(self, typed: str = "", problem: str = "") -> str:
        rooms = [(room, len(people.names(room.id))) for room in models.all_rooms()]
        return render("rooms.html", rooms=rooms, typed=typed, problem=problem)


class Room:
    """One room. The page shows nothing but the way in; the rest comes over Socket.IO."""

    def GET(self, room_id: str) -> str:
        room = models.find_room(int(room_id))
        if room is None:
            raise not_found()
        return render("room.html", room=room, people=people.names(room.id), name=session.name)


class System:
    """Messages from the house: a page that sends to sockets, through the functions of the module."""

    def GET(self) -> str:
        return self.page()

    def POST(self) -> str:
        form = checked_form(text="", room="")
        room = next((room for room in models.all_rooms() if str(room.id) == form.room), None)
        where = f"the room “{room.name}”" if room else "any room"
        try:
            if form.room and not room:
                raise models.InputError("This room does not exist (any more). Please choose another one.")
            announce(models.clean_text(form.text), room)
        except models.InputError as error:
            web.ctx.status = "400 Bad Request"
            return self.page(form, str(error))
        except NoSocket:
            web.ctx.status = "409 Conflict"
            return self.page(form, f"Nobody is connected to {where} right now, so nobody would read it.")
        session.notice = f"Sent to everybody in {where}."
        raise see_other("/system")

    def page(self, form: web.Storage | None = None, problem: str = "") -> str:
        form = form or web.storage(text="", room="")
        notice, session.notice = session.notice, ""
        return render("system.html", rooms=models.all_rooms(), form=form, notice=notice, problem=problem)


class Static:
    """The files of the pages. (In production, let the web server in front deliver them.)"""

    def GET(self, name: str) -> bytes:
        path = HERE / "static" / name
        if not path.is_file():
            raise not_found()
        web.header("Content-Type", MEDIA_TYPES[path.suffix])
        web.header("Cache-Control", "no-cache")
        web.header("X-Content-Type-Options", "nosniff")
        return path.read_bytes()


def render(template: str, **values: object) -> str:
    """Fill a template, and tell the browser to run no script but ours, even if somebody smuggled one in."""
    nonce = secrets.token_urlsafe(16)
    web.header("Content-Type", "text/html; charset=utf-8")
    web.header("Content-Security-Policy", POLICY.format(nonce=nonce))
    web.header("X-Content-Type-Options", "nosniff")
    web.header("Referrer-Policy", "same-origin")
    web.header("Cache-Control", "no-store")  # a page holds its visitor's token
    page: str = templates.get_template(template).render(nonce=nonce, csrf_token=csrf_token, **values)
    return page


def csrf_token() -> str:
    """The secret of this session that every form of ours carries, and nobody else's form can know."""
    token: str = session.csrf_token or secrets.token_urlsafe(32)
    session.csrf_token = token
    return token


def checked_form(**fields: str) -> web.Storage:
    """Return the fields of a submitted form, if it is one of ours."""
    form = web.input(_method="post", csrf_token="", **fields)
    if any(not isinstance(form[field], str) for field in ("csrf_token", *fields)):
        raise web.badrequest()
    if not hmac.compare_digest(form.csrf_token.encode(), csrf_token().encode()):
        problem = "This form is too old, or was sent from another site. Please try again from here."
        raise error_page("403 Forbidden", "Not accepted", problem)
    return form


def see_other(path: str) -> web.HTTPError:
    """Go to a page after a form. The address has no host in it, so that it holds behind a proxy as well."""
    return web.HTTPError("303 See Other", {"Location": path})


def error_page(status: str, title: str, problem: str) -> web.HTTPError:
    """A page that says what went wrong."""
    return web.HTTPError(status, {}, render("error.html", title=title, problem=problem))


def not_found() -> web.HTTPError:
    """The page for an address that leads nowhere."""
    return error_page("404 Not Found", "Not found", "There is nothing here: perhaps the address has a slip in it.")


pages.notfound = not_found
models.create_tables()
people.forget_lost()

if __name__ == "__main__":
    SocketIOServer(None, application).serve_forever()
