#!/usr/bin/env python3
"""Answers under some 330 JSON schemas, of a model with random weights and, where it has been pulled, of the default model:
every whole answer is valid for Python's jsonschema. What cannot be held to is refused by name. And texts, valid and changed, of
which the validator of `distil filter --json-schema` has to say what Python's does. Skipped where jsonschema is not
installed. Run with FIELDPRINT_CLI=path/to/fieldprint and FIELDPRINT_BUILD=folder of fieldprint_tests."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    import jsonschema
    from jsonschema import validators
except ImportError:
    print("skipped: jsonschema is not installed (apt install python3-jsonschema)")
    sys.exit(77)

TESTS = pathlib.Path(os.environ.get("FIELDPRINT_BUILD", "build/release")) / "fieldprint_tests"
DEFAULT = pathlib.Path(os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local/share") / "fieldprint/models/SmolLM2-135M-Instruct.Q4_1.gguf"
ENOUGH = 200  # schemas that an answer of each model has to come to an end under


def closed(properties, required=None, **more):
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required,
            "additionalProperties": False, **more}


INTEGER, STRING, NUMBER, BOOLEAN, NULL = ({"type": t} for t in ("integer", "string", "number", "boolean", "null"))
DRAFT4, DRAFT7 = "http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-07/schema#"


def written():
    yield from [{"type": "object"}, {"type": "array"}, {}, True, STRING, INTEGER, NUMBER, BOOLEAN, NULL]
    yield from [{"type": ["string", "null"]}, {"type": ["integer", "string", "array"]}, {"properties": {"a": STRING}}]
    # Objects.
    three = {"a": INTEGER, "b": INTEGER, "c": INTEGER}
    yield closed({"name": STRING, "age": INTEGER})
    yield closed({"name": STRING, "age": INTEGER}, ["name"])
    yield {"type": "object", "properties": {"name": STRING, "age": INTEGER}, "required": ["name"]}
    yield closed(three, [])
    yield closed(three, [], minProperties=2)
    yield {"type": "object", "properties": three, "additionalProperties": BOOLEAN}
    yield {"type": "object", "properties": three, "additionalProperties": NULL, "minProperties": 2, "maxProperties": 4}
    yield {"type": "object", "properties": {"a": INTEGER}, "maxProperties": 1}
    yield {"type": "object", "minProperties": 1, "maxProperties": 3, "additionalProperties": INTEGER}
    yield {"type": "object", "patternProperties": {"^x-": INTEGER, "_id$": STRING}, "additionalProperties": False}
    yield {"type": "object", "properties": {"x-a": INTEGER}, "patternProperties": {"^x-": {"minimum": 5}}, "additionalProperties": BOOLEAN}
    yield {"type": "object", "properties": {"a": True, "b": False}, "required": ["a"]}
    yield {"type": "object", "required": ["zzz", "q"]}
    yield {"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}}
    yield {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "properties": {"a": INTEGER, "c": INTEGER}}
    yield {"type": "object", "propertyNames": {"maxLength": 3}, "additionalProperties": INTEGER, "minProperties": 1}
    yield closed({"card": INTEGER, "address": STRING}, [], dependentRequired={"card": ["address"]})
    yield {"type": "object", "properties": {"card": INTEGER}, "dependentSchemas": {"card": {"properties": {"address": STRING}, "required": ["address"]}}}
    yield {"$schema": DRAFT7, "type": "object", "properties": {"card": INTEGER}, "dependencies": {"card": ["address"]}}
    yield {"type": "object", "unevaluatedProperties": False, "properties": {"a": INTEGER}, "allOf": [{"properties": {"b": INTEGER}}]}
    yield closed({"\u00e9\"\\": INTEGER, "": NULL, "\n/~": BOOLEAN})
    yield closed({"user": closed({"id": {"type": "string", "format": "uuid"},
                                  "tags": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 12}, "minItems": 1, "maxItems": 4},
                                  "address": closed({"street": STRING, "zip": {"type": "string", "pattern": "^\\d{5}$"}})}),
                  "score": {"type": "number", "minimum": 0, "maximum": 1}})
    # Arrays.
    for bounds in ({}, {"minItems": 2, "maxItems": 4}, {"minItems": 1}, {"maxItems": 2}, {"minItems": 3, "maxItems": 3}):
        yield {"type": "array", "items": INTEGER, **bounds}
        yield {"type": "array", "items": {"type": "string", "maxLength": 3}, **bounds}
        yield {"type": "array", "prefixItems": [INTEGER, {"type": "string", "maxLength": 5}], "items": BOOLEAN, **bounds}
    yield from [{"type": "array", "maxItems": 0}, {"type": "array", "maxItems": 1, "uniqueItems": True}]
    yield {"type": "array", "prefixItems": [INTEGER, STRING]}
    yield {"type": "array", "prefixItems": [INTEGER, STRING], "items": False, "minItems": 1}
    yield {"$schema": DRAFT7, "type": "array", "items": [INTEGER, STRING], "additionalItems": False}
    yield {"$schema": DRAFT7, "type": "array", "items": [INTEGER], "additionalItems": NULL}
    yield {"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b", "c", "d"]}, "minItems": 1, "maxItems": 3}
    yield {"type": "array", "items": {"type": "array", "items": NUMBER, "maxItems": 3}, "maxItems": 3}
    # Values.
    yield from [{"enum": ["red", "green", "blue"]}, {"enum": [1, 2.5, None, True, "x", [1, 2], {"a": 1}]}]
    yield from [{"const": "x\n\"\\\u00e9\u0001"}, {"const": {"a": [1, {"b": None}]}}, {"const": 1e300}]
    yield from [{"type": "string", "enum": ["a", 1, None]}, {"enum": ["abc", "de", "f"], "minLength": 2}, {"enum": [1, 5, 9], "minimum": 4}]
    # Strings.
    for bounds in ({"minLength": 3}, {"maxLength": 5}, {"minLength": 2, "maxLength": 4}, {"minLength": 0, "maxLength": 0}, {"maxLength": 300}):
        yield {"type": "string", **bounds}
    for pattern in ("^[a-z]+$", "^\\d{3}-\\d{4}$", "abc", "^a|b$", "^(foo|bar)$", "[A-Z]{2}", "^\\w+@\\w+\\.com$", "^.{2,5}$", "^[^a-z]*$", "^\\S+$",
                    "^[\"\\\\]+$", "^\\u00e9+$", "\\d$", "^(a|b)*c?$", "^$", "^\\W\\D\\S$", "^[^\\d\\s]{1,3}$", "^(\\+\\d{1,3} )?\\d{3}$", "(^|,)x($|,)",
                    "^\\/api\\/v[0-9]+$", "^#[0-9a-fA-F]{6}$", "^[\\x00-\\x20\"\\\\]{1,9}$"):
        yield {"type": "string", "pattern": pattern}
    yield {"type": "string", "pattern": "^[a-z]+$", "minLength": 3, "maxLength": 6}
    yield {"type": "string", "pattern": "x", "maxLength": 4}
    yield {"type": "string", "pattern": "^a*$", "minLength": 2}
    yield {"allOf": [{"type": "string", "pattern": "^[a-z]*$"}, {"pattern": "x"}, {"minLength": 3}, {"maxLength": 9}]}
    for name in ("date", "time", "date-time", "uuid", "ipv4", "ipv6", "email", "hostname", "uri", "duration", "nonsense"):
        yield {"type": "string", "format": name}
    # Numbers.
    for low, high in ((0, 10), (1, 1), (-5, 5), (-100, -3), (95, 1234), (0, 0), (7, 1000000), (-999, 999), (123, 129), (-1, 0), (0, 9007199254740993)):
        yield {"type": "integer", "minimum": low, "maximum": high}
        yield {"type": "number", "minimum": low, "maximum": high}
        yield {"type": "integer", "exclusiveMinimum": low - 1, "exclusiveMaximum": high + 1}
    for low, high in ((0.5, 1.5), (-0.25, 0.75), (0, 1), (-1, 1), (3.14, 3.15), (-273.15, 1000), (0.1, 0.2), (-2.5, -1.25), (1e-5, 2e-5)):
        yield {"type": "number", "minimum": low, "maximum": high}
        yield {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": high}
    for bound in ({"minimum": 0}, {"maximum": 0}, {"exclusiveMinimum": 0}, {"exclusiveMaximum": 100}, {"minimum": 18.5}, {"maximum": -3}, {"minimum": 1e12}):
        yield {"type": "number", **bound}
        yield {"type": "integer", **bound}
    yield {"$schema": DRAFT4, "type": "integer", "minimum": 3, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": True}
    yield from [{"type": "integer", "multipleOf": 5}, {"type": "integer", "multipleOf": 7, "minimum": 10, "maximum": 100}, {"type": "number", "multipleOf": 1}]
    # Combinations.
    yield from [{"anyOf": [STRING, INTEGER]}, {"oneOf": [STRING, INTEGER, NULL]}]
    kinds = [closed({"kind": {"const": k}, k: INTEGER}) for k in "ab"]
    yield {"oneOf": kinds}
    yield {"oneOf": [{**k, "additionalProperties": True} for k in kinds]}
    for key in ("oneOf", "anyOf"):
        yield {"type": "object", "properties": {"a": INTEGER, "b": INTEGER}, key: [{"required": ["a"]}, {"required": ["b"]}]}
    yield {"oneOf": [{"type": "integer", "minimum": 10}, {"type": "integer", "maximum": 3}]}
    yield {"oneOf": [{"type": "string", "maxLength": 2}, {"type": "string", "minLength": 5, "maxLength": 8}]}
    yield {"oneOf": [{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "^b"}]}
    yield {"allOf": [{"type": "object", "properties": {"a": INTEGER}, "required": ["a"]}, {"properties": {"b": STRING}, "required": ["b"]}]}
    yield {"allOf": [{"properties": {"a": {"type": "integer", "minimum": 0}}}, {"properties": {"a": {"maximum": 5}}, "required": ["a"]}], "type": "object"}
    yield {"allOf": [{"type": "object", "properties": {"a": INTEGER}, "additionalProperties": False}, {"properties": {"b": STRING}}]}
    yield {"allOf": [{"anyOf": [STRING, INTEGER]}, {"anyOf": [INTEGER, NULL]}]}
    # References, and recursion.
    yield {"$defs": {"node": closed({"v": INTEGER, "next": {"anyOf": [{"$ref": "#/$defs/node"}, NULL]}})}, "$ref": "#/$defs/node"}
    yield closed({"name": STRING, "children": {"type": "array", "items": {"$ref": "#"}, "maxItems": 3}}, ["name"])
    yield {"definitions": {"a~b/c d": INTEGER}, "type": "array", "items": {"$ref": "#/definitions/a~0b~1c%20d"}}
    yield {"$defs": {"A": {"$anchor": "foo", "type": "string", "maxLength": 3}}, "type": "array", "items": {"$ref": "#foo"}}
    yield {"$defs": {"e": {"oneOf": [INTEGER, closed({"op": {"enum": ["+", "*"]}, "l": {"$ref": "#/$defs/e"}, "r": {"$ref": "#/$defs/e"}})]}}, "$ref": "#/$defs/e"}
    yield closed({"a": {"$ref": "#/$defs/P"}}, [], **{"$defs": {"P": closed({"q": {"$ref": "#/$defs/P"}, "n": INTEGER}, [])}})
    yield {"title": "x", "description": "y", "default": 3, "examples": [1], "type": "integer", "deprecated": True, "x-foo": 1}


def drawn(chance, depth):
    """A random schema."""
    kind = chance.random()
    if depth == 0 or kind < 0.35:
        low = chance.randint(-9999, 999)
        return chance.choice([
            STRING, BOOLEAN, NULL, {"type": "integer", "minimum": low // 100}, {"type": "string", "maxLength": chance.randint(0, 9)},
            {"enum": chance.sample(["a", "b", 1, 2, None, True, "long value", "x y"], 3)}, {"const": chance.choice([0, "c", [1]])},
            {"type": "number", "minimum": chance.uniform(-3, 3), "maximum": chance.uniform(4, 99)},
            {"type": "string", "pattern": chance.choice(["^[A-Z][a-z]*$", "^\\d+$", "q"])},
            {"type": "string", "format": chance.choice(["date", "uuid", "ipv4"])},
            {"type": "integer", "minimum": low, "maximum": low + chance.randint(0, 5000)}])
    if kind < 0.65:
        names = chance.sample(["id", "name", "value", "items", "x", "data", "meta", "long_name_here"], chance.randint(1, 4))
        schema = {"type": "object", "properties": {n: drawn(chance, depth - 1) for n in names}, "required": chance.sample(names, chance.randint(0, len(names)))}
        if chance.random() < 0.7:
            schema["additionalProperties"] = chance.random() < 0.2 and drawn(chance, 0)
        return schema
    if kind < 0.85:
        low = chance.randint(0, 2)
        schema = {"type": "array", "items": drawn(chance, depth - 1)}
        if chance.random() < 0.6:
            schema["minItems"] = low
        if chance.random() < 0.7:
            schema["maxItems"] = low + chance.randint(0, 3)
        return schema
    return {"anyOf": [drawn(chance, depth - 1) for _ in range(chance.randint(2, 3))]}


# Schemas that cannot be held to, and what the error says.
REFUSED = [
    ({"type": "array", "contains": INTEGER}, '#/contains: "contains" is not supported'),
    (closed({"a": {"not": STRING}}), '#/properties/a/not: "not" is not supported'),
    ({"if": STRING, "then": {"minLength": 3}}, '#/if: "if" is not supported'),
    ({"type": "array", "items": INTEGER, "uniqueItems": True}, '#/uniqueItems: "uniqueItems" is not supported'),
    ({"type": "number", "multipleOf": 0.01}, '#/multipleOf: "multipleOf" is not supported'),
    ({"oneOf": [INTEGER, NUMBER]}, '#/oneOf: more than one branch of "oneOf" may hold'),
    ({"type": "object", "minProperties": 3}, '#/minProperties: "minProperties" of more'),
    ({"type": "string", "pattern": "(?=a)b"}, "#/pattern, column 1: look-ahead"),
    ({"$ref": "http://example.com/x.json"}, "is in another document"),
    ({"$ref": "#/$defs/none"}, "'#/$defs/none' leads nowhere"),
    ({"type": "strnig"}, 'there is no type "strnig"'),
    ({"type": "integer", "minimum": 3, "maximum": 2}, "no finite text matches"),
    ({"$defs": {"a": closed({"a": {"$ref": "#/$defs/a"}})}, "$ref": "#/$defs/a"}, "no finite text matches"),
    ({"$ref": "#", "type": "integer"}, None),  # says nothing more than its type
    ([1], "a schema is an object"),
]


def answers(requests, model, temp):
    (temp / "schemas").write_text("".join(json.dumps(r) + "\n" for r in requests))
    environment = {**os.environ, "FIELDPRINT_SCHEMAS": str(temp / "schemas"), "FIELDPRINT_ANSWERS": str(temp / "answers")}
    environment.pop("FIELDPRINT_SCHEMA_MODEL", None)
    if model:
        environment["FIELDPRINT_SCHEMA_MODEL"] = str(model)
    run = subprocess.run([TESTS, "--gtest_filter=SchemaAnswers.AreWritten"], env=environment, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"json_schema: {TESTS} failed\n{run.stdout}{run.stderr}")
    return [json.loads(line) for line in (temp / "answers").read_text().splitlines()]


def check(schemas, each, model, temp):
    """How many whole answers there are, and under how many schemas."""
    prompt = "<|im_start|>user\nAn example of JSON for this schema, short: {}<|im_end|>\n<|im_start|>assistant\n"
    requests = [{"schema": s, "prompt": prompt.format(json.dumps(s)[:300]) if model else "hi", "answers": each} for s in schemas]
    count = under = 0
    for schema, reply in zip(schemas, answers(requests, model, temp), strict=True):
        if "error" in reply:
            sys.exit(f"json_schema: {json.dumps(schema)} is refused: {reply['error']}")
        kind = validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        validator = kind(schema, format_checker=getattr(kind, "FORMAT_CHECKER", None) or jsonschema.draft202012_format_checker)
        under += bool(reply["texts"])
        for text in reply["texts"]:
            count += 1
            try:
                validator.validate(json.loads(text))
            except (ValueError, jsonschema.ValidationError) as error:
                sys.exit(f"json_schema: {text!r} is not valid under {json.dumps(schema)}: {error}")
    if under < ENOUGH:
        sys.exit(f"json_schema: answers under only {under} of {len(schemas)} schemas came to an end")
    return count, under


def value_of(chance, schema, depth=4):
    """A value that is valid under the schema now and then."""
    if chance.random() < 0.08 or depth == 0 or isinstance(schema, bool):
        return chance.choice([None, True, 0, 3, -7, 1.5, 4.0, "", "a", "abc", "2024-02-30", [], [1, 1], {}, {"a": 1}, {"b": "x", "zzz": None}])
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return chance.choice(schema["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return value_of(chance, chance.choice(schema[key]), depth - 1)
    kind = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else "number")
    kind = chance.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        names = [n for n in schema.get("properties", {}) if chance.random() < 0.8] + [n for n in ("x-a", "other") if chance.random() < 0.2]
        chance.shuffle(names)
        return {n: value_of(chance, schema.get("properties", {}).get(n, True), depth - 1) for n in names}
    if kind == "array":
        items = schema.get("items", True)
        return [value_of(chance, items if not isinstance(items, list) else True, depth - 1) for _ in range(chance.randint(0, 4))]
    low, high = (schema.get(f"{side}imum", schema.get(f"exclusive{side.capitalize()}imum", default)) for side, default in (("min", 0), ("max", 9)))
    if kind in ("integer", "number") and not isinstance(low, bool) and not isinstance(high, bool):
        n = chance.choice([low, high, (low + high) / 2, round((low + high) / 2), low - 1])
        return int(n) if kind == "integer" and chance.random() < 0.7 else n
    return {"boolean": True, "null": None}.get(kind, chance.choice(["", "a", "abc", "Abc", "12", "123-4567", "foo", "2024-02-28", "127.0.0.1", "q" * 10]))


# What the grammar has no room for, the validator has.
MORE = [{"not": STRING}, {"if": STRING, "then": {"minLength": 2}, "else": INTEGER}, {"type": "array", "contains": INTEGER, "maxContains": 1},
        {"type": "array", "items": INTEGER, "uniqueItems": True}, {"type": "integer", "multipleOf": 3}, {"oneOf": [INTEGER, NUMBER]},
        {"type": "string", "pattern": "(?=a)ab"}, {"type": "object", "minProperties": 1, "properties": {"a": INTEGER, "b": {}}}]


def compare_validators(schemas, temp):
    """Ours and Python's say the same; it has no opinion on formats."""
    chance = random.Random(9)
    cases = [{"schema": s, "texts": [json.dumps(value_of(chance, s)) for _ in range(12)]} for s in schemas if '"format"' not in json.dumps(s)]
    (temp / "cases").write_text("".join(json.dumps(c) + "\n" for c in cases))
    environment = {**os.environ, "FIELDPRINT_SCHEMA_CASES": str(temp / "cases"), "FIELDPRINT_SCHEMA_FOUND": str(temp / "found")}
    run = subprocess.run([TESTS, "--gtest_filter=DistilJsonSchema.SaysOfEachTextWhetherItIsValid"], env=environment, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"json_schema: {TESTS} failed\n{run.stdout}{run.stderr}")
    count = {True: 0, False: 0}
    for case, ours in zip(cases, map(json.loads, (temp / "found").read_text().splitlines()), strict=True):
        validator = validators.validator_for(case["schema"], default=jsonschema.Draft202012Validator)(case["schema"])
        for text, found in zip(case["texts"], ours, strict=True):
            if DRAFT4 in json.dumps(case["schema"]) and "." in text:
                continue  # 6.0 was no integer yet
            wanted = validator.is_valid(json.loads(text))
            count[wanted] += 1
            if found != wanted:
                sys.exit(f"json_schema: {text} under {json.dumps(case['schema'])} is {'valid' if found else 'not valid'} to us alone")
    if min(count.values()) < 400:
        sys.exit(f"json_schema: too few texts of a kind: {count}")
    return count


def main():
    if not TESTS.exists():
        print(f"skipped: {TESTS} is not built")
        sys.exit(77)
    chance = random.Random(5)
    schemas = [*written(), *(drawn(chance, 3) for _ in range(150))]
    with tempfile.TemporaryDirectory() as folder:
        temp = pathlib.Path(folder)
        replies = answers([{"schema": s, "prompt": "x", "answers": 1 if says else 0} for s, says in REFUSED], None, temp)
        for (schema, says), reply in zip(REFUSED, replies, strict=True):
            if says and says not in reply.get("error", ""):
                sys.exit(f"json_schema: {json.dumps(schema)} should be refused with {says!r}, not {reply}")
        found = compare_validators([*schemas, *MORE], temp)
        print(f"validators agree on {found[True]} valid texts and {found[False]} that are not")
        count, under = check(schemas, 4, None, temp)
        print(f"random weights: {count} whole answers under {under} of {len(schemas)} schemas, all valid")
        if DEFAULT.exists():
            count, under = check(schemas, 1, DEFAULT, temp)
            print(f"{DEFAULT.name}: {count} whole answers under {under} of {len(schemas)} schemas, all valid")
        else:
            print("skipped: the default model's answers: it has not been pulled")


main()
