"""Login tokens: taken apart, their signature and their claims judged. Verdicts are kept for a minute at most.

A token is a JSON Web Token, signed with EdDSA (Ed25519), ES256 or RS256 by a key that its `kid` names among the
provider's. Everything else that its header may suggest (other algorithms, keys of its own, addresses of keys, critical
extensions) is refused or not looked at. Nothing is parsed of a token that is longer than `MOST_BYTES`, and no claim is
read before the signature is verified.

Called by gateway/people; by the command line, which may tell the reasons that no caller is told.
"""

from __future__ import annotations

import hashlib
import math
import re
from binascii import a2b_base64
from typing import Any, Final, NoReturn, Protocol

import msgspec
from msgspec import UNSET, Raw, UnsetType

from wagate.clock import Clock
from wagate.model.organizations import ORGANIZATION_ID, Caller

MOST_BYTES: Final = 8 * 1024
LEEWAY_SECONDS: Final = 30
KEPT_SECONDS: Final = 60
MOST_VERDICTS: Final = 10_000
ALGORITHMS: Final = ("EdDSA", "ES256", "RS256")

_FORM = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_TYPES = ("jwt", "at+jwt", "application/at+jwt", "application/jwt")
_USER = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_ORGANIZATION = re.compile(ORGANIZATION_ID)


class Key(Protocol):
    """What verifies a signature."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether it is this key's."""
        ...


class Keys(Protocol):
    """The provider's keys. `generation` changes whenever they do."""

    generation: int

    async def find(self, kid: str, algorithm: str) -> Key | None:
        """The key with this id for this algorithm, at once or within milliseconds."""
        ...


