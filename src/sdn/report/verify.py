"""Proofs and refutations: a line each, and for what is refuted the flow and the commands that try it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

import msgspec
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


def document(proofs: Sequence[Proof], paths: Sequence[str]) -> VerifyDocument:
    """All proofs as the value that is written; `paths` are the files of the lab, for the commands."""
    return VerifyDocument(all(proof.holds for proof in proofs), tuple(_proof(proof, paths) for proof in proofs))


def _proof(proof: Proof, paths: Sequence[str]) -> ProofDocument:
    found, shown = proof.counterexample, None
    if found is not None:
        shown = CounterexampleDocument(
            src=found.source,
            dst=found.destination,
            address=found.address,
            protocol=str(found.protocol),
            port=found.port,
            reason=words.verdict(found.verdict),
            commands=tuple(commands(found, paths)),
        )
    return ProofDocument(proof.assertion.name, proof.assertion.at, proof.holds, proof.pairs, proof.idle, shown)


def text(proofs: Sequence[Proof], paths: Sequence[str]) -> Iterator[str]:
    """A line for each assertion, more for one that is refuted, and a summary."""
    for proof in proofs:
        yield f"{'holds  ' if proof.holds else 'refuted'}  {proof.assertion.name}  ({proof.assertion.at})"
        if proof.idle:
            yield f"    says nothing: nobody is meant by {' and '.join(proof.idle)}"
        if proof.counterexample is not None:
            yield from _refutation(proof, proof.counterexample, paths)
    refuted = sum(not proof.holds for proof in proofs)
    yield f"{words.count(len(proofs), 'assertions')}, {refuted} refuted"


def _refutation(proof: Proof, found: Counterexample, paths: Sequence[str]) -> Iterator[str]:
    whose = f" ({found.destination})" if found.destination else ""
    more = f"; so do {words.count(proof.pairs - 1, 'other pairs')}" if proof.pairs > 1 else ""
    yield f"    {found.source} → {_target(found)}{whose}: {words.verdict(found.verdict)}{more}"
    yield from (f"    {command}" for command in commands(found, paths))


def commands(found: Counterexample, paths: Sequence[str]) -> Iterable[str]:
    """How to try it: on the plan and on the wire, or, for a sender from outside, on the policies."""
    files = " ".join(map(shlex.quote, paths))
    if ":" in found.source or "/" not in found.source:
        flow = {"src": found.source, "dst": found.destination, "protocol": found.protocol, "port": found.port}
        line = msgspec.json.encode(flow).decode()
        return [f"echo {shlex.quote(line)} | sdn evaluate {files} --flows -"]
    asked = f"{found.source} {shlex.quote(_target(found))}"
    named = " ".join(f"--file {shlex.quote(path)}" for path in paths)
    return [f"sdn trace {asked} {named}", f"sdn probe {asked}"]


def _target(found: Counterexample) -> str:
    return words.destination(Flow(found.source, found.address, found.protocol, found.port))
