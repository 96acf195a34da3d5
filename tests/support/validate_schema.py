"""validate_schema.py FILE: the lines are {"kind", "schema"}, then {"kind", "name", "document", "taken"}; prints where the schema of
a kind decides otherwise than the line."""

import json
import sys

import jsonschema

validators = {}
wrong = 0
seen = 0
with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        case = json.loads(line)
        if "schema" in case:
            jsonschema.Draft202012Validator.check_schema(case["schema"])
            validators[case["kind"]] = jsonschema.Draft202012Validator(case["schema"])
            continue
        seen += 1
        error = next(validators[case["kind"]].iter_errors(case["document"]), None)
        if (error is None) != case["taken"]:
            wrong += 1
            print(f'{case["name"]}: the loader {"takes" if case["taken"] else "refuses"} it, the schema says',
                  error.message if error else "it is good")
sys.exit(1 if wrong or not seen else 0)
