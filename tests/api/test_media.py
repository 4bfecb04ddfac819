"""Media over HTTP: what is refused leaves nothing; what is said arrives whole, in ranges, and goes after its days."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.files import HTML, JPEG, MP3, MP4, OPUS_VOICE, PDF, PNG, SVG, VORBIS, WEBP
from tests.support.gateways import invalid, key, organization, refused
from tests.support.media import PEER, arrived, b64, files, image, rows, said, send
from wagate import testing
from wagate.model.media import FILE_BYTES
from wagate.testing import SandboxGateway

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    with testing.gateway(tmp_path_factory.mktemp("wagate") / "data", clock="manual") as running:
        yield running


@pytest.fixture(scope="module")
def here(wagate: SandboxGateway) -> str:
    """The path of a working session without a budget."""
    return "/sessions/" + str(wagate.linked("9990000001")["id"])


@pytest.fixture(scope="module")
def there(wagate: SandboxGateway) -> str:
    """The path of the session that `PEER` has."""
    return "/sessions/" + str(wagate.linked(PEER)["id"])


@pytest.fixture
def nothing_stays(wagate: SandboxGateway, here: str) -> Iterator[None]:
    """Nothing is sent, and nothing stored."""

    def look() -> tuple[Any, ...]:
        outbox = wagate.run(wagate.running.gw.db.all("SELECT COUNT(*) FROM outbox"))[0][0]
        return rows(wagate), files(wagate), outbox, len(wagate.get("/sandbox/audit?limit=200")["data"])

    before = look()
    yield
    assert look() == before


# What is refused


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (image(), "media"),
        (image(data=b64(PNG), url="https://127.0.0.2:9/x.png"), "media"),
        (image(data=b64(PNG), id="med_1"), "media"),
        (image(data="not base64!"), "media.data"),
        (image(data="AAA=AAA="), "media.data"),
        (image(data="data:image/png,plain"), "media.data"),
        (image(data=""), "media.data"),
        (image(data="data:image/png;base64,"), "media.data"),
        (image(data="?" * 200_000), "media.data"),
        (image(id="med_unknown"), "media.id"),
        (image(url="ftp://example.com/x"), "media.url"),
        (image(url="http://127.0.0.1:9/"), "media.url"),
        (image(url="http://[::ffff:127.0.0.1]:9/"), "media.url"),
        (image(url="http://127.0.0.2:9/x.png"), "media.url"),
        (image(url="http://user:word@127.0.0.2:9/"), "media.url"),
        (image(url="http://2130706433:9/"), "media.url"),
        (image(data=b64(PDF)), "media"),
        (image(data=b64(HTML), mimetype="image/png"), "media"),
        (image(data=b64(SVG), mimetype="image/svg+xml"), "media"),
        (image(data=b64(b"rare")), "media"),
        (image(data=b64(PNG), filename="../x.png"), "media.filename"),
        (image(data=b64(PNG), mimetype="image"), "media.mimetype"),
        (image(data=b64(PNG), voice=True), "media.voice"),
        ({"type": "sticker", "to": PEER, "media": {"data": b64(PNG)}}, "media"),
        ({"type": "sticker", "to": PEER, "media": {"data": b64(WEBP), "caption": "x"}}, "media.caption"),
        ({"type": "audio", "to": PEER, "media": {"data": b64(MP3), "voice": True}}, "media"),
        ({"type": "audio", "to": PEER, "media": {"data": b64(VORBIS), "voice": True}}, "media"),
        ({"type": "video", "to": PEER, "media": {"data": b64(PNG)}}, "media"),
        ({"type": "document", "to": PEER}, "media"),
        ({"type": "album", "to": PEER, "medias": [{"data": b64(PNG)}]}, "medias"),
        ({"type": "album", "to": PEER, "medias": [{"data": b64(PNG)}] * 11}, "medias"),
        ({"type": "album", "to": PEER, "medias": [{"data": b64(PNG)}, {}]}, "medias[1]"),
        ({"type": "album", "to": PEER, "medias": [{"data": b64(PNG)}, {"data": b64(PDF)}]}, "medias[1]"),
        ({**image(data=b64(PNG)), "mentions": ["x@y"]}, "mentions[0]"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_nothing_of_it_stays(
    wagate: SandboxGateway, here: str, nothing_stays: None, body: Any, path: str
) -> None:
    invalid(send(wagate, here, body), path)


def test_a_file_over_its_limit_is_too_large(wagate: SandboxGateway, here: str, nothing_stays: None) -> None:
    too_much = PNG + bytes(FILE_BYTES - len(PNG) + 1)
    refused(send(wagate, here, image(data=b64(too_much))), 413, "payload_too_large")
    refused(wagate.ask("POST", "/media", too_much), 413, "payload_too_large")


def test_an_album_over_its_limit_is_too_large(wagate: SandboxGateway, here: str, nothing_stays: None) -> None:
    big = wagate.ask("POST", "/media", PNG + bytes(FILE_BYTES - len(PNG))).body["id"]
    album = {"type": "album", "to": PEER, "medias": [{"id": big}] * 5}
    refused(send(wagate, here, album), 413, "payload_too_large")
    wagate.run(_dropped(wagate, big))


async def _dropped(wagate: SandboxGateway, id: str) -> None:
    await wagate.running.gw.blobs.remove([id])
    await wagate.running.gw.db.write(lambda tx: tx.run("DELETE FROM media WHERE id = :id", id=id))


def test_an_empty_upload_is_refused(wagate: SandboxGateway, nothing_stays: None, here: str) -> None:
    refused(wagate.ask("POST", "/media", b""), 400)


def test_another_organizations_upload_is_like_an_unknown_one(wagate: SandboxGateway, here: str) -> None:
    theirs = key(wagate, owner=organization(wagate))
    mine = wagate.ask("POST", "/media", PNG, key=theirs).body["id"]
    foreign, unknown = send(wagate, here, image(id=mine)), send(wagate, here, image(id="med_none"))
    invalid(foreign, "media.id")
    assert foreign.body == unknown.body


def test_what_is_no_media_has_none_to_give(wagate: SandboxGateway, here: str) -> None:
    text = said(wagate, here, {"type": "text", "to": PEER, "text": "hello"})
    refused(wagate.ask("GET", f"{here}/messages/{text}/media"), 404, "not_found")
    refused(wagate.ask("GET", f"{here}/messages/none/media"), 404, "not_found")
    foreign = key(wagate, owner=organization(wagate))
    mine = said(wagate, here, image(data=b64(PNG)))
    refused(wagate.ask("GET", f"{here}/messages/{mine}/media", key=foreign), 404, "not_found")
    refused(wagate.ask("GET", f"{here}/messages/{mine}/media", key=key(wagate, "send")), 403, "forbidden")


# What is said and got


@pytest.mark.parametrize(
    ("kind", "data", "more", "mimetype"),
    [
        ("image", PNG, {"caption": "look", "filename": "a ü.png"}, "image/png"),
        ("image", JPEG, {"mimetype": "image/png"}, "image/jpeg"),
        ("video", MP4, {}, "video/mp4"),
        ("audio", MP3, {}, "audio/mpeg"),
        ("audio", OPUS_VOICE, {"voice": True}, "audio/ogg; codecs=opus"),
        ("document", PDF, {"filename": "a.pdf"}, "application/pdf"),
        ("document", HTML, {}, "text/html"),
        ("document", b"a,b\n", {"mimetype": "text/csv"}, "text/csv"),
        ("document", b"\0", {}, "application/octet-stream"),
        ("sticker", WEBP, {}, "image/webp"),
    ],
)
def test_what_is_said_arrives_as_the_same_bytes(
    wagate: SandboxGateway, here: str, there: str, kind: str, data: bytes, more: dict[str, Any], mimetype: str
) -> None:
    mid = said(wagate, here, {"type": kind, "to": PEER, "media": {"data": b64(data), **more}})
    mine, theirs = f"{here}/messages/{mid}", arrived(wagate, there, mid)
    for path in (mine, theirs):
        seen = wagate.get(path)
        assert (seen["type"], seen["hasMedia"]) == (kind, True)
        assert seen["media"]["mimetype"] == mimetype
        assert seen["media"]["size"] == len(data)
        assert seen["media"].get("filename") == more.get("filename")
        assert seen.get("body") == more.get("caption")
        got = wagate.ask("GET", f"{path}/media")
        assert (got.status, got.headers["content-type"], got.body) == (200, mimetype, data)
        assert got.headers["content-disposition"].startswith("attachment")
        assert got.headers["x-content-type-options"] == "nosniff"


def test_large_base64_and_a_data_uri_are_the_same_file(wagate: SandboxGateway, here: str, there: str) -> None:
    data = PNG + bytes(3 * MIB)
    mid = said(wagate, here, image(data="data:image/png;base64," + b64(data).rstrip("=")))
    path = arrived(wagate, there, mid) + "/media"
    part = wagate.ask("GET", path, headers={"range": f"bytes={MIB}-{MIB + 9}"})
    assert (part.status, part.body) == (206, data[MIB : MIB + 10])
    assert part.headers["content-range"] == f"bytes {MIB}-{MIB + 9}/{len(data)}"
    refused(wagate.ask("GET", path, headers={"range": f"bytes={len(data)}-"}), 416, "range_not_satisfiable")
    assert wagate.ask("HEAD", path).headers["content-length"] == str(len(data))
    assert wagate.ask("GET", path).body == data


def test_the_same_key_and_the_same_bytes_are_one_send(wagate: SandboxGateway, here: str) -> None:
    first = send(wagate, here, image(data=b64(PNG)), idempotency_key="same-1")
    before = rows(wagate), files(wagate)
    again = send(wagate, here, image(data=b64(PNG).rstrip("=")), idempotency_key="same-1")
    assert again.body["replayed"] is True
    assert again.body["waMessageId"] == first.body["waMessageId"]
    assert (rows(wagate), files(wagate)) == before
    refused(send(wagate, here, image(data=b64(JPEG)), idempotency_key="same-1"), 409, "conflict")


def test_an_upload_is_used_more_than_once(wagate: SandboxGateway, here: str, there: str) -> None:
    up = wagate.ask("POST", "/media", PNG, headers={"content-type": "application/x-www-form-urlencoded"})
    assert up.status == 201
    assert up.body == {"id": up.body["id"], "mimetype": "image/png", "size": len(PNG)}
    for _ in range(2):
        mid = said(wagate, here, image(id=up.body["id"]))
        assert wagate.ask("GET", arrived(wagate, there, mid) + "/media").body == PNG
    invalid(send(wagate, here, {"type": "sticker", "to": PEER, "media": {"id": up.body["id"]}}), "media")


def test_an_album_is_its_items(wagate: SandboxGateway, here: str, there: str) -> None:
    album = {"type": "album", "to": PEER, "caption": "trip", "medias": [{"data": b64(PNG)}, {"data": b64(MP4)}]}
    sent = send(wagate, here, album)
    assert sent.status == 200, sent.body
    for mid, kind, data in zip(sent.body["itemIds"], ("image", "video"), (PNG, MP4), strict=True):
        path = arrived(wagate, there, mid)
        assert wagate.get(path)["type"] == kind
        assert wagate.ask("GET", f"{path}/media").body == data
        assert wagate.ask("GET", f"{here}/messages/{mid}/media").body == data


def test_many_who_ask_first_get_it_all(wagate: SandboxGateway, here: str, there: str) -> None:
    mid = said(wagate, here, image(data=b64(PNG + bytes(MIB))))
    path = arrived(wagate, there, mid) + "/media"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: wagate.ask("GET", path), range(8)))
    assert {each.status for each in answers} == {200}
    assert {len(each.body) for each in answers} == {len(PNG) + MIB}


def test_what_is_not_here_needs_the_connection(wagate: SandboxGateway, here: str) -> None:
    other = "/sessions/" + str(wagate.linked("9990000003")["id"])
    first, second = (said(wagate, here, {**image(data=b64(PNG)), "to": "9990000003"}) for _ in range(2))
    assert wagate.ask("GET", arrived(wagate, other, first) + "/media").status == 200
    path = arrived(wagate, other, second) + "/media"
    wagate.post(f"{other}:stop")
    refused(wagate.ask("GET", path), 501, "not_implemented")
    assert wagate.ask("GET", f"{other}/messages/{first}/media").status == 200


def test_a_deleted_session_takes_its_files_along(wagate: SandboxGateway) -> None:
    doomed = "/sessions/" + str(wagate.linked("9990000004")["id"])
    before = files(wagate)
    said(wagate, doomed, image(data=b64(PNG)))
    assert len(files(wagate)) == len(before) + 1
    wagate.ask("DELETE", doomed)
    wagate.run(_clean(wagate))
    assert files(wagate) == before


async def _clean(wagate: SandboxGateway) -> None:
    from wagate.workers import janitor

    await janitor.once(wagate.running.gw, wagate.running.engines)


# Time


def test_files_are_kept_for_their_days_also_over_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with testing.gateway(folder, clock="manual", media_days=2) as wagate:
        here, there = (f"/sessions/{wagate.linked(phone)['id']}" for phone in ("9990000001", PEER))
        mid = said(wagate, here, image(data=b64(PNG)))
        paths = [f"{here}/messages/{mid}/media", arrived(wagate, there, mid) + "/media"]
        assert [wagate.ask("GET", path).body for path in paths] == [PNG, PNG]
        up = wagate.ask("POST", "/media", JPEG).body["id"]
    with testing.gateway(folder, clock="manual", media_days=2) as wagate:
        wagate.until(lambda: wagate.working(here.rpartition("/")[2]))
        assert [wagate.ask("GET", path).body for path in paths] == [PNG, PNG]
        assert send(wagate, here, image(id=up)).status == 200
        wagate.post("/sandbox/clock", {"advanceSeconds": 86_400})
        invalid(send(wagate, here, image(id=up)), "media.id")
        assert [wagate.ask("GET", path).body for path in paths] == [PNG, PNG]
        wagate.post("/sandbox/clock", {"advanceSeconds": 86_401})
        for path in paths:
            refused(wagate.ask("GET", path), 410, "gone")
        wagate.run(_clean(wagate))
        for path in paths:
            refused(wagate.ask("GET", path), 410, "gone")
        assert files(wagate) == []


def test_files_are_fetched_as_they_arrive_where_that_is_wanted(tmp_path: Path) -> None:
    with testing.gateway(tmp_path / "data", media_fetch="on_arrival") as wagate:
        here, there = (f"/sessions/{wagate.linked(phone)['id']}" for phone in ("9990000001", PEER))
        mid = said(wagate, here, image(data=b64(PNG)))
        path = arrived(wagate, there, mid) + "/media"
        wagate.until(lambda: len(files(wagate)) == 2)
        wagate.until(lambda: len(wagate.run(wagate.running.gw.db.all("SELECT 1 FROM media WHERE size > 0"))) == 2)
        wagate.post(f"{there}:stop")
        assert wagate.ask("GET", path).body == PNG
