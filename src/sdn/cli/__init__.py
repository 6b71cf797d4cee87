"""The command line: one file per verb, loaded when it is used, so that `sdn --help` costs no more than click does.

Exit status of every verb: 0 yes, 1 the answer is no, 2 it could not be done, 130 interrupted. A user's mistake is one
sentence on stderr; a bug of ours shows its traceback.
"""

from __future__ import annotations

import sys

from sdn.cli.verbs import sdn

__all__ = ["main", "sdn"]


def main() -> None:
    """Entry point of the `sdn` command."""
    try:
        sdn(prog_name="sdn")
    except Exception:
        import traceback  # noqa: PLC0415 - a tenth of the time that `sdn --help` may take

        # Python's own status for a traceback is 1, which here would read as an answer.
        traceback.print_exc()
        print(
            "sdn: this is a bug of sdn, not a mistake of yours; please report it with the lines above", file=sys.stderr
        )
        sys.exit(2)
