"""Whether the rules of Hosts are as planned, in nft's own words: what is wanted is loaded into a namespace made for it.

What a Host has beside elements is compared chain by chain and set by set. Several Hosts share one load, for what is
wanted of them is mostly the same. Elements are compared by nft only where `held` found a difference.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import unified_diff

from sdn.kernel import ruleset, skeleton
from sdn.kernel.held import Contents, Key, holds
from sdn.kernel.libnft import Nft
from sdn.kernel.namespaces import create, delete, inside
from sdn.kernel.owned import TABLE
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.ruleset import Definition
from sdn.kernel.tracked import NETFILTER
from sdn.plan.state import NodeState

SCRATCH = "sdn.scratch"
"""Namespaces in which a wanted ruleset is loaded for comparison; the thread's number follows."""

TOGETHER = 1_000
"""Chains and sets from which no further Host joins a load: nft lists them all again for each piece that it loads."""

_SHOWN = 5
_ELEMENTS = "elements = {"
_INET = f"table inet {TABLE} {{"

Blocks = dict[str, dict[str, list[str]]]
"""First line of a table → first line of a set or chain in it → all its lines."""


class Rulesets:
    """What the Hosts of one Plan shall have; any thread that may enter namespaces may ask."""

    def __init__(self, states: Iterable[NodeState]) -> None:
        self._lock = threading.Lock()
        self._loads = {state.name: load for load in _loads(states) for state in load.states}
        self._contents = Contents()

    def differences(self, state: NodeState) -> Iterator[str]:
        """A sentence for each, at most a few, from within the Host's namespace."""
        with Nft() as nft:
            found = _blocks(_comparable(nft.run("list ruleset", stateless=True, terse=True).splitlines()))
        # It may have had a Service.
        translates = ruleset.translates(state) or any(map(_is_translation, found.get(_INET, {}).values()))
        with self._lock:
            wanted = self._loads[state.name].wanted(state, translates)
        if found == wanted and self._holds(state, found):
            return
        said = list(_differences(state))
        yield from said or ("nft's rules differ from the plan in what it does not list; rebuild the lab",)

    def _holds(self, state: NodeState, found: Blocks) -> bool:
        there = [key for table, blocks in found.items() for key in _sets(table, blocks)]
        with Netlink(NETFILTER) as netlink:
            return holds(netlink, self._contents.of(state), there)


class _Load:
    """Definitions of several Hosts, which do not contradict each other."""

    def __init__(self) -> None:
        self.states: list[NodeState] = []
        self._names: dict[str, frozenset[str]] = {}  # by Host
        self._defined: dict[str, Definition] = {}  # what is referred to before what refers to it
        self._found: Blocks | None = None

    def takes(self, state: NodeState) -> bool:
        """Whether the Host's are among them now; False if they are too many, or others of one of their names."""
        own = {one.name: one for one in ruleset.defined(state)}
        known = self._defined
        others = any(known[name].part != own[name].part for name in own.keys() & known.keys())
        if self.states and (len(known) >= TOGETHER or others):
            return False
        known.update(own)
        self.states.append(state)
        self._names[state.name] = frozenset(own)
        return True

    def wanted(self, state: NodeState, translates: bool) -> Blocks:
        """What one of the Hosts shall have, with or without what translates."""
        found = self._found = self._found or self._listed()
        others = self._defined.keys() - self._names[state.name]
        mine = {head: lines for head, lines in found[_INET].items() if head.strip("\t {") not in others}
        if not translates:
            mine = {head: lines for head, lines in mine.items() if not _is_translation(lines)}
        return found | {_INET: mine}

    def _listed(self) -> Blocks:
        definitions = [command for one in self._defined.values() for command in one.commands()]
        with _loaded([skeleton.tables(), skeleton.translation(), *definitions]) as nft:
            return _blocks(nft.run("list ruleset", stateless=True, terse=True).splitlines())


def _loads(states: Iterable[NodeState]) -> list[_Load]:
    loads = [_Load()]
    for state in states:
        if not loads[-1].takes(state):
            loads.append(_Load())
            loads[-1].takes(state)
    return loads


def _blocks(listing: Iterable[str]) -> Blocks:
    found: Blocks = {}
    table: dict[str, list[str]] = {}
    block: list[str] = []
    for line in listing:
        if not line.startswith("\t"):
            table = found.setdefault(line, {}) if line not in ("", "}") else table
        elif line.startswith("\t\t") or line == "\t}":
            block.append(line)
        else:
            block = table.setdefault(line, [])
    return found


def _is_translation(lines: Iterable[str]) -> bool:
    return any(skeleton.TRANSLATES in line for line in lines)


def _sets(table: str, blocks: Iterable[str]) -> Iterator[Key]:
    family = table.split()[1]
    for words in (head.split() for head in blocks):
        if words[0] in ("set", "map"):
            yield family, words[1]


def _differences(state: NodeState) -> Iterator[str]:
    """All that nft lists of the Host that the thread is in, beside all that it lists where that is loaded."""
    with Nft() as nft:
        found = _sorted(_apart(_comparable(nft.run("list ruleset", stateless=True).splitlines())))
    translation = [skeleton.translation()] if _is_translation(found) else []
    with _loaded([skeleton.tables(), *ruleset.populate(state), *translation]) as nft:
        wanted = _sorted(_apart(nft.run("list ruleset", stateless=True).splitlines()))
    changes = [line for line in unified_diff(wanted, found, lineterm="", n=0) if line[:2] not in ("--", "++", "@@")]
    for line in changes[:_SHOWN]:
        what = "is missing" if line.startswith("-") else "is not planned"
        yield f"nft {line[1:].strip()} {what}"
    if len(changes) > _SHOWN:
        yield f"{len(changes) - _SHOWN} more nft lines differ"


def _comparable(listing: list[str]) -> Iterator[str]:
    """Without our losses of cables: they name devices, which the namespace for comparison lacks."""
    skipping = False
    for line in listing:
        skipping = skipping or line.startswith(f"table netdev {TABLE} ")
        if not skipping:
            yield line
        skipping = skipping and line != "}"


def _apart(listing: Iterable[str]) -> Iterator[str]:
    """With a line for each element, which says of what set or map it is: as nft lists them, where one is missing the
    next stands beside another bracket, and differs, too."""
    name, listed = "", False
    for line in listing:
        text = line.strip()
        if line.startswith("\t") and not line.startswith("\t\t") and " " in text:
            name = text.split()[1]
        if text.startswith(_ELEMENTS):
            listed, text = True, text.removeprefix(_ELEMENTS)
        if not listed:
            yield line
            continue
        yield from (f"\t\telement of {name}: {one.strip()}" for one in text.strip("},").split(",") if one.strip())
        listed = not text.endswith("}")


def _sorted(listing: Iterable[str]) -> list[str]:
    """With the sets and chains of each table by name: nft lists them as they came, which is nobody's plan."""
    found: list[str] = []
    blocks: list[list[str]] = []
    for line in listing:
        if line.startswith("\t"):
            if not line.startswith("\t\t") and line != "\t}":
                blocks.append([])
            blocks[-1].append(line)
        elif line:
            found += [inner for block in sorted(blocks) for inner in block]
            blocks = []
            found.append(line)
    return found


@contextmanager
def _loaded(commands: Sequence[str]) -> Iterator[Nft]:
    """nft in a namespace of its own, where it has run these."""
    name = f"{SCRATCH}-{threading.get_native_id()}"
    create([name])
    try:
        with inside(name), Nft() as nft:
            nft.run_chunks(commands)
            yield nft
    finally:
        delete([name])
