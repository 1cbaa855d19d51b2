"""The program that measures PyYAML's C parser and jsonschema: `python on_jsonschema.py lint < OPTIONS`."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import jsonschema
import yaml

if __name__ == "__main__":
    options = json.load(sys.stdin)
    texts = options["texts"]
    validator = jsonschema.Draft202012Validator(options["schema"])
    began = time.perf_counter()
    parsed = [yaml.load(text, yaml.CSafeLoader) for text in texts]
    read = time.perf_counter()
    wrong = sum(not validator.is_valid(one) for one in parsed)
    checked = time.perf_counter()
    if wrong:
        raise SystemExit(f"{wrong} good manifests were refused")
    figures = {
        "parsed": len(texts) / (read - began),
        "validated": len(texts) / (checked - began),
        "version": {name: version(name) for name in ("pyyaml", "jsonschema")},
    }
    print(json.dumps(figures))
