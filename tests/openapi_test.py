#!/usr/bin/env python3
"""api/openapi.json describes every row of src/server/endpoints.def and nothing else, and what a running server answers
is as it says."""
import json
import os
import pathlib
import re
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support import tiny_gguf
from support.serving import Server

ROOT = pathlib.Path(__file__).resolve().parent.parent
DESCRIPTION = json.loads((ROOT / "api/openapi.json").read_text())
OPERATIONS = {(method.upper(), path): operation for path, item in DESCRIPTION["paths"].items() for method, operation in item.items()}
TEMPLATE = ("{# </think> #}{% if tools %}{{ tools | tojson }} <tool_call>{...}</tool_call>{% endif %}{% for m in messages %}"
            "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n")
HI = [{"role": "user", "content": "Hi"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT = {"messages": HI, "max_tokens": 20, "logprobs": True, "top_logprobs": 1, "influence": True, "exchange": True}

try:
    import jsonschema
except ImportError:
    jsonschema = None


class Rows(unittest.TestCase):
    def test_each_endpoint_is_described(self):
        rows = re.findall(r'^FIELDPRINT_ENDPOINT\((\w+), "([^"]+)", (\w+)', (ROOT / "src/server/endpoints.def").read_text(), flags=re.M)
        served = {(method, path.replace("...}", "}")): access for method, path, access in rows}
        self.assertGreater(len(served), 10)
        self.assertEqual(set(served), set(OPERATIONS))
        for key, access in served.items():
            self.assertEqual(OPERATIONS[key].get("security") == [], access == "kOpen", f"{key}: whether a key is needed")
        names = [operation["operationId"] for operation in OPERATIONS.values()]
        self.assertEqual(len(names), len(set(names)))

    def test_every_reference_leads_somewhere(self):
        schemas = DESCRIPTION["components"]["schemas"]
        used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DESCRIPTION)))
        self.assertEqual(used, set(schemas))


