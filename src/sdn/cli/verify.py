"""`sdn verify`: prove what somebody claims of a lab."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path

import click

from sdn.cli import analysis
from sdn.cli.options import EXISTING, NO, YES, family_option, format_option, leave
from sdn.cli.switches import Switches, switches_option


@click.command("verify")
@analysis.sources_argument()
@click.option("--assert", "claims", required=True, metavar="FILE", type=EXISTING, help="YAML with the assertions.")
@switches_option
@family_option()
@format_option()
def command(paths: tuple[Path, ...], claims: Path, switches: Switches, family: int | None, form: str) -> None:
    """Prove what you claim of a lab, or refute it with a flow.

    Over all pairs, ports and addresses, from the policies alone. FILE lists assertions: `deny` says that nothing of
    some traffic is allowed, `allow` that all of it is. Whom they mean is written as in a lab file's policies, or
    `outside: true`, or `not: [...]`; what is left out means everybody, the outside included.

    \b
      assertions:
        - name: only the gateway reaches pci, on 443
          deny:
            from: [{not: [{namespaces: [pci]}]}]
            to: [{namespaces: [pci]}]
            except: [{from: [{labels: {app: gateway}}], ports: [443/tcp]}]
        - name: every pod may resolve names
          allow: {from: [{kind: pod}], to: [{labels: {k8s-app: kube-dns}}], ports: [53/udp]}

    A counterexample comes with the commands that try it. An end that means nobody is named: such an assertion holds.

    JSON: {ok, assertions: [{name, at, holds, pairs, idle, counterexample}]}.

    Exit status: 0 if all hold, 1 if one is refuted, 2 if it could not be done.

    \b
    Examples:
      sdn verify k8s/ --assert pci.yaml
      sdn verify lab.yaml --assert claims.yaml --format json |
        jq '.assertions[] | select(.holds | not)'
    """
    from sdn.policy.compiler import compile_policy
    from sdn.policy.verify import verify
    from sdn.report import json
    from sdn.report import verify as report
    from sdn.spec.assertions import load

    placed = analysis.read(paths, switches)
    assertions = load(claims, placed.model)
    proofs = verify(placed, compile_policy(placed), assertions, analysis.families(placed, family))
    told = list(map(str, paths)), list(switches.written)
    if form == "json":
        click.echo(json.dumps(report.document(proofs, *told)))
    else:
        analysis.write(report.text(proofs, *told))
    leave(YES if all(proof.holds for proof in proofs) else NO)
