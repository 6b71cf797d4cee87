"""Where real systems differ: `--no-ipblock-pods` and `--no-judge-hairpin`, the same on every verb that asks policies.

A lab that is up was built one way or the other. A verb that asks it takes a switch as a claim, and refuses if the lab
was built otherwise: policies that were read in one way say nothing of a kernel that enforces the other.
"""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from pathlib import Path

    from sdn.model import Model
    from sdn.spec.loaded import Loaded

Returned = TypeVar("Returned")

NAMES = {
    "--no-ipblock-pods": ("ipblock_matches_pods", "NetworkPolicy's ipBlock matches no pod, only addresses outside."),
    "--no-judge-hairpin": ("judge_hairpin", "No policy judges a client that a Service leads back to itself."),
}
"""Option → the field of `Options` that it turns off, and its help."""


class Switches(NamedTuple):
    """The options that somebody has written, as they are written."""

    written: tuple[str, ...] = ()

    def of(self, model: Model) -> Model:
        """The lab with these switched off, and everything else as its files say."""
        from msgspec.structs import replace

        off = {NAMES[option][0]: False for option in self.written}
        return replace(model, options=replace(model.options, **off)) if off else model

    def load(self, paths: Sequence[Path]) -> Loaded:
        """Files as they are read for a lab."""
        from dataclasses import replace

        from sdn.spec.cache import load

        loaded = load(paths)
        return replace(loaded, model=self.of(loaded.model))

    def require(self, lab: str, model: Model) -> None:
        """LabError where a lab that is up was built otherwise."""
        from sdn.errors import LabError

        wrong = [option for option in self.written if getattr(model.options, NAMES[option][0])]
        if wrong:
            told = " ".join(wrong)
            raise LabError(f"lab {lab} was built without {told}; change it first with `sdn apply FILE {told}`")


def switches_option(command: Callable[..., Returned]) -> Callable[..., Returned]:
    """All of them as one argument, `switches`."""

    @wraps(command)
    def collected(*args: Any, **given: Any) -> Returned:
        written = tuple(option for option in NAMES if given.pop(_parameter(option)))
        return command(*args, **given, switches=Switches(written))

    for option, (_, words) in reversed(NAMES.items()):
        click.option(option, _parameter(option), is_flag=True, help=words)(collected)
    return collected


def _parameter(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")
