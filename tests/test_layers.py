"""The architecture as a test: arrows point down only, and every ban says why.

A rule that is only written down is broken within a month. Imports inside functions count, too: what is imported late
is still a dependency.
"""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "sdn"
MODULES = {".".join(("sdn", *path.relative_to(SOURCE).with_suffix("").parts)): path for path in SOURCE.rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in sorted(MODULES.items())}

RANK = {
    "errors": 0,
    "model": 1,
    "spec": 2,
    "policy": 3,
    "scheduler": 3,
    "plan": 4,
    "kernel": 5,
    "probe": 6,
    "report": 7,
    "lab": 8,
    "cli": 9,
    "web": 9,
    "pytest_plugin": 9,
}
"""A module may import its own layer and lower ones; two layers of one rank know nothing of each other."""

SIDE_EFFECTS = ("sdn.kernel*", "sdn.probe*", "sdn.lab*")
PURE = ("sdn.model*", "sdn.spec*", "sdn.policy*", "sdn.scheduler*", "sdn.plan*", "sdn.report*")

# (what, only in these modules, because)
ONLY_IN = (
    ("socket", SIDE_EFFECTS, "the network is touched in three layers, so that all others can be tested as values"),
    ("select", SIDE_EFFECTS, "waiting belongs to those who have sockets"),
    ("selectors", SIDE_EFFECTS, "waiting belongs to those who have sockets"),
    ("ctypes", SIDE_EFFECTS, "system calls change the process that makes them"),
    ("subprocess", SIDE_EFFECTS, "one fork costs more than planning a Host, and what runs is the lab's to know"),
    ("multiprocessing", SIDE_EFFECTS, "forking a large process costs 30 ms per GiB"),
    ("pyroute2", (), "netlink is behind a door of our own; importing this one costs 0.25 s"),
    ("scapy", ("sdn.probe.packets",), "importing it costs up to 1.5 s, and its interfaces are process-wide"),
    ("pydantic", ("sdn.spec*",), "it checks what people write; what programs make in bulk is a msgspec Struct"),
    ("yaml", ("sdn.spec.source",), "PyYAML alone turns `no` into False and keeps the last of two equal keys"),
    ("networkx", (), "importing it costs 0.1 s; the tests hold the fabric's own search against it"),
    ("click", ("sdn.cli*",), "only the command line knows that it is one"),
    ("rich", ("sdn.report*", "sdn.cli*"), "drawing is for reports; importing it costs 0.1 s"),
)

# (what, never in these modules, because)
NEVER_IN = (
    ("random", PURE, "the same input gives the same bytes"),
    ("secrets", PURE, "the same input gives the same bytes"),
    ("uuid", PURE, "the same input gives the same bytes"),
    ("time", PURE, "the same input gives the same bytes; a clock is handed in"),
    ("threading", PURE, "values need no locks"),
    ("pickle", ("sdn*",), "whoever can write to a pickle's socket can run code"),
)


def layer_of(module: str) -> str:
    """`plan` for `sdn.plan.trace`; the package itself has none."""
    return module.split(".")[1] if "." in module else ""


