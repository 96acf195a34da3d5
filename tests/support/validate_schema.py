"""validate_schema.py FILE: each line is {"schema", "name", "document", "taken"}; prints where the schema decides otherwise."""

import json
import sys

import jsonschema

VALIDATORS = {}


def validator(schema):
    text = json.dumps(schema)
    if text not in VALIDATORS:
        jsonschema.Draft202012Validator.check_schema(schema)
        VALIDATORS[text] = jsonschema.Draft202012Validator(schema)
    return VALIDATORS[text]


wrong = 0
with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        case = json.loads(line)
        errors = list(validator(case["schema"]).iter_errors(case["document"]))
        if (not errors) != case["taken"]:
            wrong += 1
            print(f'{case["name"]}: the loader {"takes" if case["taken"] else "refuses"} it, the schema says',
                  errors[0].message if errors else "it is good")
sys.exit(1 if wrong else 0)
