"""The JSON schema of the lab file, for editors: `python -m sdn.spec.schema > schema/lab.schema.json`."""

from __future__ import annotations

import json
import sys
from typing import Any

from sdn.spec.labfile.forms import LabForm


def schema() -> dict[str, Any]:
    """What the forms say of themselves, under the draft that they follow."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | LabForm.model_json_schema()


def text() -> str:
    """The file's exact content."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
