"""What happened in a scenario: as lines of a log that is the same every time, and as a timeline with durations."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sdn.model.lifecycle import Operation, Outcome
from sdn.model.scenario import Happened
from sdn.report.words import count


def log_line(happened: Happened) -> str:
    """One JSON object, its fields in a fixed order."""
    return msgspec.json.encode(happened, order="deterministic").decode()


def title(operation: Operation) -> str:
    """As one types it: `fail host host-2`."""
    document = msgspec.to_builtins(operation)
    words = [str(document.pop("type"))]
    for name, value in document.items():
        if isinstance(value, dict):
            words += [f"{key}={one}" if one else f"{key}-" for key, one in value.items()]
        elif name == "max_unavailable":
            words.append(f"--max-unavailable {value}")
        elif name == "hosts" and value:
            words.append("--hosts")
        elif value and not isinstance(value, list | tuple | bool):
            words.append(str(value))
    return " ".join(words)


def lines(happened: Happened, seconds: float, outcome: Outcome | None) -> Iterator[str]:
    """What a person reads: when, whether it was right, what, how long; below it what is wrong, or moved."""
    mark = "✓" if happened.ok else "✗"
    yield f"{_when(happened.at):>8}  {mark} {_what(happened)}{f'  ({seconds:.2f} s)' if seconds else ''}"
    for move in happened.moves:
        yield f"{'':12}{move.workload}: {move.source or 'nowhere'} → {move.target or 'nowhere'}, {move.why}"
    if outcome is not None and outcome.stages:
        yield f"{'':12}" + ", ".join(f"{stage.name} {stage.seconds * 1000:.0f} ms" for stage in outcome.stages)
    yield from (f"{'':12}{sentence}" for sentence in happened.said if happened.event != "end")


def _when(at: int) -> str:
    return f"{at / 1000:g} s"


def _what(happened: Happened) -> str:
    match happened.event:
        case "lab":
            return f"{count(len(happened.placement), 'workloads')} run, seed {happened.seed}"
        case "operation" if happened.operation is not None:
            moves, hosts = count(len(happened.moves), "moves"), count(len(happened.hosts), "nodes")
            return f"{title(happened.operation)}: {moves}, {hosts} touched"
        case "expect":
            return happened.line
        case "test":
            return f"{count(happened.questions, 'questions')}, three answers each, and the kernel read back"
        case _:
            return "all of it was as it should be" if happened.ok else happened.said[0]
