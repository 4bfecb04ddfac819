"""People: who signs in elsewhere, and what their login token opens here.

The identity provider says who somebody is, for which organization they act and what they are there; nothing of that is
stored. Whether the organization is here is asked for each verdict, and for each request while it is not. Whoever acts
for none, or for one that is unknown here, is somebody all the same: they have no capability, and so 403 wherever one is
needed.
"""

from __future__ import annotations

import structlog

from wagate.backends.tokens import Claims, TokenRefused, Verdict
from wagate.errors import Unauthorized
from wagate.gateway import Gateway, organizations
from wagate.model.organizations import ROLES, Caller, Capability, PlatformRole

log = structlog.get_logger(__name__)

_SUPER_ADMIN: frozenset[PlatformRole] = frozenset({"super_admin"})


async def authenticate(gw: Gateway, token: bytes) -> Caller:
    """Who sent this login token, and what they may do.

    Raises:
        Unauthorized: it is not good; why is told to the log alone.
    """
    if gw.logins is None:
        raise Unauthorized("login tokens are not accepted here")
    try:
        verdict = await gw.logins.verify(token)
    except TokenRefused as refusal:
        log.info("a login token is refused", reason=refusal.reason, found=refusal.found)
        raise Unauthorized from None
    return verdict.caller or await _caller(gw, verdict)


async def _caller(gw: Gateway, verdict: Verdict) -> Caller:
    """Who it is; left with the verdict, unless they may be somebody else a moment later."""
    claims, id = verdict.claims, verdict.claims.organization_id
    here = id is not None and (await organizations.find(gw, id) is not None or await _made(gw, claims))
    platform = not _SUPER_ADMIN.isdisjoint(claims.roles)
    if not here and not platform:
        log.info("a login opens no organization", reason="unknown here" if id else "none is active", organization=id)
    caller = Caller(
        organization_id=id if id is not None and here else "",
        capabilities=capabilities(claims.organization_roles if here else frozenset(), platform),
        user_id=claims.user_id,
        login_until=claims.until,
    )
    if here:
        verdict.caller = caller
    return caller


async def _made(gw: Gateway, claims: Claims) -> bool:
    if gw.logins is None or not gw.logins.create_organizations or not founds(claims):
        return False
    assert claims.organization_id is not None
    await organizations.ensure(gw, claims.organization_id)
    log.info("an organization is made for a login", organization=claims.organization_id)
    return True


def founds(claims: Claims) -> bool:
    """Whether these claims are of somebody for whom an organization may be made: their role opens something there."""
    return claims.organization_id is not None and bool(capabilities(claims.organization_roles, False))


def granted(claims: Claims) -> frozenset[Capability | PlatformRole]:
    """What these claims open, in an organization that is here."""
    here = frozenset[str]() if claims.organization_id is None else claims.organization_roles
    return capabilities(here, not _SUPER_ADMIN.isdisjoint(claims.roles))


def capabilities(roles: frozenset[str], platform: bool) -> frozenset[Capability | PlatformRole]:
    """What roles in an organization open together, and the platform's role where it is held."""
    found: set[Capability | PlatformRole] = set(_SUPER_ADMIN) if platform else set()
    return frozenset(found.union(*(ROLES[role] for role in roles if role in ROLES)))