class TokenRefused(Exception):
    """Why a token is not good, as a clause for the log and the operator; `found` is what stood there. Never told to
    who sent it.
    """

    def __init__(self, reason: str, found: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.found = None if found is None else str(found)[:128]


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """Whose tokens are good for whom, and in which claims they say what."""

    issuer: str
    audience: str
    user_claim: str = "sub"
    organization_claim: str = "activeOrganizationId"
    organization_role_claim: str = "orgRole"
    role_claim: str = "role"


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a good token says. `until`: it is good before this moment, leeway included, in epoch milliseconds.
    `organization_id` None: there is none that could be one.
    """

    user_id: str
    organization_id: str | None
    organization_roles: frozenset[str]
    roles: frozenset[str]
    until: int


class Header(msgspec.Struct, frozen=True):
    """What is looked at of a token's header."""

    alg: str
    kid: str | None = None
    typ: str | None = None
    crit: Raw | UnsetType = UNSET
    b64: Raw | UnsetType = UNSET


class Verdict(msgspec.Struct):
    """What a token is good for, remembered from `since` until `until` or until the keys change. `caller`: what the
    gateway made of it, for as long as it is remembered; left here by gateway/people.
    """

    claims: Claims
    since: int
    until: int
    generation: int
    caller: Caller | None = None


_header = msgspec.json.Decoder(Header).decode
_payload = msgspec.json.Decoder(dict[str, Any]).decode


def has_form(credential: bytes) -> bool:
    """Whether it is tried as a login token, and as nothing else: it looks like one, or is too long to look at."""
    return len(credential) > MOST_BYTES or _FORM.fullmatch(credential) is not None


class Verifier:
    """Says what tokens are good for. Good verdicts are remembered by the token's digest; a bad one is made anew each
    time, so that nobody's bad tokens push out anybody's good ones.
    """

    def __init__(self, keys: Keys, expected: Expected, *, clock: Clock, create_organizations: bool = False) -> None:
        self.create_organizations = create_organizations
        self._keys = keys
        self._expected = expected
        self._clock = clock
        self._verdicts: dict[bytes, Verdict] = {}

    async def verify(self, token: bytes) -> Verdict:
        """What a good token says.

        Raises:
            TokenRefused: it is not good, or its key is not known.
        """
        if len(token) > MOST_BYTES:
            raise TokenRefused(f"it has more than {MOST_BYTES} bytes", len(token))
        digest, now = hashlib.sha256(token).digest(), self._clock.now()
        verdict = self._verdicts.get(digest)
        # `since`: a clock that was turned back makes no verdict last longer.
        if verdict and verdict.since <= now < verdict.until and verdict.generation == self._keys.generation:
            return verdict
        claims = claims_of(await self._verified(token), self._expected, now=now)
        verdict = Verdict(claims, now, min(now + KEPT_SECONDS * 1000, claims.until), self._keys.generation)
        self._keep(digest, verdict)
        return verdict

    async def _verified(self, token: bytes) -> dict[str, Any]:
        """The payload of a token with a good signature."""
        message, head, body, signature = parts(token)
        header = header_of(head)
        key = await self._keys.find(header.kid or "", header.alg)
        if key is None:
            raise TokenRefused("the provider has no key with its `kid` for its `alg`", header.kid)
        if not key.verify(message, signature):
            raise TokenRefused("its signature is not the key's", header.kid)
        return payload_of(body)

    def _keep(self, digest: bytes, verdict: Verdict) -> None:
        self._verdicts.pop(digest, None)
        if len(self._verdicts) >= MOST_VERDICTS:
            # The oldest are about to be over anyway.
            for old in list(self._verdicts)[: MOST_VERDICTS // 10]:
                del self._verdicts[old]
        self._verdicts[digest] = verdict


def parts(token: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """What is signed, the header, the payload and the signature.

    Raises:
        TokenRefused: it has not the form of a JWT.
    """
    if not _FORM.fullmatch(token):
        raise TokenRefused("it has not the form of a JWT")
    message, _, signature = token.rpartition(b".")
    head, _, body = message.partition(b".")
    try:
        return message, _decoded(head), _decoded(body), _decoded(signature)
    except ValueError:
        raise TokenRefused("a part of it is not base64url") from None


def header_of(head: bytes) -> Header:
    """The header, where it is one that can be followed.

    Raises:
        TokenRefused: it asks for what is not done here.
    """
    try:
        header = _header(head)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise TokenRefused("its header is not the JSON of one") from None
    if header.alg not in ALGORITHMS:
        raise TokenRefused("its `alg` is none of EdDSA, ES256 and RS256", header.alg)
    if header.typ is not None and header.typ.lower() not in _TYPES:
        raise TokenRefused("its `typ` is another kind of token's", header.typ)
    if header.crit is not UNSET or header.b64 is not UNSET:
        raise TokenRefused("its header has `crit` or `b64`")
    if not header.kid:
        raise TokenRefused("its header has no `kid`")
    return header


def payload_of(body: bytes) -> dict[str, Any]:
    """The claims as they stand there.

    Raises:
        TokenRefused: they are none.
    """
    try:
        return _payload(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise TokenRefused("its payload is not a JSON object") from None


def claims_of(payload: dict[str, Any], expected: Expected, *, now: int) -> Claims:
    """What the claims say, at `now` in epoch milliseconds.

    Raises:
        TokenRefused: they are another's, for another, not of this time, or of nobody.
    """
    if payload.get("iss") != expected.issuer:
        raise TokenRefused("its `iss` is not WAGATE_JWT_ISSUER", payload.get("iss"))
    audience = payload.get("aud")
    if expected.audience not in (audience if isinstance(audience, list) else [audience]):
        raise TokenRefused("its `aud` is not WAGATE_JWT_AUDIENCE and does not hold it", audience)
    until = _moment(payload, "exp")
    if until is None:
        raise TokenRefused("it has no `exp`")
    if now >= until + LEEWAY_SECONDS * 1000:
        raise TokenRefused("it has expired", payload["exp"])
    for name, said in (("nbf", "it is not good yet"), ("iat", "it was issued in the future")):
        since = _moment(payload, name)
        if since is not None and now < since - LEEWAY_SECONDS * 1000:
            raise TokenRefused(said, payload[name])
    user_id = said_in(payload, expected.user_claim)
    if not isinstance(user_id, str) or not _USER.fullmatch(user_id):
        raise TokenRefused(f"its `{expected.user_claim}` is missing, or no id of a person")
    return Claims(
        user_id=user_id,
        organization_id=_organization(said_in(payload, expected.organization_claim)),
        organization_roles=_words(said_in(payload, expected.organization_role_claim)),
        roles=_words(said_in(payload, expected.role_claim)),
        until=until + LEEWAY_SECONDS * 1000,
    )


def said_in(payload: dict[str, Any], claim: str) -> object:
    """The value of a claim: of that very name, or where its dots lead into objects."""
    if claim in payload:
        return payload[claim]
    value: object = payload
    for name in claim.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _organization(value: object) -> str | None:
    """One id; a list of just one is one."""
    if isinstance(value, list) and len(value) == 1:
        [value] = value
    return value if isinstance(value, str) and _ORGANIZATION.fullmatch(value) else None


def _words(value: object) -> frozenset[str]:
    """Roles as providers write them: one word, words with commas between, a list of words."""
    if isinstance(value, str):
        value = value.split(",")
    return (
        frozenset(each.strip() for each in value if isinstance(each, str)) if isinstance(value, list) else frozenset()
    )


def _moment(payload: dict[str, Any], name: str) -> int | None:
    """A time in epoch milliseconds."""
    value = payload.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > 1e12:
        _no_time(name)
    return int(value * 1000)


def _no_time(name: str) -> NoReturn:
    raise TokenRefused(f"its `{name}` is not a time")


def _decoded(part: bytes) -> bytes:
    return a2b_base64(part.translate(_STANDARD) + b"==="[: -len(part) % 4])
