"""Which files a path stands for: itself, or a folder's YAML and JSON in the order of `kubectl apply -R -f`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sdn.errors import Problem

SUFFIXES = (".yaml", ".yml", ".json")
_NOT_OBJECTS = ("kustomization.yaml", "kustomization.yml")
"""These steer a tool and describe nothing that runs."""


def files(paths: Iterable[Path], problems: list[Problem]) -> list[Path]:
    """Every file once, at its first place; a folder without any is a problem, a missing file shows when it is read."""
    found: dict[Path, Path] = {}
    for path in paths:
        inside = sorted_files(path) if path.is_dir() else [path]
        if not inside:
            problems.append(
                Problem(str(path), 0, 0, f"no file here ends in {', '.join(SUFFIXES)}; name another folder")
            )
        for file in inside:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def sorted_files(folder: Path) -> list[Path]:
    """All manifests below a folder, names in order at every level; hidden ones and links to folders are left alone."""
    return list(_walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if not entry.is_symlink():
                yield from _walk(entry)
        elif entry.suffix in SUFFIXES and entry.name not in _NOT_OBJECTS:
            yield entry
