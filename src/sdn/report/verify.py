"""Proofs and refutations: a line each, and for what is refuted the flow and the commands that try it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from sdn.model import Flow
from sdn.policy.verify import Counterexample, Proof
from sdn.report import words


class CounterexampleDocument(Struct, frozen=True):
    """A flow that refutes an assertion; `dst` is a workload, or empty where `address` is outside."""

    src: str
    dst: str
    address: str
    protocol: str
    port: int
    reason: str
    commands: tuple[str, ...]


class ProofDocument(Struct, frozen=True):
    """`pairs` counts the pairs that refute it, in one IP family; `idle` names the ends that mean nobody."""

    name: str
    at: str
    holds: bool
    pairs: int
    idle: tuple[str, ...]
    counterexample: CounterexampleDocument | None


class VerifyDocument(Struct, frozen=True):
    """`sdn verify --format json`."""

    ok: bool
    assertions: tuple[ProofDocument, ...]


def document(proofs: Sequence[Proof], paths: Sequence[str], options: Sequence[str] = ()) -> VerifyDocument:
    """All proofs as the value that is written; `paths` are the files of the lab, for the commands, as are `options`."""
    made = tuple(_proof(proof, paths, options) for proof in proofs)
    return VerifyDocument(all(proof.holds for proof in proofs), made)


def _proof(proof: Proof, paths: Sequence[str], options: Sequence[str]) -> ProofDocument:
    found, shown = proof.counterexample, None
    if found is not None:
        shown = CounterexampleDocument(
            src=found.source,
            dst=found.destination,
            address=found.address,
            protocol=str(found.protocol),
            port=found.port,
            reason=words.verdict(found.verdict),
            commands=tuple(commands(found, paths, options)),
        )
    return ProofDocument(proof.assertion.name, proof.assertion.at, proof.holds, proof.pairs, proof.idle, shown)


def text(proofs: Sequence[Proof], paths: Sequence[str], options: Sequence[str] = ()) -> Iterator[str]:
    """A line for each assertion, more for one that is refuted, and a summary."""
    for proof in proofs:
        yield f"{'holds  ' if proof.holds else 'refuted'}  {proof.assertion.name}  ({proof.assertion.at})"
        if proof.idle:
            yield f"    says nothing, for nobody is meant by: {', '.join(proof.idle)}"
        if proof.counterexample is not None:
            yield from _refutation(proof, proof.counterexample, commands(proof.counterexample, paths, options))
    refuted = sum(not proof.holds for proof in proofs)
    idle = sum(bool(proof.idle) for proof in proofs)
    yield f"{words.count(len(proofs), 'assertions')}, {refuted} refuted" + (f", {idle} about nobody" if idle else "")


def _refutation(proof: Proof, found: Counterexample, tries: Iterable[str]) -> Iterator[str]:
    whose = f" ({found.destination})" if found.destination else ""
    more = f"; so do {words.count(proof.pairs - 1, 'other pairs')}" if proof.pairs > 1 else ""
    yield f"    {found.source} → {_target(found)}{whose}: {words.verdict(found.verdict)}{more}"
    yield from (f"    {command}" for command in tries)


def commands(found: Counterexample, paths: Sequence[str], options: Sequence[str] = ()) -> Iterable[str]:
    """How to try it: on the plan and on the wire; on the policies alone where a sender outside or `options` need it."""
    files = " ".join(map(shlex.quote, paths))
    is_outside = ":" in found.source or "/" not in found.source
    if is_outside or options:
        target = f"{found.destination}:{found.port}/{found.protocol}" if found.port else f"{found.destination}/icmp"
        target = shlex.quote(target if found.destination else _target(found))
        family = "-6" if ":" in found.address else "-4"
        return [" ".join(("sdn explain", files, found.source, target, family, *options))]
    asked = f"{found.source} {shlex.quote(_target(found))}"
    named = " ".join(f"--file {shlex.quote(path)}" for path in paths)
    return [f"sdn trace {asked} {named}", f"sdn probe {asked}"]


def _target(found: Counterexample) -> str:
    return words.destination(Flow(found.source, found.address, found.protocol, found.port))
