"""YAML text becomes plain values with places, and text that is none becomes a sentence with line and column."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdn.errors import Problem
from sdn.spec.source import MAX_ALIASED, MAX_BYTES, MAX_DEPTH, Document, read_file, read_text


def read(text: str | bytes) -> tuple[list[Document], list[str]]:
    problems: list[Problem] = []
    raw = text.encode() if isinstance(text, str) else text
    documents = read_text("f.yaml", raw, problems)
    return documents, [str(problem) for problem in problems]


SCALARS = [
    ("no", "no"),
    ("on", "on"),
    ("Yes", "Yes"),
    ("22:22", "22:22"),
    ("2026-01-02", "2026-01-02"),
    ("1_000", "1_000"),
    ("0b1", "0b1"),
    ("1.2.3", "1.2.3"),
    ("true", True),
    ("FALSE", False),
    ("tRue", "tRue"),
    ("~", None),
    ("", None),
    ("Null", None),
    ("0", 0),
    ("-7", -7),
    ("+7", 7),
    ("007", 7),
    ("0o17", 15),
    ("0x1F", 31),
    ("1.5", 1.5),
    (".5e1", 5.0),
    ("1e3", 1000.0),
    ("-.inf", -math.inf),
    ('"5"', "5"),
    ("'~'", "~"),
    ("!!str 5", "5"),
    ('!!int "5"', 5),
    ("! 5", "5"),
]


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text or "empty" for text, _ in SCALARS])
def test_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    documents, problems = read(f"a: {text}\n")
    assert problems == []
    assert documents[0].data == {"a": value}
    assert type(documents[0].data["a"]) is type(value)


BAD: dict[str, tuple[str | bytes, list[str]]] = {
    "empty": ("", ["f.yaml: is empty; write at least one YAML document, or leave the file out"]),
    "only-comments": ("# nothing\n", ["f.yaml: is empty; write at least one YAML document, or leave the file out"]),
    "only-null": ("---\n---\n~\n", ["f.yaml: is empty; write at least one YAML document, or leave the file out"]),
    "duplicate-key": (
        "a: 1\nb: 2\na: 3\n",
        ['f.yaml:3:1: key "a" was already given in line 1; keep one of them'],
    ),
    "duplicate-key-inside": (
        "x:\n  - {a: 1, 'a': 2}\n",
        ['f.yaml:2:12: key "a" was already given in line 2; keep one of them'],
    ),
    "two-mistakes": (
        "1: 2\ntrue: 3\n? [x]\n: 4\n",
        [
            "f.yaml:1:1: key 1 is not text; put it in quotes",
            "f.yaml:2:1: key true is not text; put it in quotes",
            "f.yaml:3:3: key of a list or mapping is not text; put it in quotes",
        ],
    ),
    "tab": (
        "a:\n\tb: 1\n",
        [
            "f.yaml:2:1: not valid YAML while scanning for the next token: found character that cannot start any "
            "token; indent with spaces, not tabs, and quote text that begins so"
        ],
    ),
    "bracket": (
        "a: [1, 2\nb: 3\n",
        [
            "f.yaml:2:2: not valid YAML while parsing a flow sequence (begun in line 1): "
            "did not find expected ',' or ']'; close the bracket"
        ],
    ),
    "colon": (
        "a: b: c\n",
        [
            "f.yaml:1:5: not valid YAML: mapping values are not allowed in this context; "
            "indent the line as its neighbours, or quote text with a colon"
        ],
    ),
    "template": (
        "a: b\n{{- if .Values.x }}\nc: d\n{{- end }}\n",
        [
            "f.yaml:3:1: not valid YAML while scanning a simple key (begun in line 2): could not find expected ':'; "
            "render templates first (`helm template`)"
        ],
    ),
    "utf-8": (b"a: 1\nb: \xc3\xa9\xff\n", ["f.yaml:2:5: byte 0xff is not valid UTF-8; save the file as UTF-8"]),
    "utf-16": ("a: 1\n".encode("utf-16"), ["f.yaml:1:1: byte 0xff is not valid UTF-8; save the file as UTF-8"]),
    "control": ("a: é\x01\n", ["f.yaml:1:5: character U+0001 is not allowed in YAML"]),
    "tag": ("a: !secret x\n", ["f.yaml:1:4: tag !secret is not used here; remove it"]),
    "python-tag": (
        "a: !!python/name:os.system x\n",
        ["f.yaml:1:4: tag !!python/name:os.system is not used here; remove it"],
    ),
    "wrong-tag": ("a: !!int x\n", ['f.yaml:1:4: "x" is not a value of !!int; remove the tag']),
    "long-number": (
        "a: " + "9" * 5000,
        ["f.yaml:1:4: a number of 5000 characters is too long (the most is 64); quote it if text"],
    ),
    "unknown-alias": ("a: *x\n", ["f.yaml:1:4: alias *x needs an anchor &x before it; write the value out"]),
    "own-alias": ("a: &a {b: *a}\n", ["f.yaml:1:11: alias *a contains itself; write the value out"]),
    "merge-of-text": (
        "<<: x\na: 1\n",
        ["f.yaml:1:5: << merges mappings only; give it an alias of a mapping"],
    ),
    "deep": ("[" * 100_000, [f"f.yaml:1:{MAX_DEPTH + 1}: is nested deeper than 64 levels; no manifest is"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_text_is_one_sentence_with_its_place(name: str) -> None:
    text, expected = BAD[name]
    assert read(text)[1] == expected


def test_a_yaml_bomb_is_refused_before_it_grows() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join(['*' + old] * 10)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    _, problems = read("\n".join(lines))
    assert problems == [
        f"f.yaml:6:36: aliases expand to more than {MAX_ALIASED:,} values here; write the file without them"
    ]


def test_a_large_file_without_aliases_is_no_bomb() -> None:
    documents, problems = read("[" + "1," * 300_000 + "]")
    assert problems == []
    assert len(documents[0].data) == 300_000


def test_a_50_mb_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as stream:
        stream.truncate(50_000_000)
    problems: list[Problem] = []
    assert read_file(path, problems) == []
    assert [problem.message for problem in problems] == [
        f"is larger than {MAX_BYTES // 2**20} MiB; split it into several files"
    ]


def test_a_missing_file_and_a_folder_are_problems(tmp_path: Path) -> None:
    problems: list[Problem] = []
    read_file(tmp_path / "none.yaml", problems)
    read_file(tmp_path, problems)
    assert [problem.message for problem in problems] == [
        "no such file; check the path",
        "cannot be read (Is a directory); name a file that this user may read",
    ]


def test_documents_before_a_syntax_error_are_kept() -> None:
    documents, problems = read("a: 1\n---\nb: [\n")
    assert [document.data for document in documents] == [{"a": 1}]
    assert len(problems) == 1


def test_null_documents_are_skipped_but_counted() -> None:
    documents, problems = read("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n")
    assert problems == []
    assert [(document.index, document.data) for document in documents] == [(1, {"a": 1}), (3, {"b": 2})]


def test_places_of_values_keys_and_what_is_missing() -> None:
    document = read("\ufeffa:\n  b:\n  - é: 1\n    c: {d: 2}\n  e:\n")[0][0]
    assert document.where(()) == (1, 1)
    assert document.where(("a", "b", 0, "é")) == (3, 8)
    assert document.where(("a", "b", 0, "c", "d")) == (4, 12)
    assert document.where_key(("a", "b", 0, "c", "d")) == (4, 9)
    assert document.where(("a", "b", 0, "missing", "deeper")) == (3, 5)
    assert document.where(("a", "b", 7)) == (3, 3)
    assert document.where_key(("a", "e")) == (5, 3)
    assert str(document.problem(("a", "b"), "is wrong")) == "f.yaml:3:3: is wrong"
    assert str(document.problem(("a", "b"), "is wrong", key=True)) == "f.yaml:2:3: is wrong"


def test_aliases_and_merges_keep_their_values_and_places() -> None:
    document = read("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nagain: *b\nlist:\n  <<: [*b, {z: 4}]\n")[0][0]
    assert document.data["use"] == {"x": 1, "y": 3}
    assert document.data["again"] == {"x": 1, "y": 2}
    assert document.data["list"] == {"x": 1, "y": 2, "z": 4}
    assert document.where(("use", "x")) == (1, 14)
    assert document.where(("again",)) == (5, 8)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="utf-8", categories=["L", "N", "P"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc ", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_yaml(value: Any) -> None:
    documents, problems = read(json.dumps([value]))
    assert problems == []
    assert documents[0].data == [value]


@given(st.binary(max_size=200))
def test_no_input_is_a_traceback(raw: bytes) -> None:
    documents, problems = read(raw)
    assert documents or problems
