"""Who is asking: a credential becomes a `Caller`.

`x-api-key` wins over `Authorization`. A bearer that has the form of a JWT is tried as a login token only, any other as
a key only: a key never becomes a token, nor a token a key. The key's row is read on each request, so a revoked key
fails at once. Called by app, before any body is read.
"""

from __future__ import annotations

import re

from wagate.backends import tokens
from wagate.errors import Unauthorized
from wagate.gateway import Gateway, keys, people
from wagate.model.organizations import Caller

_KEY = re.compile(rb"wa_[0-9A-Za-z]{20,120}")


async def identify(gw: Gateway, headers: dict[bytes, bytes]) -> Caller:
    """The caller behind a request's headers (names in lower case).

    Raises:
        Unauthorized: no credential, or one that does not fit; which of the reasons applies is not told.
    """
    secret = headers.get(b"x-api-key")
    if secret is None:
        secret = _bearer(headers.get(b"authorization"))
        if tokens.has_form(secret):
            return await people.authenticate(gw, secret)
    if not _KEY.fullmatch(secret):
        raise Unauthorized("the credential is malformed")
    return await keys.authenticate(gw, secret.decode("ascii"))


def _bearer(authorization: bytes | None) -> bytes:
    if authorization is None:
        raise Unauthorized("a credential is needed: x-api-key, or Authorization: Bearer")
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() != b"bearer":
        raise Unauthorized("the only scheme of Authorization is Bearer")
    return value.strip()
