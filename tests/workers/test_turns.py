"""Nobody waits for another's slow receiver, and nobody is passed over."""

from __future__ import annotations

from wagate.gateway.attempts import Due
from wagate.gateway.webhooks import Receiver
from wagate.model.webhooks import RetryPolicy, Webhook
from wagate.workers import turns
from wagate.workers.turns import OF_A_WEBHOOK, OF_ALL, OF_AN_ORGANIZATION, Turns


def due(organization: str, webhook: str, number: int = 0) -> Due:
    hook = Webhook(
        id=webhook, organization_id=organization, url="http://x", events=["*"], retry_policy=RetryPolicy(),
        active=True, ordered=False, created_at=0, updated_at=0,
    )  # fmt: skip
    return Due(
        receiver=Receiver(webhook=hook, headers=None, secrets=[]),
        event_id=f"{number:03}",
        session_id="",
        body=b"",
        attempts=0,
        timestamp=0,
    )


def begun(queue: Turns) -> list[Due]:
    found = []
    while (each := queue.next()) is not None:
        found.append(each)
    return found


def who(found: list[Due]) -> list[str]:
    return [each.receiver.webhook.id for each in found]


def test_a_webhook_has_four_under_way_and_the_next_only_when_one_is_done() -> None:
    queue = Turns()
    for number in range(10):
        queue.put(due("o", "w", number))
    first = begun(queue)
    assert [each.event_id for each in first] == ["000", "001", "002", "003"]
    assert len(first) == OF_A_WEBHOOK
    queue.done(first[2])
    assert [each.event_id for each in begun(queue)] == ["004"]
    assert queue.load("w") == 9


def test_organizations_take_turns_and_within_them_webhooks_do() -> None:
    queue = Turns()
    for webhook in ("a1", "a2", "a3"):
        for _ in range(2):
            queue.put(due("a", webhook))
    for _ in range(3):
        queue.put(due("b", "b1"))
    assert who(begun(queue)) == ["a1", "b1", "a2", "b1", "a3", "b1", "a1", "a2", "a3"]


def test_an_organization_of_dead_webhooks_leaves_room_for_the_others() -> None:
    queue = Turns()
    for number in range(OF_ALL):
        queue.put(due("many", f"m{number}"))
    assert len(begun(queue)) == OF_AN_ORGANIZATION
    queue.put(due("few", "f"))
    assert who(begun(queue)) == ["f"]


def test_all_together_have_a_limit_and_what_was_waiting_goes_on_after_it() -> None:
    queue = Turns()
    for number in range(OF_ALL + 10):
        queue.put(due(f"o{number}", f"w{number}"))
    first = begun(queue)
    assert len(first) == OF_ALL
    queue.done(first[0])
    assert who(begun(queue)) == [f"w{OF_ALL}"]


def test_it_forgets_what_is_over() -> None:
    queue = Turns()
    queue.put(due("o", "w"))
    for each in begun(queue):
        queue.done(each)
    assert queue.load("w") == 0
    assert not any(vars(queue)[name] for name in vars(queue))
    assert turns.OF_ALL < 1000


def test_what_is_dropped_is_given_back_and_nobody_else_loses_a_turn() -> None:
    queue = Turns()
    for number in range(6):
        queue.put(due("o", "w", number))
    queue.put(due("o", "v"))
    queue.put(due("p", "u"))
    first = begun(queue)
    assert [each.event_id for each in queue.drop("w")] == ["004", "005"]
    assert queue.drop("w") == queue.drop("nobody") == begun(queue) == []
    for each in first:
        queue.done(each)
    assert queue.load("w") == 0
    queue.put(due("o", "w", 7))
    assert who(begun(queue)) == ["w"]
    for number in range(3):
        queue.put(due("q", "t", number))
    assert len(queue.drop("t")) == 3
    assert begun(queue) == []
    queue.put(due("q", "t"))
    assert who(begun(queue)) == ["t"]