@unittest.skipIf(jsonschema is None, "there is no python3-jsonschema")
class Replies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="fieldprint-openapi-")
        model = pathlib.Path(cls.folder.name) / "tiny.gguf"
        tiny_gguf.write_script(model, '<think>\nHm.\n</think>\n\nIt is blue.', after="\n", template=TEMPLATE)
        call = pathlib.Path(cls.folder.name) / "call.gguf"
        tiny_gguf.write_script(call, '<tool_call>\n{"name": "f", "arguments": {"city": "Paris"}}\n</tool_call>', after="\n", template=TEMPLATE)
        cls.server, cls.caller = Server(model, "--temp", "0"), Server(call, "--temp", "0")
        cls.seen = set()

    @classmethod
    def tearDownClass(cls):
        codes = cls.server.stop(), cls.caller.stop()
        cls.server.__exit__(), cls.caller.__exit__()
        cls.folder.cleanup()
        assert codes == (0, 0), codes

    def is_valid(self, value, schema, what):
        whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "components": DESCRIPTION["components"]}
        validator = jsonschema.Draft202012Validator(whole)
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
        self.assertIsNone(error, error and f"{what}: {error.message} at {list(error.absolute_path)} of {json.dumps(value)[:600]}")

    def call(self, method, path, body=None, *, concrete=None, stream=False, server=None, status="200"):
        operation, server = OPERATIONS[method, path], server or self.server
        if body is not None:
            self.is_valid(body, operation["requestBody"]["content"]["application/json"]["schema"], f"the request to {path}")
        content = operation["responses"].get(status, operation["responses"]["default"]).get("content", {})
        if stream:
            events = [data for data in server.events(concrete or path, body) if data != "[DONE]"]
            self.assertGreater(len(events), 1)
            for event in events:
                self.is_valid(event, content["text/event-stream"]["schema"], f"{path}, an event")
            self.seen.add((method, path))
            return events
        answer = server.ask(concrete or path, body, method)
        text = answer.body
        self.assertEqual(str(answer.status), status, text)
        kind = answer.headers["content-type"].split(";")[0]
        if kind == "application/json" and content:
            text = json.loads(text)
            self.is_valid(text, content[kind]["schema"], path)
        elif content:
            self.assertIn(kind, content, path)
        if status[0] == "2":
            self.seen.add((method, path))
        return text

    def test_replies(self):
        call = self.call
        chat = call("POST", "/v1/chat/completions", CHAT)
        call("POST", "/v1/chat/completions", {**CHAT, "n": 2})
        call("POST", "/v1/chat/completions", {**CHAT, "stream_options": {"include_usage": True}, "return_progress": True}, stream=True)
        tools = [{"type": "function", "function": {"name": "f", "parameters": PARAMETERS}}]
        for server in (self.server, self.caller):
            for stream in (False, True):
                call("POST", "/v1/chat/completions", {"messages": HI, "tools": tools}, server=self.caller, stream=stream)
                call("POST", "/v1/messages", {"messages": HI, "max_tokens": 60, "influence": True}, server=server, stream=stream)
                call("POST", "/v1/responses", {"input": "Hi", "influence": True, "include": ["message.output_text.logprobs"]}, server=server, stream=stream)
        flat = [{"type": "function", "name": "f", "parameters": PARAMETERS}]
        for stream in (False, True):
            call("POST", "/v1/responses", {"input": HI, "tools": flat, "max_output_tokens": 3}, server=self.caller, stream=stream)
            call("POST", "/v1/messages", {"messages": HI, "max_tokens": 90, "tools": [{"name": "f", "input_schema": PARAMETERS}]}, server=self.caller, stream=stream)
        ids = {"return_token_ids": True, "return_tokens_as_token_ids": True}
        for stream in (False, True):
            call("POST", "/v1/chat/completions", {**CHAT, **ids}, stream=stream)
            call("POST", "/v1/completions", {"prompt": "a\n", "max_tokens": 3, "logprobs": 2, **ids}, stream=stream)
        call("POST", "/v1/completions", {"prompt": [[97, 98]], "max_tokens": 1, "prompt_logprobs": 2})
        text = {"prompt": ["a\n", "b\n"], "max_tokens": 3, "echo": True, "logprobs": 2}
        call("POST", "/v1/completions", text)
        call("POST", "/v1/completions", {**text, "stream_options": {"include_usage": True}}, stream=True)
        response = call("POST", "/v1/responses", {"input": "Hi"})["id"]
        call("GET", "/v1/responses/{response}", concrete=f"/v1/responses/{response}")
        call("GET", "/v1/responses/{response}/input_items", concrete=f"/v1/responses/{response}/input_items")
        call("DELETE", "/v1/responses/{response}", concrete=f"/v1/responses/{response}")
        call("POST", "/v1/messages/count_tokens", {"messages": HI})
        call("GET", "/v1/models")
        call("GET", "/v1/models/{model}", concrete="/v1/models/tiny")
        call("POST", "/tokenize", {"content": "abc"})
        call("POST", "/tokenize", {"content": "abc", "with_pieces": True})
        call("POST", "/tokenize", {"prompt": "abc"})
        call("GET", "/tokenizer_info")
        call("POST", "/detokenize", {"tokens": [1, 2]})
        call("POST", "/apply-template", {"messages": HI})
        for path in ("/health", "/v1/health", "/metrics", "/props", "/slots", "/openapi.json"):
            call("GET", path)
        self.assertEqual(self.server.json("GET", "/openapi.json"), DESCRIPTION)
        self.assertTrue(call("POST", "/api/replay", {"exchange": chat["fieldprint"]["exchange"]})["same"])
        call("GET", "/")
        conversations, one = "/api/conversations", "/api/conversations/{id}"
        id = call("POST", conversations, {"title": "Sky"}, status="201")["id"]
        here = {"concrete": f"{conversations}/{id}"}
        message = call("POST", one + "/messages", {"role": "user", "content": "Hi", "parent": None}, concrete=here["concrete"] + "/messages", status="201")["id"]
        there = {"concrete": f"{conversations}/{id}/messages/{message}"}
        call("PATCH", one + "/messages/{message}", {"content": "Hello"}, **there)
        call("PATCH", one, {"title": "The sky"}, **here)
        call("GET", one, **here)
        call("GET", conversations)
        call("POST", "/api/import", call("GET", "/api/export"), status="201")
        call("DELETE", one + "/messages/{message}", **there)
        call("DELETE", one, **here)
        call("GET", "/cache")
        cached = self.server.json("GET", "/cache")["data"][0]["id"]
        call("POST", "/sessions", {"name": "hi", "messages": HI})
        call("GET", "/sessions")
        call("POST", "/sessions/{name}/restore", concrete="/sessions/hi/restore")
        call("DELETE", "/sessions/{name}", concrete="/sessions/hi")
        call("DELETE", "/cache/{id}", concrete=f"/cache/{cached}")
        call("POST", "/api/observe", {"prompt": "abc", "layer": 0})
        # Errors have a form, too.
        call("GET", "/v1/models/{model}", concrete="/v1/models/none", status="404")
        self.is_valid(self.server.post("/v1/chat/completions", {"messages": []}, status=400), {"$ref": "#/components/schemas/Error"}, "an error")
        self.is_valid(self.server.post("/v1/messages", {"messages": []}, status=400), {"$ref": "#/components/schemas/AnthropicError"}, "an error")
        unseen = set(OPERATIONS) - self.seen - {("POST", "/v1/embeddings")}
        self.assertEqual(unseen, set(), "nobody has looked at what these answer")

    def test_vectors(self):
        encoder = pathlib.Path(os.environ.get("XDG_DATA_HOME", pathlib.Path.home() / ".local/share")) / "fieldprint/models/all-MiniLM-L6-v2-F16.gguf"
        if not encoder.exists():
            self.skipTest("all-minilm-l6-v2 has not been pulled")
        with Server(encoder) as server:
            for more in ({}, {"encoding_format": "base64"}):
                self.call("POST", "/v1/embeddings", {"input": ["a", "b"], **more}, server=server)


if __name__ == "__main__":
    if not os.environ.get("FIELDPRINT_CLI"):
        sys.exit("set FIELDPRINT_CLI to the program")
    unittest.main()
