"""Webhooks: make, change, test and remove them; what was delivered, and replay."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from wagate.api import lists
from wagate.api.lists import ListQuery, Page
from wagate.api.operations import MANAGE, Call, Operation
from wagate.errors import Conflict, Gone, NotFound
from wagate.gateway import deliveries, webhooks
from wagate.model.webhooks import CreateWebhook, Delivery, DeliveryStatus, TestResult, UpdateWebhook, Webhook


class DeliveriesQuery(ListQuery, frozen=True, kw_only=True):
    """Which deliveries."""

    status: Annotated[DeliveryStatus, msgspec.Meta(description="Only those that stand so.")] | None = None


async def list_webhooks(call: Call) -> Any:
    """List the organization's webhooks, without their secrets."""
    rows, following = await webhooks.page(call.gw, call.caller, lists.window(call, one_page=True))
    return lists.page(call, rows, following)


async def create_webhook(call: Call) -> Any:
    """Make a webhook: what is recorded from now on is posted to its URL.

    Event names that do not exist yet are taken too.
    """
    return await webhooks.create(call.gw, call.caller, call.body)


async def get_webhook(call: Call) -> Any:
    """Get a webhook."""
    return await webhooks.get(call.gw, call.caller, call.path["id"])


async def update_webhook(call: Call) -> Any:
    """Change a webhook; a new secret rotates, and the old one signs beside it for 24 hours."""
    return await webhooks.update(call.gw, call.caller, call.path["id"], call.body)


async def delete_webhook(call: Call) -> None:
    """Delete a webhook and its deliveries."""
    await webhooks.delete(call.gw, call.caller, call.path["id"])


async def test_webhook(call: Call) -> Any:
    """Post a `webhook.test` to a webhook at once, and tell what came of it.

    It is tried once, also while the webhook is switched off.
    """
    return await deliveries.test(call.gw, call.caller, call.path["id"])


async def list_deliveries(call: Call) -> Any:
    """List a webhook's deliveries, the newest first."""
    query: DeliveriesQuery = call.query
    found = await deliveries.page(call.gw, call.caller, call.path["id"], lists.window(call), status=query.status)
    return lists.page(call, *found)


async def replay_delivery(call: Call) -> None:
    """Deliver once more, with all attempts."""
    await deliveries.replay(call.gw, call.caller, call.path["id"], call.path["did"])


async def replay_dead(call: Call) -> None:
    """Replay every delivery of a webhook that is dead."""
    await deliveries.replay_dead(call.gw, call.caller, call.path["id"])


def _operation(id: str, method: str, path: str, run: Any, **more: Any) -> Operation:
    missing = () if path == "" else (NotFound,)
    errors = (*missing, *more.pop("errors", ()))
    return Operation(
        id=id, method=method, path="/webhooks" + path, run=run, tag="webhooks", capability=MANAGE, errors=errors, **more
    )


OPERATIONS = [
    _operation("listWebhooks", "GET", "", list_webhooks, query=ListQuery, answer=Page[Webhook]),
    _operation("createWebhook", "POST", "", create_webhook, body=CreateWebhook, answer=Webhook, statuses=(201,)),
    _operation("getWebhook", "GET", "/{id}", get_webhook, answer=Webhook),
    _operation("updateWebhook", "PATCH", "/{id}", update_webhook, body=UpdateWebhook, answer=Webhook),
    _operation("deleteWebhook", "DELETE", "/{id}", delete_webhook, statuses=(204,)),
    _operation("testWebhook", "POST", "/{id}:test", test_webhook, answer=TestResult, errors=(Conflict,)),
    _operation(
        "listDeliveries", "GET", "/{id}/deliveries", list_deliveries, query=DeliveriesQuery, answer=Page[Delivery]
    ),
    _operation(
        "replayDelivery", "POST", "/{id}/deliveries/{did}:replay", replay_delivery, statuses=(202,), errors=(Gone,)
    ),
    _operation("replayDead", "POST", "/{id}:replay-dead", replay_dead, statuses=(202,)),
]
