"""Files that were loaded before are not parsed again: their Model is kept in the user's cache directory.

Never stale: an entry counts only if every file that it was made from holds the same bytes, no folder has gained or
lost one, and the code that read them is the same. Where anything is wrong with it, the files are loaded without it.
"""

# ruff: noqa: PLC0415 - importing what reads files takes longer than reading an entry
from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from sdn import __version__
from sdn.model import Model
from sdn.spec.files import files
from sdn.spec.loaded import Inputs, Loaded, digest
from sdn.spec.parts import Places

MAX_BYTES = 128 * 1024 * 1024
"""Of one entry; whoever has a larger lab waits longer for everything else."""
MAX_ENTRIES = 32
MAX_TOTAL = 512 * 1024 * 1024
"""Bytes of all entries; who was not read for longest goes."""

_READERS = ("spec", "model")
"""The folders whose code decides what comes of a file."""

_LIBRARIES = ("pydantic-", "pydantic_core-", "pyyaml-")
"""What they read files with, as it is called where it is installed; msgspec says its version itself."""


class _Entry(Struct):
    stamp: bytes
    inputs: Inputs
    model: Model
    warnings: tuple[str, ...]


def load(paths: Sequence[Path]) -> Loaded:
    """The same as `load.load`, and sooner where nothing has changed since. Mistakes are never remembered."""
    folder = _folder()
    if folder is None:
        return _afresh(paths)
    file, stamp = folder / _name(paths), _stamp()
    entry = _read(file)
    if entry is not None and entry.stamp == stamp and _is_current(entry.inputs, paths):
        with contextlib.suppress(OSError):
            os.utime(file)
        return Loaded(entry.model, entry.warnings, Places(lambda: _afresh(paths).where), entry.inputs)
    loaded = _afresh(paths)
    _write(file, _Entry(stamp, loaded.inputs, loaded.model, loaded.warnings))
    return loaded


def _afresh(paths: Sequence[Path]) -> Loaded:
    from sdn.spec import load

    return load.load(paths)


def _folder() -> Path | None:
    """The user's own, where nobody else may write; None where there is no such place."""
    written = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = (Path(written) if written.startswith("/") else Path.home() / ".cache") / "sdn"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except (OSError, RuntimeError):  # nowhere to write, or nobody's home
        return None
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
    return folder if is_ours else None


def _name(paths: Sequence[Path]) -> str:
    """One entry for each way to name files: as they are written, they stand in what is told of them.

    Where a link leads counts, too: manifests have their name from there.
    """
    written = "\0".join(f"{path}\0{path.absolute()}\0{path.resolve()}" for path in paths)
    return digest(os.fsencode(written)).hex()[:40] + ".msgpack"


def _stamp() -> bytes:
    """Of the code, down to each of its files: a version is the same from one release to the next."""
    versions = f"{__version__} {sys.version} {msgspec.__version__}"
    return digest(os.fsencode("\n".join([versions, *_libraries(), *_code()])))


def _libraries() -> Iterator[str]:
    """Name and version of each; to import `importlib.metadata`, which would say it, takes longer than all else here."""
    for folder in sys.path:
        with contextlib.suppress(OSError):  # an archive, or nothing at all
            names = [entry.name for entry in os.scandir(folder) if entry.name.endswith((".dist-info", ".egg-info"))]
            yield from sorted(name for name in names if name.lower().startswith(_LIBRARIES))


def _code() -> Iterator[str]:
    root = Path(__file__).parent.parent
    for reader in _READERS:
        for path in sorted((root / reader).rglob("*.py")):
            found = path.stat()
            yield f"{path} {found.st_size} {found.st_mtime_ns}"


def _is_current(inputs: Inputs, paths: Sequence[Path]) -> bool:
    try:
        now = files([*paths, *map(Path, inputs.further)], [])
        if [str(file) for file in now] != list(inputs.files) or not all(file.is_file() for file in now):
            return False  # a pipe can be read once, and that is for who loads it
        return all(digest(file.read_bytes()) == inputs.files[str(file)] for file in now)
    except OSError:
        return False


def _read(file: Path) -> _Entry | None:
    """None where there is none, or none of ours."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if os.fstat(descriptor).st_uid != os.geteuid():
                return None
            return msgspec.msgpack.decode(stream.read(), type=_Entry)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return None


def _write(file: Path, entry: _Entry) -> None:
    """All of it or nothing, whoever else writes at the same time; what cannot be written is not kept."""
    try:
        content = msgspec.msgpack.encode(entry)
    except ValueError:  # a name of a file need not be text
        return
    if len(content) > MAX_BYTES:
        return
    unfinished = file.with_suffix(f".{os.getpid()}.part")
    with contextlib.suppress(OSError):
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
        _forget_oldest(file.parent)


def _forget_oldest(folder: Path) -> None:
    """Those beyond the limits, by when they were last read; also what was left unfinished, once it is among these."""
    found = [(entry.lstat(), entry) for entry in folder.iterdir()]
    total = 0
    for number, (about, entry) in enumerate(sorted(found, key=lambda one: -one[0].st_mtime_ns)):
        total += about.st_size
        if number >= MAX_ENTRIES or total > MAX_TOTAL:
            entry.unlink(missing_ok=True)
