"""What takes the place of sdn's firewall in a lab that is up: nothing at all, or the same policy as a linear chain.

Both begin with the tables deleted in every Host. Routes are found by packet marks, which the tables gave; so routing
rules by device take their place. No packet meets anything else: no connection tracking, no bridge filter.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

from benchmarks.datapath_labs import is_bystander
from sdn.errors import LabError
from sdn.lab import client
from sdn.model import family_of
from sdn.plan.state import Dispatch, Firewall, FirewallRule, NodeState

Command = list[str]
_FLUSH = "nft flush ruleset"
_BRIDGE = "sysctl -q -w net.bridge.bridge-nf-call-iptables={0} net.bridge.bridge-nf-call-ip6tables={0}"


def inside(lab: client.Lab, namespace: str, command: Command) -> Command:
    """The command line that runs a command in a namespace of a lab."""
    return [sys.executable, "-P", "-m", "sdn.kernel.enter", str(lab.pid), namespace, *command]


def run(lab: client.Lab, namespace: str, command: Command, given: str = "", patience: float = 60.0) -> str:
    """What a command prints; LabError with its last words if it fails."""
    whole = inside(lab, namespace, command)
    done = subprocess.run(whole, input=given, capture_output=True, text=True, check=False, timeout=patience)
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or "nothing"
        raise LabError(f"`{' '.join(command)}` failed in {namespace}: {said}")
    return done.stdout


def hosts(lab: client.Lab) -> dict[str, NodeState]:
    """Name → planned state."""
    return {name: state for name, state in lab.plan().items() if state.role == "host"}


def no_firewall(lab: client.Lab) -> None:
    """Delete the tables in each Host."""
    for name, state in hosts(lab).items():
        rules = [f"rule add iif {device} lookup {table} priority 5" for device, table in _routed(state)]
        run(lab, name, ["ip", "-batch", "-"], "\n".join(rules) + "\n")
        run(lab, name, _FLUSH.split())
        run(lab, name, _BRIDGE.format(0).split())


def _routed(state: NodeState) -> Iterator[tuple[str, int]]:
    """Each device from which workloads' packets are routed, and the table that their Application has."""
    tables = {rule.mark: rule.table for rule in state.rules}
    devices = {interface.name: interface.mark for interface in state.interfaces}
    devices |= {port.name: port.mark for port in state.ports if not port.bridge}
    return ((device, tables[mark]) for device, mark in devices.items())


def linear(program: str) -> Callable[[client.Lab], None]:
    """The same policy by `program`, which is iptables-legacy-restore or iptables-nft-restore."""

    def replace(lab: client.Lab) -> None:
        no_firewall(lab)
        for name, state in hosts(lab).items():
            run(lab, name, _BRIDGE.format(1).split())
            run(lab, name, [program], "\n".join([*_beginning(), *_rules(state), "COMMIT", ""]))

    return replace


def _beginning() -> Iterator[str]:
    """Tunnels are not tracked, as in sdn; what is established is accepted first, as everybody does it."""
    yield from ("*raw", "-A PREROUTING -p udp --dport 4789 -j NOTRACK", "-A OUTPUT -p udp --dport 4789 -j NOTRACK")
    yield from ("COMMIT", "*filter", ":FORWARD DROP")
    yield "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"


def _rules(state: NodeState) -> list[str]:
    """One rule for each (source, destination, service) that may reach a workload here; who talks is in the middle.

    That is where a pair is on average. What leaves for another Host is there, too, for those who talk.
    """
    firewall = state.firewall or Firewall()
    own = {(port.zone, plain(address)): port.workload for port in state.ports for address in port.addresses}
    others: list[str] = []
    talkers: list[str] = []
    for entry in firewall.ingress:
        to = others if is_bystander(own[entry.zone, entry.address]) else talkers
        to += [_accept(peer, entry.address, rule) for rule, peer in _allowed(firewall, entry)]
    for entry in firewall.egress:
        if not is_bystander(own[entry.zone, entry.address]):
            away = [(rule, peer) for rule, peer in _allowed(firewall, entry) if (entry.zone, peer) not in own]
            talkers += [_accept(entry.address, peer, rule) for rule, peer in away]
    middle = len(others) // 2
    return [*others[:middle], *talkers, *others[middle:]]


def _allowed(firewall: Firewall, entry: Dispatch) -> Iterator[tuple[FirewallRule, str]]:
    """Whom the policy lets an IPv4 address talk to, and by which rule."""
    members = {one.name: one.elements for one in firewall.sets}
    chains = {chain.name: chain.rules for chain in firewall.chains}
    tiers = next(profile.tiers for profile in firewall.profiles if profile.name == entry.profile)
    if family_of(entry.address) == 4:
        for rule in (rule for tier in tiers for rule in chains[tier] if rule.family == 4 and rule.set):
            yield from ((rule, address) for _, address in members[rule.set])


def _accept(source: str, destination: str, rule: FirewallRule) -> str:
    ports = ",".join(str(low) if low == high else f"{low}:{high}" for low, high in rule.ports)
    return f"-A FORWARD -s {source} -d {destination} -p {rule.protocol} -m multiport --dports {ports} -j ACCEPT"


def plain(address: str) -> str:
    """Without its prefix length."""
    return address.partition("/")[0]
