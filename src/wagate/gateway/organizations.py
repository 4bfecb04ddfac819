"""Organizations: whom everything belongs to."""

from __future__ import annotations

from wagate.backends.database import Tx
from wagate.gateway import Gateway
from wagate.model import ids
from wagate.model.organizations import Organization

_CREATE = "INSERT INTO organizations (id, name, created_at) VALUES (:id, :name, :now)"
_ENSURE = _CREATE + " ON CONFLICT DO NOTHING"
_LIST = "SELECT id, name, created_at FROM organizations ORDER BY id"
_GET = "SELECT id, name, created_at FROM organizations WHERE id = :id"


async def create(gw: Gateway, name: str, *, id: str | None = None) -> Organization:
    """A new organization, with an empty event log. Called by the command line and at the first start."""
    now = gw.clock.now()
    organization = Organization(id=id or ids.mint("org", now), name=name, created_at=now)

    async def work(tx: Tx) -> None:
        await tx.run(_CREATE, id=organization.id, name=name, now=organization.created_at)

    await gw.db.write(work)
    return organization


async def all_of_them(gw: Gateway) -> list[Organization]:
    """Every organization, oldest first. For the operator only."""
    return [Organization(id=id, name=name, created_at=created) for id, name, created in await gw.db.all(_LIST)]


async def find(gw: Gateway, id: str) -> Organization | None:
    """The organization with this id, or None."""
    row = await gw.db.one(_GET, id=id)
    return None if row is None else Organization(id=row[0], name=row[1], created_at=row[2])


async def ensure(gw: Gateway, id: str) -> None:
    """Make the organization with this id, named after it, unless it is there."""

    async def work(tx: Tx) -> int:
        return await tx.run(_ENSURE, id=id, name=id, now=gw.clock.now())

    await gw.db.write(work)
