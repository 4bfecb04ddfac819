"""What phones show of a file before they have it: a small picture, its size, its length, the drawn wave of a voice.

Made by ffmpeg, where the machine has it; without it, and whenever it fails, files go without. The files are strangers':
ffmpeg gets one file to read and nothing else (no network, no other file that it may name), a list of formats to try, a
bounded time and memory, an empty environment, and never the file's name. Used by sending.py, in a host.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import re
import shutil
import signal
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger(__name__)

_WAIT_SECONDS, _SECONDS = 5.0, 10.0
"""How long a file waits for those before it, and how long it may take itself: a send is not held up for longer."""

_CPU_SECONDS, _MEMORY_KIB = 5, 1 << 20
_OUTPUT_OCTETS = 12 << 20
_WIDEST, _LARGEST_OCTETS = 100, 32 << 10
_SAMPLES_A_SECOND = 1_000
_BARS = 64

_FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,ogg,mp3,wav,aac,flac,amr,"
    "image2,jpeg_pipe,png_pipe,webp_pipe,gif,gif_pipe,bmp_pipe"
)
"""What is tried to be read: no playlists and no scripts, which name other files."""

_SHOWN = re.compile(rb"^#dimensions 0: (\d+)x(\d+)$", re.MULTILINE)
_TIMEBASE = re.compile(rb"^#tb 0: (\d+)/(\d+)$", re.MULTILINE)
_one_at_a_time = asyncio.Semaphore(1)


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file: a JPEG, pixels, whole seconds, and 64 bars from 0 to 100. Empty or 0: not known."""

    jpeg: bytes = b""
    width: int = 0
    height: int = 0
    seconds: int = 0
    wave: bytes = b""


NOTHING = Preview()


def program() -> str | None:
    """Where ffmpeg is, if it is installed."""
    return shutil.which("ffmpeg")


async def look(file: Path, kind: str) -> Preview:
    """What there is to show of a file that is said as this kind of content; empty where it cannot be found out."""
    ffmpeg = program()
    if ffmpeg is None or kind not in ("image", "video", "audio"):
        return NOTHING
    try:
        await asyncio.wait_for(_one_at_a_time.acquire(), _WAIT_SECONDS)
    except TimeoutError:
        return NOTHING
    try:
        async with asyncio.timeout(_SECONDS):
            return await (_heard(ffmpeg, file) if kind == "audio" else _seen(ffmpeg, file, moves=kind == "video"))
    except (OSError, TimeoutError, ValueError) as error:
        log.info("a file goes without a preview", kind=kind, error=type(error).__name__)
        return NOTHING
    finally:
        _one_at_a_time.release()


async def _seen(ffmpeg: str, file: Path, *, moves: bool) -> Preview:
    scale = f"scale={_WIDEST}:{_WIDEST}:force_original_aspect_ratio=decrease:force_divisible_by=2"
    jpeg = await _run(
        ffmpeg, file, "-map", "0:v:0", "-frames:v", "1", "-vf", scale, "-q:v", "8", "-c:v", "mjpeg",
        "-pix_fmt", "yuvj420p", "-f", "image2pipe",
    )  # fmt: skip
    # Nothing is decoded here: how large it is and when each picture is shown stands in the file.
    listed = await _run(ffmpeg, file, "-map", "0:v:0", "-c", "copy", "-f", "framecrc")
    shown = _SHOWN.search(listed)
    return Preview(
        jpeg=jpeg if jpeg.startswith(b"\xff\xd8") and len(jpeg) <= _LARGEST_OCTETS else b"",
        width=int(shown[1]) if shown else 0,
        height=int(shown[2]) if shown else 0,
        seconds=_length(listed) if moves else 0,
    )


def _length(listed: bytes) -> int:
    """Whole seconds, rounded up, to the end of the last picture."""
    timebase = _TIMEBASE.search(listed)
    lines = [line.split(b",") for line in listed.splitlines() if line.startswith(b"0,")]
    if timebase is None or not lines:
        return 0
    end = max(int(pts) + int(duration) for _, _, pts, duration, *_ in lines)
    return -(-end * int(timebase[1]) // int(timebase[2]))


async def _heard(ffmpeg: str, file: Path) -> Preview:
    pcm = await _run(ffmpeg, file, "-map", "0:a:0", "-ac", "1", "-ar", str(_SAMPLES_A_SECOND), "-f", "s16le")
    samples = array.array("h", pcm[: len(pcm) // 2 * 2])
    return Preview(seconds=-(-len(samples) // _SAMPLES_A_SECOND), wave=_wave(samples))


def _wave(samples: array.array[int]) -> bytes:
    """64 bars: how loud each 64th is, beside the loudest."""
    if not samples:
        return b""
    loud = []
    for bar in range(_BARS):
        part = samples[len(samples) * bar // _BARS : len(samples) * (bar + 1) // _BARS]
        loud.append(sum(map(abs, part)) / len(part) if part else 0.0)
    most = max(loud)
    return bytes(round(100 * each / most) if most else 0 for each in loud)


async def _run(ffmpeg: str, file: Path, *how: str) -> bytes:
    """What ffmpeg writes.

    Raises:
        ValueError: it failed, or writes too much.
    """
    given = ("-nostdin", "-hide_banner", "-v", "error", "-threads", "1")
    reads = ("-protocol_whitelist", "file", "-format_whitelist", _FORMATS, "-i", f"file:{file}")
    limits = f'ulimit -v {_MEMORY_KIB}; ulimit -t {_CPU_SECONDS}; ulimit -c 0; exec "$0" "$@"'
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", limits, ffmpeg, *given, *reads, *how, "-threads", "1", "pipe:1",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        cwd="/",
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        written = await _all(process.stdout)
        status = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if status:
        raise ValueError(f"ffmpeg ended with {status}")
    return written


async def _all(stream: asyncio.StreamReader) -> bytes:
    written = bytearray()
    while piece := await stream.read(1 << 16):
        written += piece
        if len(written) > _OUTPUT_OCTETS:
            raise ValueError("too much")
    return bytes(written)
