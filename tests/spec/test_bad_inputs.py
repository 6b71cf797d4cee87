"""Every kind of mistake with its exact text: `bad/NAME.yaml` and what is said about it in `NAME.txt`.

`tools/goldens` rewrites the texts (SDN_REWRITE_GOLDENS=1); read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sdn.errors import SpecError
from sdn.policy.lint import warnings
from sdn.spec.load import load

BAD = Path(__file__).parent / "bad"
NAMES = sorted(path.stem for path in BAD.glob("*.yaml"))


def said(file: str) -> str:
    """What `sdn check` would say about a file of this directory."""
    try:
        loaded = load([Path(file)])
    except SpecError as error:
        return f"{error}\n"
    return "".join(f"warning: {line}\n" for line in (*loaded.warnings, *warnings(loaded.model, loaded.where)))


@pytest.mark.parametrize("name", NAMES)
def test_every_mistake_has_its_exact_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    text = said(f"{name}.yaml")
    golden = BAD / f"{name}.txt"
    if os.environ.get("SDN_REWRITE_GOLDENS"):
        golden.write_text(text)
    assert text == golden.read_text()
    assert text, "a bad input must not pass in silence"
    assert text.startswith("warning: ") == name.startswith("warning-")


def test_there_is_a_golden_for_every_input_and_no_other() -> None:
    assert sorted(path.stem for path in BAD.glob("*.txt")) == NAMES
    assert len(NAMES) >= 20


MADE = {
    "large": (b"lab: large\n# " + b"x" * 50_000_000, "made.yaml: is larger than 32 MiB; split it into several files"),
    "not utf-8": (
        b"lab: caf\xe9\n",
        "made.yaml:1:9: byte 0xe9 is not valid UTF-8; save the file as UTF-8",
    ),
    "bomb": (
        b"lab: bomb\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 10)),
        "aliases expand to more than 1,000,000 values here; write the file without them",
    ),
    "deep": (b"lab: " + b"[" * 100_000, "is nested deeper than 64 levels; no manifest is"),
}


@pytest.mark.parametrize(("raw", "words"), MADE.values(), ids=MADE)
def test_what_would_exhaust_a_reader_is_refused(
    raw: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("made.yaml").write_bytes(raw)
    (line,) = said("made.yaml").splitlines()
    assert line.startswith("made.yaml")
    assert line.endswith(words)
