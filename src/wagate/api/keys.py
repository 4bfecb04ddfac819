"""API keys: list, make, revoke and rotate the organization's own."""

from __future__ import annotations

from typing import Any

from wagate.api import lists
from wagate.api.lists import ListQuery, Page
from wagate.api.operations import MANAGE, Call, Operation
from wagate.errors import NotFound
from wagate.gateway import keys
from wagate.model.organizations import CreateKey, Key, NewKey


async def list_keys(call: Call) -> Any:
    """List the organization's API keys, without their secrets."""
    rows, following = await keys.page(call.gw, call.caller, lists.window(call))
    return lists.page(call, rows, following)


async def create_key(call: Call) -> Any:
    """Make an API key; its secret is shown this once.

    A key may grant only what it holds: its own permissions, and its own sessions where it is limited to some.
    """
    return await keys.create(call.gw, call.caller.organization_id, call.body, by=call.caller)


async def revoke_key(call: Call) -> None:
    """Revoke an API key; the next request with it fails."""
    await keys.revoke_by(call.gw, call.caller, call.path["id"])


async def rotate_key(call: Call) -> Any:
    """Give an API key a new secret, shown this once; the old one fails from the next request on."""
    return await keys.rotate(call.gw, call.caller, call.path["id"])


def _operation(id: str, method: str, path: str, run: Any, **more: Any) -> Operation:
    return Operation(id=id, method=method, path="/keys" + path, run=run, tag="keys", capability=MANAGE, **more)


OPERATIONS = [
    _operation("listKeys", "GET", "", list_keys, query=ListQuery, answer=Page[Key]),
    _operation("createKey", "POST", "", create_key, body=CreateKey, answer=NewKey, statuses=(201,)),
    _operation("revokeKey", "DELETE", "/{id}", revoke_key, statuses=(204,), errors=(NotFound,)),
    _operation("rotateKey", "POST", "/{id}:rotate", rotate_key, answer=NewKey, errors=(NotFound,)),
]
