"""`sdn evaluate`: a verdict for each flow of a file."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from sdn.cli import analysis
from sdn.cli.options import IMPOSSIBLE, YES, leave
from sdn.cli.switches import Switches, switches_option
from sdn.errors import SdnError

if TYPE_CHECKING:
    from sdn.policy.asked import Asked


@click.command("evaluate")
@analysis.sources_argument()
@switches_option
@click.option("--flows", required=True, metavar="FILE", type=click.File("rb"), help="JSON lines; - is standard input.")
def command(paths: tuple[Path, ...], switches: Switches, flows: BinaryIO) -> None:
    """Give each of many flows its verdict, straight from the policies as written.

    FILE has an object on each line: src and dst (a workload's namespace/name or an address; src may be a host),
    protocol, and port. The same comes back with "verdict" (allow or deny) and "reason", in the same order, as it is
    read. An address that nobody has is outside, and policy alone judges it. Where the lab has both IP families one that
    allows is enough; "family": 4 or 6 asks one.

    A line that cannot be answered comes back with "error"; all others are answered.

    Exit status: 0 if all lines are answered, whatever the verdicts, else 2.

    \b
    Examples:
      echo '{"src": "web-0", "dst": "db-0", "protocol": "tcp", "port": 5432}' |
        sdn evaluate k8s/ --flows -
      sdn evaluate lab.yaml --flows flows.jsonl | jq -c 'select(.verdict == "deny")'
    """
    from sdn.policy.asked import Asked

    placed = analysis.read(paths, switches)
    lines = Lines(Asked(placed, analysis.families(placed)), _name(flows))
    for answer in lines.answers(flows):
        click.echo(answer)
    leave(IMPOSSIBLE if lines.bad else YES)


def _name(stream: BinaryIO) -> str:
    """How errors call a file."""
    name = getattr(stream, "name", None)
    return name if isinstance(name, str) and name not in {"-", "<stdin>"} else "standard input"


class Lines:
    """Answers JSON lines; `bad` counts those that could not be answered."""

    def __init__(self, asked: Asked, name: str) -> None:
        import msgspec

        self.bad = 0
        self._asked = asked
        self._name = name
        self._decode = msgspec.json.Decoder().decode
        self._encode = msgspec.json.Encoder().encode

    def answers(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """One for each line that is not blank."""
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield self._encode(self._answer(number, line))

    def _answer(self, number: int, line: bytes) -> dict[str, Any]:
        import msgspec

        flow: Any = None
        try:
            flow = self._decode(line)
            verdict = self._verdict(flow)
            return {**flow, **verdict}
        except msgspec.DecodeError as error:
            return self._refuse(number, {}, f"is no JSON ({error}); write one object on each line")
        except SdnError as error:
            return self._refuse(number, flow if isinstance(flow, dict) else {}, str(error))

    def _verdict(self, flow: Any) -> dict[str, str]:
        from sdn.report import words

        source, destination, protocol, port, family = _read(flow)
        verdict = self._asked.verdict(source, destination, protocol, port, family)
        return {"verdict": "allow" if verdict.allowed else "deny", "reason": words.verdict(verdict)}

    def _refuse(self, number: int, flow: dict[str, Any], why: str) -> dict[str, Any]:
        self.bad += 1
        message = f"{self._name}:{number}: {why}"
        click.echo(message, err=True)
        return flow | {"error": message}


def _read(flow: Any) -> tuple[str, str, Any, int, int]:
    """Source, destination, protocol, port and family (0: as the lab has them) of one object."""
    from sdn.model import Protocol

    if not isinstance(flow, dict):
        raise SdnError('is no object; write {"src": ..., "dst": ..., "protocol": "tcp", "port": 80}')
    for name in ("src", "dst", "protocol"):
        if not isinstance(flow.get(name), str):
            raise SdnError(f'"{name}" is missing or no text; write for example "{name}": "{EXAMPLES[name]}"')
    try:
        protocol = Protocol(flow["protocol"].lower())
    except ValueError:
        known = ", ".join(Protocol)
        raise SdnError(f'protocol "{flow["protocol"]}" is not known; write one of {known}') from None
    family = flow.get("family", 0)
    if family not in (0, 4, 6):
        raise SdnError(f"family {family!r} is not known; write 4 or 6, or leave it out")
    return flow["src"], flow["dst"], protocol, _port(flow.get("port"), protocol is Protocol.ICMP), family


EXAMPLES = {"src": "shop/web-0", "dst": "203.0.113.9", "protocol": "tcp"}


def _port(port: Any, is_icmp: bool) -> int:
    if is_icmp:
        if port not in (None, 0):
            raise SdnError("ICMP has no ports; leave the port out")
        return 0
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        raise SdnError(f"port {port!r} does not exist; write a number from 1 to 65535")
    return port
