"""The OpenAPI document of the binary, and what an answer has to keep of it.

support.Connection holds every answer it reads against it, so no end-to-end test meets a status that is not documented.
"""

import functools
import json
import re
import sys

METHODS = ("get", "post", "put", "patch", "delete")


class Operation:
    def __init__(self, path, method, item):
        self.path = path
        self.method = method
        self.item = item
        self.id = item["operationId"]
        self.pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", re.escape(path).replace(r"\{", "{").replace(r"\}", "}")))


class Document:
    def __init__(self, json_text):
        self.root = json.loads(json_text)
        self.operations = [Operation(path, method, item[method]) for path, item in self.root["paths"].items()
                           for method in METHODS if method in item]

    def named(self, name):
        return next(operation for operation in self.operations if operation.id == name)

    def follow(self, item):
        """What a reference leads to; anything else is itself."""
        while "$ref" in item:
            at = self.root
            for name in item["$ref"].split("/")[1:]:
                at = at[name]
            item = at
        return item

    def find(self, method, path):
        """The operation that a request is for, as the routes find it; None when there is none."""
        method = "get" if method == "HEAD" else method.lower()
        return next((o for o in self.operations if o.method == method and o.pattern.fullmatch(path)), None)

    def answers(self, operation):
        return {int(status): self.follow(answer) for status, answer in operation.item["responses"].items()}

    def check(self, method, path, response):
        """Raises AssertionError when the document has no such answer; what is no operation is not looked at."""
        operation = self.find(method, path)
        if operation is None:
            return
        answer = self.answers(operation).get(response.status)
        if answer is None:
            raise AssertionError(f"{operation.id} answers {response.status}, which is not documented: {response}")
        media = (response.header("Content-Type") or "").split(";")[0]
        if media not in (answer.get("content") or {"": None}):
            raise AssertionError(f"{operation.id} answers {response.status} with {media!r}, which is not documented: {response}")


@functools.cache
def of(binary, application=None):
    """The document of a binary, of the application in a folder; None where it has none to tell (a release of before there was one)."""
    import support

    done = support.run("openapi", **({"MILLRACE_APP": application} if application else {}))
    return Document(done.stdout) if done.returncode == 0 else None


# ---- Bodies, for who has a validator of JSON Schema ----


def _closed(schema):
    """The schema without room for members that nobody has described."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def _jsonschema():
    """Debian's python3-jsonschema, also for an interpreter that is not Debian's."""
    try:
        import jsonschema
    except ImportError:
        sys.path.append("/usr/lib/python3/dist-packages")
        import jsonschema
    return jsonschema


class Validator:
    FORMATS = {
        "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
        "date": r"\d{4}-\d\d-\d\d",
        "email": r"[^@\s]+@[^@\s]+\.[^@\s]+",
    }

    def __init__(self, document):
        self.jsonschema = _jsonschema()
        self.components = {True: _closed(document.root["components"]), False: document.root["components"]}
        self.formats = self.jsonschema.FormatChecker(formats=())
        for name, pattern in self.FORMATS.items():
            self.formats.checks(name)(lambda value, pattern=pattern: not isinstance(value, str)
                                      or re.fullmatch(pattern, value) is not None)

    def errors(self, schema, value, closed=True):
        """What is wrong with a value; empty: nothing. `closed`: members that nobody has described are wrong, too."""
        schema = {**(_closed(schema) if closed else schema), "components": self.components[closed]}
        validator = self.jsonschema.Draft202012Validator(schema, format_checker=self.formats)
        return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(value)]

    def check_schemas(self):
        for schema in self.components[False]["schemas"].values():
            self.jsonschema.Draft202012Validator.check_schema(schema)
