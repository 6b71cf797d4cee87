"""What comes of loading files, and which files that were."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from sdn.model import Model


class Inputs(Struct):
    """The files that were read, in order, as they were named, each with the digest of what was in it.

    `further` are the files and folders that the lab file names.
    """

    further: tuple[str, ...] = ()
    files: dict[str, bytes] = {}


@dataclass
class Loaded:
    """What was read. `where` says for everything named where it was written; `parts.place_key` makes its keys."""

    model: Model
    warnings: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=Inputs)


def digest(content: bytes) -> bytes:
    """Tells two contents of a file apart."""
    return hashlib.blake2b(content, digest_size=32).digest()
