"""Previews: what a stranger's file may do to us, which is nothing, and what phones are shown of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from tests.support.whatsapp import alive, eventually, why_not
from wagate.engines.whatsapp import content, previews
from wagate.engines.whatsapp.previews import NOTHING, Preview, look
from wagate.model.contents import AudioContent, ImageContent, Media, VideoContent

pytestmark = pytest.mark.anyio


def _bundled() -> str | None:
    """The one that a package for tests brings, where there is one for this machine."""
    try:
        return str(get_ffmpeg_exe())
    except RuntimeError:
        return None


FFMPEG = previews.program() or _bundled()
real = pytest.mark.skipif(FFMPEG is None, reason="there is no ffmpeg here")


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is found, as where it is installed."""
    assert FFMPEG is not None
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "ffmpeg").symlink_to(FFMPEG)
    monkeypatch.setenv("PATH", f"{tmp_path / 'installed'}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something else under the name of ffmpeg; what it does is written there by the test."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder / "ffmpeg"


def does(program: Path, script: str) -> None:
    """Let it do this."""
    program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    program.chmod(0o700)


async def test_without_ffmpeg_there_is_nothing_to_show(stand_in: Path, tmp_path: Path) -> None:
    assert previews.program() is None
    assert await look(tmp_path / "file", "image") == NOTHING


@pytest.mark.parametrize("kind", ["document", "sticker"])
async def test_of_other_files_nothing_is_shown(stand_in: Path, tmp_path: Path, kind: str) -> None:
    does(stand_in, f"touch {tmp_path}/ran")
    assert await look(tmp_path / "file", kind) == NOTHING
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["image", "video", "audio"])
@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$", "exec 1>&-; exit 3", "yes | head -c 20000000"])
async def test_a_program_that_fails_or_does_not_stop_writing_is_nothing(
    stand_in: Path, tmp_path: Path, kind: str, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is too long is read no further, and who writes on is waited for as long as for others.
    monkeypatch.setattr(previews, "_SECONDS", 0.5)
    does(stand_in, script)
    assert await look(tmp_path / "file", kind) == NOTHING


async def test_nonsense_is_nothing(stand_in: Path, tmp_path: Path) -> None:
    does(stand_in, "echo nonsense")
    assert await look(tmp_path / "file", "image") == NOTHING
    assert await look(tmp_path / "file", "video") == NOTHING
    assert (await look(tmp_path / "file", "audio")).seconds == 1


async def test_a_program_that_hangs_is_ended(
    stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(previews, "_SECONDS", 0.5)
    does(stand_in, f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    looking = asyncio.ensure_future(look(tmp_path / "file", "image"))
    # On a slow machine it may be ended before it has begun.
    assert await looking == NOTHING
    if (tmp_path / "pid").exists() and (written := (tmp_path / "pid").read_text().strip()):
        await eventually(lambda: not alive(int(written)))


async def test_it_is_given_one_file_and_nothing_of_ours(
    stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv("A_SECRET", "known to us")
    does(stand_in, f'env > {tmp_path}/env; for each in "$@"; do echo "$each" >> {tmp_path}/asked; done; ulimit -v')
    await look(Path("/somewhere/-i"), "audio")
    assert "A_SECRET" not in (tmp_path / "env").read_text()
    asked = (tmp_path / "asked").read_text().split("\n")
    reads = asked.index("-i")
    assert asked[asked.index("-protocol_whitelist") + 1] == "file"
    assert asked.index("-protocol_whitelist") < asked.index("-format_whitelist") < reads
    assert asked[reads + 1] == "file:/somewhere/-i"
    formats = asked[asked.index("-format_whitelist") + 1].split(",")
    assert not {"hls", "concat", "dash", "lavfi", "sdp", "rtsp"} & set(formats)


@pytest.mark.skipif(bool(why_not()), reason=why_not())
async def test_a_message_says_what_is_known_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.emulator import schemas

    # The classes alone: the package around them loads the native library.
    monkeypatch.setattr(content, "_proto", lambda: schemas)

    class Uploaded:
        url = DirectPath = "x"
        MediaKey = FileSHA256 = FileEncSHA256 = b"x"
        FileLength = 1

    place = content.Place("999@s.whatsapp.net")
    known = Preview(jpeg=b"\xff\xd8", width=640, height=360, seconds=3, wave=bytes(64))
    media, voice = Media(mimetype="x/y", size=1), Media(mimetype="x/y", size=1, voice=True)

    def said(what: ImageContent | VideoContent | AudioContent, preview: Preview) -> object:
        message = content.message_of(what, place, now=1, uploaded=Uploaded, preview=preview)
        return getattr(message, message.ListFields()[0][0].name)

    picture = said(ImageContent(media=media), known)
    assert (picture.JPEGThumbnail, picture.width, picture.height) == (b"\xff\xd8", 640, 360)  # type: ignore[attr-defined]
    assert said(VideoContent(media=media), known).seconds == 3  # type: ignore[attr-defined]
    assert said(AudioContent(media=voice), known).waveform == bytes(64)  # type: ignore[attr-defined]
    assert not said(AudioContent(media=media), known).HasField("waveform")  # type: ignore[attr-defined]
    bare = said(ImageContent(media=media), NOTHING)
    assert not any(bare.HasField(name) for name in ("JPEGThumbnail", "width", "height"))  # type: ignore[attr-defined]


# With the program itself.


def made(place: Path, *how: str) -> Path:
    """A file that ffmpeg makes; its name says nothing, as in the blob store."""
    assert FFMPEG is not None
    subprocess.run([FFMPEG, "-v", "error", "-y", "-f", "lavfi", *how, str(place)], check=True, timeout=60)
    return place.rename(place.with_suffix(""))


@real
@pytest.mark.usefixtures("ffmpeg")
async def test_a_picture_is_shown_small_with_its_size(tmp_path: Path) -> None:
    file = made(tmp_path / "file.png", "-i", "testsrc=size=800x600", "-frames:v", "1")
    shown = await look(file, "image")
    assert (shown.width, shown.height, shown.seconds, shown.wave) == (800, 600, 0, b"")
    assert shown.jpeg.startswith(b"\xff\xd8")
    assert len(shown.jpeg) < 10_000


@real
@pytest.mark.usefixtures("ffmpeg")
async def test_a_video_is_shown_by_its_first_picture_with_its_length(tmp_path: Path) -> None:
    file = made(tmp_path / "file.mp4", "-i", "testsrc=size=320x240:rate=10:duration=3", "-pix_fmt", "yuv420p")
    shown = await look(file, "video")
    assert (shown.width, shown.height, shown.seconds) == (320, 240, 3)
    assert shown.jpeg.startswith(b"\xff\xd8")


@real
@pytest.mark.usefixtures("ffmpeg")
async def test_a_sound_has_its_length_and_its_wave(tmp_path: Path) -> None:
    file = made(tmp_path / "file.wav", "-i", "sine=frequency=200:duration=2", "-af", "afade=t=out:st=0:d=2")
    shown = await look(file, "audio")
    assert (shown.seconds, len(shown.wave), max(shown.wave)) == (2, 64, 100)
    assert shown.wave[0] > shown.wave[32] > shown.wave[63]


@real
@pytest.mark.usefixtures("ffmpeg")
@pytest.mark.parametrize(
    "words",
    [
        "#EXTM3U\n#EXTINF:10.0,\nfile:{other}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {other}\n",
    ],
)
async def test_a_playlist_leads_to_no_other_file(tmp_path: Path, words: str) -> None:
    other = made(tmp_path / "other.mp4", "-i", "testsrc=size=320x240:rate=10:duration=1", "-pix_fmt", "yuv420p")
    (tmp_path / "file").write_text(words.format(other=other))
    assert await look(tmp_path / "file", "video") == NOTHING
    (tmp_path / "file").write_bytes(os.urandom(5000))
    assert await look(tmp_path / "file", "video") == NOTHING