def imports_of(source: str, module: str, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Every (line, module) that a source imports; `from a import b` gives `a.b` where that is a module of ours."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield node.lineno, inner if inner in MODULES else origin


def matches(module: str, patterns: tuple[str, ...]) -> bool:
    """`sdn.spec*` is the package and everything in it; no other name begins alike."""
    return any(fnmatchcase(module, pattern) for pattern in patterns)


def mistakes(source: str, module: str, is_package: bool = False) -> list[str]:
    """One sentence for every import that breaks the architecture."""
    found = []
    for line, imported in imports_of(source, module, is_package):
        top, layer, own = imported.split(".")[0], layer_of(imported), layer_of(module)
        if top == "sdn" and layer and own and layer != own and RANK[layer] >= RANK[own]:
            found.append(f"{module}:{line} imports {imported}: arrows point down only")
        if own == "model" and top not in {"sdn", "msgspec"} and top not in sys.stdlib_module_names:
            found.append(f"{module}:{line} imports {imported}: the model is the standard library and msgspec only")
        for what, allowed, reason in ONLY_IN:
            if top == what and not matches(module, allowed):
                found.append(f"{module}:{line} imports {imported}: {reason}")
        for what, banned, reason in NEVER_IN:
            if top == what and matches(module, banned):
                found.append(f"{module}:{line} imports {imported}: {reason}")
    return found


def closure(start: str, within: str) -> set[str]:
    """All modules under a package that `start` imports, directly or through others."""
    todo, seen = [start], set[str]()
    while todo:
        module = todo.pop()
        if module in seen or module not in MODULES:
            continue
        seen.add(module)
        path = MODULES[module]
        found = imports_of(path.read_text(), module, path.name == "__init__.py")
        todo += [imported for _, imported in found if imported.startswith(within)]
        todo.append(module.rpartition(".")[0])  # importing a module runs the packages around it
    return seen


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    path = MODULES[module]
    assert mistakes(path.read_text(), module, path.name == "__init__.py") == []


def test_every_layer_has_a_rank() -> None:
    assert {layer_of(module) for module in MODULES} - {"", *RANK} == set()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("sdn.plan.trace", "from sdn.kernel import netlink", id="up"),
        pytest.param("sdn.policy.groups", "import sdn.scheduler.place", id="sideways"),
        pytest.param("sdn.plan.trace", "def f():\n    import socket", id="late"),
        pytest.param("sdn.plan.trace", "from ..kernel import netlink", id="relative"),
        pytest.param("sdn.model.flow", "import attrs", id="model"),
        pytest.param("sdn.cli.up", "from subprocess import run", id="cli-forks"),
        pytest.param("sdn.probe.engine", "import scapy.all", id="scapy"),
        pytest.param("sdn.spec.labfile", "import yaml", id="yaml"),
        pytest.param("sdn.scheduler.score", "from random import shuffle", id="random"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert len(mistakes(source, module)) == 1


COMPILER = ("sdn.policy.compiler*", "sdn.policy.groups", "sdn.policy.selector", "sdn.policy.compiled")
ORACLE = ("sdn.policy.evaluate", "sdn.policy.oracle*")


def test_oracle_and_compiler_share_no_code() -> None:
    """Two answers from one piece of code would be one answer."""
    oracle = set().union(*(closure(module, "sdn") for module in MODULES if matches(module, ORACLE)))
    compiler = set().union(*(closure(module, "sdn") for module in MODULES if matches(module, COMPILER)))
    assert not [module for module in oracle if matches(module, COMPILER)]
    assert not [module for module in compiler if matches(module, ORACLE)]
    shared = {module for module in oracle & compiler if layer_of(module) == "policy" and module != "sdn.policy"}
    assert shared == set()


def test_trace_does_not_ask_the_oracle() -> None:
    """The trace reads the planned state alone, else it would agree for the wrong reason."""
    assert not [module for module in closure("sdn.plan.trace", "sdn") if matches(module, ORACLE)]


HELP = "import sys; sys.argv = ['sdn', '--help']; from sdn.cli import main\ntry: main()\nexcept SystemExit: pass\n"
HEAVY = {"rich", "pydantic", "networkx", "yaml", "pyroute2", "scapy", "numpy", "sdn.model", "sdn.lab"}


def test_help_imports_nothing_heavy() -> None:
    command = [sys.executable, "-c", HELP + "print('\\n' + ' '.join(sys.modules), file=sys.stderr)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Usage: sdn" in done.stdout
    assert HEAVY & set(done.stderr.split()) == set()


def seconds(*codes: str) -> list[float]:
    """Processor time of each, the best of five, taking turns: whatever else the machine does only ever adds."""
    best = [float("inf")] * len(codes)
    for _ in range(5):
        for number, code in enumerate(codes):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            best[number] = min(best[number], used)
    return best


def test_help_costs_little_more_than_click() -> None:
    """Absolute times depend on the machine; the floor is measured in the same run."""
    ours, floor = seconds(HELP, "import click")
    assert ours < 1.5 * floor + 0.02
