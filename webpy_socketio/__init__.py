"""Socket.IO for web.py: channels, events and sends from anywhere, served by gevent."""

from .class_namespaces import make_on_namespace
from .collector import metrics_collector
from .emitter import Emitter
from .errors import (
    AckTimeout,
    Disconnected,
    EventError,
    LimitExceeded,
    NoSocket,
    Refused,
    SettingsError,
    SocketIOError,
    UnsendableValue,
)
from .events import EVENTS
from .page_tokens import subscribe_token, token_script
from .presences import Presence
from .scripts import script_url, template_dir
from .server import SocketIOServer
from .shortcuts import (
    broadcast,
    broadcast_channel,
    channels,
    disconnect_session,
    presence,
    send,
    server_side_call,
    server_side_emit,
    to,
)
from .webpy import (
    make_publish_urls,
    make_socketio_urls,
    make_sse_urls,
    make_websocket_urls,
    publish_urls,
    socketio_urls,
    sse_urls,
    websocket_urls,
)

__version__ = "1.0.0.dev0"

channel_overflow = EVENTS.channel_overflow
channel_presence = EVENTS.channel_presence
on_connect = EVENTS.on_connect
on_message = EVENTS.on_message
on_subscribe = EVENTS.on_subscribe
on_unsubscribe = EVENTS.on_unsubscribe
on_error = EVENTS.on_error
on_disconnect = EVENTS.on_disconnect
on_finish = EVENTS.on_finish
on_event = EVENTS.on_event
on_server_side_event = EVENTS.on_server_side_event
on_join = EVENTS.on_join
on_leave = EVENTS.on_leave
on_any = EVENTS.on_any
on_any_outgoing = EVENTS.on_any_outgoing
on_namespace = make_on_namespace(EVENTS)
connection_middleware = EVENTS.connection_middleware
packet_middleware = EVENTS.packet_middleware

__all__ = [
    "AckTimeout",
    "Disconnected",
    "Emitter",
    "EventError",
    "LimitExceeded",
    "NoSocket",
    "Presence",
    "Refused",
    "SettingsError",
    "SocketIOError",
    "SocketIOServer",
    "UnsendableValue",
    "broadcast",
    "broadcast_channel",
    "channel_overflow",
    "channel_presence",
    "channels",
    "connection_middleware",
    "disconnect_session",
    "make_publish_urls",
    "make_socketio_urls",
    "make_sse_urls",
    "make_websocket_urls",
    "metrics_collector",
    "on_any",
    "on_any_outgoing",
    "on_connect",
    "on_disconnect",
    "on_error",
    "on_event",
    "on_finish",
    "on_join",
    "on_leave",
    "on_message",
    "on_namespace",
    "on_server_side_event",
    "on_subscribe",
    "on_unsubscribe",
    "packet_middleware",
    "presence",
    "publish_urls",
    "script_url",
    "send",
    "server_side_call",
    "server_side_emit",
    "socketio_urls",
    "sse_urls",
    "subscribe_token",
    "template_dir",
    "to",
    "token_script",
    "websocket_urls",
]
