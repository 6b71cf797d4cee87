"""What this kernel, this machine and this user can do, each tried for real, and what to do about what is missing.

Everything that touches the network happens in a throw-away lab (`trials`). What is required stops a lab; what is not
costs one ability, which `detail` names.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path

import msgspec

from sdn.errors import SdnError
from sdn.kernel import libnft, sandbox

NAMESPACE_KIB = 370
"""Kernel memory of one network namespace."""

_CAP_SYS_ADMIN = 21
_SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_KERNEL = "use a kernel that has it (Debian's and Ubuntu's own do), or load its module: `sudo modprobe {}`"


class Feature(msgspec.Struct, frozen=True):
    """One ability. `detail` is what was found, or what is lost without it; `next_step` is empty where it is `ok`."""

    name: str
    ok: bool
    required: bool
    detail: str
    next_step: str = ""


# trial → (required, what it is for, what to do without it)
_TRIALS: dict[str, tuple[bool, str, str]] = {
    "network namespaces": (True, "hosts, switches and workloads", _KERNEL.format("veth")),
    "veth": (True, "cables", _KERNEL.format("veth")),
    "bridge": (True, "segments", _KERNEL.format("bridge")),
    "br_netfilter": (True, "the firewall between workloads of one segment", "run `sudo modprobe br_netfilter`"),
    "vxlan": (True, "the overlay", _KERNEL.format("vxlan")),
    "vxlan over IPv6": (False, "an IPv6 underlay", "use an IPv4 underlay, or boot without ipv6.disable=1"),
    "ARP suppression": (True, "segments without flooding", "use Linux 4.15 or newer"),
    "IPv6": (False, "IPv6 and dual-stack segments", "use IPv4 alone, or boot without ipv6.disable=1"),
    "policy routing": (True, "a routing table per application", "use a kernel with CONFIG_IP_MULTIPLE_TABLES"),
    "ECMP": (True, "several paths through the fabric", "use a kernel with CONFIG_IP_ROUTE_MULTIPATH"),
    "nft inet": (True, "the distributed firewall", _KERNEL.format("nf_tables nft_ct nft_reject_inet")),
    "nft zones": (True, "applications with overlapping addresses", _KERNEL.format("nft_ct")),
    "strict TCP": (True, "no connection picked up in the middle", _KERNEL.format("nf_conntrack")),
    "ctnetlink": (True, "forgetting connections when a lab changes", _KERNEL.format("nf_conntrack_netlink")),
    "nft bridge": (True, "anti-spoofing", _KERNEL.format("nf_tables")),
    "nft arp": (True, "anti-spoofing in routed segments", _KERNEL.format("nf_tables")),
    "nft log": (True, "knowing which rule decided about a real packet", _KERNEL.format("nft_log nfnetlink_log")),
    "nft load balancing": (True, "services", _KERNEL.format("nft_nat nft_masq nft_numgen")),
    "nft concatenations": (True, "shared maps of the firewall", "use nftables 0.9.8 and Linux 5.6, or newer"),
    "SCTP sockets": (False, "SCTP programs in workloads (probes do without)", "run `sudo modprobe sctp`"),
    "tbf": (False, "links of limited bandwidth", _KERNEL.format("sch_tbf")),
    "netem": (False, "links with delay", _KERNEL.format("sch_netem")),
}

# command → (what it is for, Debian package)
_COMMANDS = {
    "ip": ("looking around with `sdn exec`", "iproute2"),
    "nft": ("reading rules with `sdn exec`", "nftables"),
    "tcpdump": ("captures with `sdn exec`", "tcpdump"),
    "ping": ("trying it by hand with `sdn exec`", "iputils-ping"),
}


def features() -> list[Feature]:
    """Everything that `sdn doctor` shows, what is required first where it fails."""
    return [*_isolation_and_trials(), _library(), *_commands(), *limits()]


def works(found: list[Feature]) -> bool:
    """Whether a lab can be built at all."""
    return all(feature.ok for feature in found if feature.required)


def _isolation_and_trials() -> list[Feature]:
    way = "user namespace (no root needed)" if needs_user_namespace() else "root's own namespaces"
    try:
        done = sandbox.run([sys.executable, "-P", "-m", "sdn.kernel.trials"], timeout=20)
        results = msgspec.json.decode(done.stdout.encode(), type=dict[str, str]) if done.status == 0 else {}
        broken = done.stderr.strip()[-300:] if not results else ""
    except (SdnError, msgspec.DecodeError) as error:
        return [Feature("isolation", False, True, f"{way}: {error}", "see above; nothing else could be tried")]
    if broken:
        return [Feature("isolation", False, True, f"{way}: {broken}", "report this with the output of `sdn doctor`")]
    return [Feature("isolation", True, True, way), *(_judged(name, results.get(name, "not tried")) for name in _TRIALS)]


def _judged(name: str, why: str) -> Feature:
    required, purpose, step = _TRIALS[name]
    if why:
        return Feature(name, False, required, f"no {purpose}: {why}", step)
    return Feature(name, True, required, purpose)


def _library() -> Feature:
    if libnft.library() is not None:
        return Feature("libnftables", True, False, f"{libnft.SONAME}, rules without a process")
    if shutil.which("nft", path=_SYSTEM_PATH):
        step = "run `sudo apt install libnftables1`"
        return Feature("libnftables", False, False, "missing; `nft` does it instead, ten times slower", step)
    return Feature("libnftables", False, True, "missing, and so is `nft`", "run `sudo apt install nftables`")


def _commands() -> list[Feature]:
    found = []
    for command, (purpose, package) in _COMMANDS.items():
        path = shutil.which(command, path=_SYSTEM_PATH)
        step = "" if path else f"run `sudo apt install {package}`"
        found.append(Feature(command, path is not None, False, path or f"missing: no {purpose}", step))
    return found


def limits() -> list[Feature]:
    """How large a lab may become."""
    return [_open_files(), _namespace_limit(), _memory()]


def _open_files() -> Feature:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = hard == resource.RLIM_INFINITY or hard >= 4096
    step = "" if enough else "raise it in /etc/security/limits.conf, or in the unit with LimitNOFILE="
    return Feature("open files", enough, False, f"{'unlimited' if hard < 0 else hard} (hard limit)", step)


def _namespace_limit() -> Feature:
    values = []
    for kind in ("user", "net"):
        path = Path(f"/proc/sys/user/max_{kind}_namespaces")
        values.append(int(path.read_text(encoding="ascii")) if path.exists() else 0)
    enough = values[1] >= 1000 and (values[0] > 0 or not needs_user_namespace())
    step = "" if enough else "run `sudo sysctl -w user.max_user_namespaces=15000 user.max_net_namespaces=15000`"
    return Feature("namespaces", enough, False, f"{values[1]} network, {values[0]} user namespaces allowed", step)


def _memory() -> Feature:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0)
    endpoints = available // (2 * NAMESPACE_KIB)  # half of it for links, rules and the processes
    detail = f"{available / 2**20:.1f} GiB available: about {endpoints} endpoints"
    enough = endpoints >= 200
    return Feature("memory", enough, False, detail, "" if enough else "free some, or build smaller labs")


def needs_user_namespace() -> bool:
    """False only for a root that may do everything; root in a container often may not."""
    if os.geteuid() != 0:
        return True
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    effective = next(line for line in status if line.startswith("CapEff:"))
    return not int(effective.split()[1], 16) >> _CAP_SYS_ADMIN & 1
