"""Tokens: each lets its holder follow one channel until it expires. Signed, so that nobody can make one up.

A token is checked with nothing but the secrets, so that any process that has them can make one, and no database is
asked. It is not encrypted: its holder can read all that it says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from itsdangerous import BadData, URLSafeSerializer

from .errors import EventError, SettingsError, SubscriptionRefused
from .settings import Settings

#: Makes what is signed here worthless elsewhere, should an application use its secret for something else, too.
SALT = "webpy_socketio.subscribe_token.1"
SIGNER = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
#: Characters. A longer text is no token, and is not even hashed.
LONGEST_TOKEN = 4096
#: Seconds. A token for ever could not be called back but with its secret.
LONGEST_LIFE = 1e9


class Claims(NamedTuple):
    """What a token says."""

    namespace: str
    channel: str
    #: Who may use it; None: whoever has it.
    user: str | int | None
    #: Seconds since 1970, from which on nobody may.
    until: float


class Tokens:
    """Makes and checks the tokens of one server.

    :param now: tells the seconds since 1970.
    """

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        self._longest_channel = settings.max_channel_length
        self._now = now
        # There, the last secret signs.
        secrets = settings.secrets[::-1]
        self._serializer = URLSafeSerializer(secrets, SALT, signer_kwargs=SIGNER) if secrets else None

    def make(self, namespace: str, channel: str, user: str | int | None, seconds: float) -> str:
        """Return a token. Raises SettingsError without a secret, EventError for what no token can say."""
        if self._serializer is None:
            raise SettingsError(
                "tokens need a secret to be signed with: set secrets=[...], or SOCKETIO_SECRETS, to at least 16 random "
                "characters, the same in every process; python3 -c 'import secrets; print(secrets.token_urlsafe())' "
                "makes some"
            )
        if len(channel) > self._longest_channel:
            raise EventError(f"nobody can follow a channel of more than {self._longest_channel} characters")
        if user is not None and (isinstance(user, bool) or not isinstance(user, (str, int))):
            raise EventError(f"user={user!r} cannot be in a token: give a text or a whole number, like the user's id")
        is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not is_number or not 0 < seconds <= LONGEST_LIFE:
            raise EventError(f"expires={seconds!r} is not a number of seconds above 0, of some years at the most")
        token = str(self._serializer.dumps(Claims(namespace, channel, user, self._now() + seconds)))
        if len(token) > LONGEST_TOKEN:
            raise EventError("the token would be too long: give a shorter user")
        return token

    def check(self, token: str, namespace: str, channel: str, user: Hashable) -> Hashable:
        """Return who uses a token for a channel: whom it is for, or the user that the socket has already.

        Of a token with a wrong signature, nothing else is looked at or told.

        :param user: of the socket; None if it has none yet.

        Raises SubscriptionRefused.
        """
        claims = self._verified(token)
        if claims is None:
            raise SubscriptionRefused("token_invalid", "the token is not valid")
        if (claims.namespace, claims.channel) != (namespace, channel):
            raise SubscriptionRefused("token_other_channel", "the token is for another channel")
        if claims.user is not None and user is not None and claims.user != user:
            raise SubscriptionRefused("token_other_user", "the token is for another user")
        if claims.until <= self._now():
            raise SubscriptionRefused("token_expired", "the token has expired")
        return user if claims.user is None else claims.user

    def _verified(self, token: str) -> Claims | None:
        if self._serializer is None or len(token) > LONGEST_TOKEN or not token.isascii():
            return None
        try:
            # Compares whole signatures in constant time (hmac.compare_digest), and reads the rest only if one is right.
            return Claims(*self._serializer.loads(token))
        except BadData:
            return None


def token_in(options: Sequence[Any]) -> str | None:
    """Return the token among the arguments that follow a channel's name: none, or an object with nothing else in it.

    Raises SubscriptionRefused.
    """
    if not options:
        return None
    given = options[0]
    if len(options) == 1 and isinstance(given, dict) and not given.keys() - {"token"}:
        token = given.get("token")
        if token is None or isinstance(token, str):
            return token
    raise SubscriptionRefused("token_invalid", 'after the channel\'s name there may be a token: {"token": "..."}')


def read_claims(token: str) -> Claims:
    """Return what a token of ours says, without a look at its signature. Raises EventError for what is none."""
    _, payload = URLSafeSerializer("").loads_unsafe(token) if isinstance(token, str) else (False, None)
    if not isinstance(payload, list) or len(payload) != len(Claims._fields):
        raise EventError(f"{token!r} is not a token: make one with subscribe_token")
    return Claims(*payload)
