#!/usr/bin/env python3
"""The APIs as programs meet them, by http.client alone: what models that say a known text (tiny_gguf.write_script) make
of chat completions, Anthropic's messages and OpenAI's responses, event by event. tests/clients_test.py has the official
clients."""
import json
import os
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support import tiny_gguf
from support.serving import Server

# Hermes' calls, and thoughts.
TEMPLATE = (
    "{# </think> #}{% if tools %}<|im_start|>system\n{{ tools | tojson }} <tool_call>{...}</tool_call><|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}{{ c | tojson }}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
THOUGHT = "<think>\nHm, the sky.\n</think>\n\nIt is blue."
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
MESSAGES_TOOLS = [{"name": "weather", "input_schema": PARAMETERS}]
RESPONSES_TOOLS = [{"type": "function", "name": "weather", "parameters": PARAMETERS}]
HI = [{"role": "user", "content": "Hi"}]

folder = servers = None


def setUpModule():
    global folder, servers
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fieldprint-api-"))
    servers = {}
    for name, text in (("thought", THOUGHT), ("call", CALL)):
        tiny_gguf.write_script(folder / f"{name}.gguf", text, after="\n", template=TEMPLATE)
        servers[name] = Server(folder / f"{name}.gguf", "--temp", "0")
    tiny_gguf.write_script(folder / "broken.gguf", "It is blue today.", after="\n", template=TEMPLATE, breaks_at=2)
    servers["broken"] = Server(folder / "broken.gguf", "--temp", "0")
    (folder / "keys").write_text("# two\nfirst\nsecond\n")
    servers["keys"] = Server(folder / "thought.gguf", "--temp", "0", "--api-key-file", folder / "keys")


def tearDownModule():
    codes = {name: server.stop() for name, server in servers.items()}
    for server in servers.values():
        server.__exit__()
    shutil.rmtree(folder, ignore_errors=True)
    assert set(codes.values()) == {0}, codes


def runs(names):
    """A list with neighbours that are equal as one."""
    return [name for i, name in enumerate(names) if i == 0 or name != names[i - 1]]


class Messages(unittest.TestCase):
    def create(self, server="thought", **body):
        return servers[server].post("/v1/messages", {"messages": HI, "max_tokens": 100, **body})

    def events(self, server="thought", **body):
        events = servers[server].named_events("/v1/messages", {"messages": HI, "max_tokens": 100, **body})
        for name, data in events:
            self.assertEqual(name, data["type"])
        return [data for _, data in events]

    def test_a_thought_and_an_answer(self):
        message = self.create(system="Be short.")
        thinking, text = message["content"]
        self.assertEqual((thinking["type"], thinking["thinking"].strip()), ("thinking", "Hm, the sky."))
        self.assertEqual(text, {"type": "text", "text": "It is blue."})
        self.assertEqual((message["type"], message["role"], message["stop_reason"], message["stop_sequence"]),
                         ("message", "assistant", "end_turn", None))
        count = servers["thought"].post("/v1/messages/count_tokens", {"messages": HI, "system": "Be short."})
        usage = message["usage"]
        self.assertEqual(count["input_tokens"], usage["input_tokens"] + usage["cache_read_input_tokens"])

    def test_the_stream_says_the_same_in_order(self):
        events = self.events()
        self.assertEqual(runs([event["type"] for event in events if event["type"] != "ping"]),
                         ["message_start", "content_block_start", "content_block_delta", "content_block_stop",
                          "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"])
        start = events[0]["message"]
        self.assertEqual((start["content"], start["stop_reason"], start["usage"]["output_tokens"]), ([], None, 0))
        whole = self.create()
        blocks = []
        for event in events:
            if event["type"] == "content_block_start":
                self.assertEqual(event["index"], len(blocks))
                blocks.append(event["content_block"])
            elif event["type"] == "content_block_delta":
                self.assertEqual(event["index"], len(blocks) - 1)
                member = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}[event["delta"]["type"]]
                blocks[-1][member] += event["delta"][member]
        self.assertEqual(blocks, whole["content"])
        end = events[-2]
        self.assertEqual(end["delta"], {"stop_reason": "end_turn", "stop_sequence": None})
        self.assertEqual(end["usage"]["output_tokens"], whole["usage"]["output_tokens"])
        self.assertEqual(end["fieldprint"]["logits_hash"], whole["fieldprint"]["logits_hash"])

    def test_a_call(self):
        for choice in ({"type": "any"}, {"type": "tool", "name": "weather"}, {"type": "auto", "disable_parallel_tool_use": True}):
            message = self.create("call", tools=MESSAGES_TOOLS, tool_choice=choice)
            (use,) = message["content"]
            self.assertEqual((use["type"], use["name"], use["input"]), ("tool_use", "weather", {"city": "Paris"}))
            self.assertEqual(message["stop_reason"], "tool_use")
        events = self.events("call", tools=MESSAGES_TOOLS)
        start = next(event for event in events if event["type"] == "content_block_start")
        self.assertEqual((start["content_block"]["type"], start["content_block"]["input"]), ("tool_use", {}))
        written = "".join(event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta")
        self.assertEqual(json.loads(written), {"city": "Paris"})
        self.assertEqual(events[-2]["delta"]["stop_reason"], "tool_use")
        # Without a choice of tools the same words are text.
        self.assertEqual(self.create("call", tools=MESSAGES_TOOLS, tool_choice={"type": "none"})["content"][0]["text"], CALL)

    def test_a_call_that_the_token_limit_cuts_is_not_text_too(self):
        tokens = len(servers["call"].post("/tokenize", {"prompt": CALL, "add_special_tokens": False})["tokens"])
        for limit in range(1, tokens):
            content = self.create("call", tools=MESSAGES_TOOLS, max_tokens=limit)["content"]
            self.assertLessEqual(len(content), 1, content)
            self.assertIn(content[0]["type"], ("text", "tool_use"))

    def test_results_of_tools_are_messages_of_their_own(self):
        talk = [*HI, {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": ""},
                                                        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "18 degrees"}]},
                                             {"type": "text", "text": "And now?"}]}]
        same = [*HI, {"role": "assistant", "content": "", "reasoning_content": "Hm.",
                      "tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}]},
                {"role": "tool", "content": "18 degrees"}, {"role": "user", "content": "And now?"}]
        server = servers["call"]
        prompt = server.post("/apply-template", {"messages": same, "tools": CHAT_TOOLS})["prompt"]
        tokens = server.post("/tokenize", {"content": prompt})["tokens"]
        count = server.post("/v1/messages/count_tokens", {"messages": talk, "tools": MESSAGES_TOOLS})
        self.assertEqual(count["input_tokens"], len(tokens))

    def test_why_it_stopped(self):
        stopped = self.create(stop_sequences=["zzz", "is"])
        self.assertEqual((stopped["stop_reason"], stopped["stop_sequence"]), ("stop_sequence", "is"))
        self.assertEqual(stopped["content"][-1]["text"].rstrip(), "It")
        cut = self.create(max_tokens=2)
        self.assertEqual((cut["stop_reason"], cut["usage"]["output_tokens"]), ("max_tokens", 2))
        end = self.events(stop_sequences=["is"])[-2]
        self.assertEqual(end["delta"], {"stop_reason": "stop_sequence", "stop_sequence": "is"})

    def test_errors_have_the_form_of_the_api(self):
        def refused(says, status=400, headers=(), server="thought", **body):
            error = servers[server].post("/v1/messages", {"messages": HI, "max_tokens": 9, **body}, status=status, headers=headers)
            self.assertEqual(error["type"], "error")
            self.assertIn(says, error["error"]["message"])
            return error["error"]["type"]

        self.assertEqual(refused("max_tokens", max_tokens=None), "invalid_request_error")
        refused("messages[0].content[0].type", messages=[{"role": "user", "content": [{"type": "image", "source": {}}]}])
        refused("messages[0].role", messages=[{"role": "robot", "content": "x"}])
        refused("tools[0].type", tools=[{"type": "web_search_20250305", "name": "web_search"}])
        refused("tool_choice.type", tools=MESSAGES_TOOLS, tool_choice={"type": "perhaps"})
        refused("'temperature'", temperature="hot")
        refused("context", messages=[{"role": "user", "content": "x" * 9000}])
        self.assertEqual(refused("key", status=401, server="keys"), "authentication_error")
        self.assertEqual(servers["keys"].post("/v1/messages", {"messages": HI, "max_tokens": 9}, headers={"x-api-key": "second"})["type"], "message")

    def test_an_answer_that_was_begun(self):
        server = servers["thought"]
        talk = [*HI, {"role": "assistant", "content": "So"}]
        count = lambda messages: server.post("/v1/messages/count_tokens", {"messages": messages})["input_tokens"]
        self.assertEqual(count(talk), count(HI) + 2)


class Responses(unittest.TestCase):
    def create(self, server="thought", **body):
        return servers[server].post("/v1/responses", {"input": "Hi", **body})

    def events(self, server="thought", **body):
        events = servers[server].named_events("/v1/responses", {"input": "Hi", **body})
        self.assertEqual([data["sequence_number"] for _, data in events], list(range(len(events))))
        for name, data in events:
            self.assertEqual(name, data["type"])
        return [data for _, data in events]

    def test_a_thought_and_an_answer(self):
        response = self.create(instructions="Be short.", metadata={"a": "b"})
        reasoning, message = response["output"]
        self.assertEqual(reasoning["summary"][0]["text"].strip(), "Hm, the sky.")
        self.assertEqual(message["content"], [{"type": "output_text", "text": "It is blue.", "annotations": [], "logprobs": []}])
        self.assertEqual((response["object"], response["status"], response["instructions"], response["metadata"]),
                         ("response", "completed", "Be short.", {"a": "b"}))
        self.assertEqual((response["temperature"], self.create(temperature=0.7)["temperature"]), (0, 0.7))
        usage = response["usage"]
        self.assertEqual(usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
        self.assertGreater(usage["output_tokens_details"]["reasoning_tokens"], 2)
        self.assertLess(usage["output_tokens_details"]["reasoning_tokens"], usage["output_tokens"])

    def test_the_stream_says_the_same_in_order(self):
        events = self.events()
        self.assertEqual(runs([event["type"].removeprefix("response.") for event in events]),
                         ["created", "in_progress", "output_item.added", "reasoning_summary_part.added",
                          "reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.done",
                          "output_item.done", "output_item.added", "content_part.added", "output_text.delta",
                          "output_text.done", "content_part.done", "output_item.done", "completed"])
        final = events[-1]["response"]
        self.assertEqual([event["item"] for event in events if event["type"] == "response.output_item.done"], final["output"])
        self.assertEqual("".join(event["delta"] for event in events if event["type"] == "response.output_text.delta"), "It is blue.")
        whole = self.create()
        self.assertEqual([item["type"] for item in final["output"]], [item["type"] for item in whole["output"]])
        self.assertEqual(final["output"][1]["content"], whole["output"][1]["content"])
        self.assertEqual(final["fieldprint"]["logits_hash"], whole["fieldprint"]["logits_hash"])

    def test_a_call(self):
        for choice in ("auto", "required", {"type": "function", "name": "weather"}):
            (call,) = self.create("call", tools=RESPONSES_TOOLS, tool_choice=choice)["output"]
            self.assertEqual((call["type"], call["name"], json.loads(call["arguments"])), ("function_call", "weather", {"city": "Paris"}))
        events = self.events("call", tools=RESPONSES_TOOLS)
        self.assertEqual(runs([event["type"].removeprefix("response.") for event in events]),
                         ["created", "in_progress", "output_item.added", "function_call_arguments.delta",
                          "function_call_arguments.done", "output_item.done", "completed"])
        written = "".join(event["delta"] for event in events if event["type"].endswith(".delta"))
        self.assertEqual(written, events[-3]["arguments"])
        self.assertTrue(events[-2]["item"]["call_id"].startswith("call_"))

    def test_one_goes_on_from_another(self):
        first = self.create("call", tools=RESPONSES_TOOLS)
        call = first["output"][0]
        second = self.create("call", tools=RESPONSES_TOOLS, previous_response_id=first["id"],
                             input=[{"type": "function_call_output", "call_id": call["call_id"], "output": "18 degrees"}])
        talk = [*HI, {"type": "function_call", "name": "weather", "arguments": call["arguments"], "call_id": "x"},
                {"type": "function_call_output", "call_id": "x", "output": "18 degrees"}]
        alone = self.create("call", tools=RESPONSES_TOOLS, input=talk)
        self.assertEqual(second["usage"]["input_tokens"], alone["usage"]["input_tokens"])
        self.assertEqual(second["previous_response_id"], first["id"])
        server = servers["call"]
        self.assertEqual(server.json("GET", f"/v1/responses/{second['id']}"), second)
        items = server.json("GET", f"/v1/responses/{second['id']}/input_items")
        self.assertEqual([item["type"] for item in items["data"]], ["function_call_output"])
        self.assertTrue(server.json("DELETE", f"/v1/responses/{first['id']}")["deleted"])
        server.json("GET", f"/v1/responses/{first['id']}", status=404)
        error = server.post("/v1/responses", {"input": "x", "previous_response_id": first["id"]}, status=404)["error"]
        self.assertEqual((error["param"], error["code"]), ("previous_response_id", "response_not_found"))
        unstored = self.create(store=False)
        servers["thought"].json("GET", f"/v1/responses/{unstored['id']}", status=404)

    def test_each_key_has_its_own(self):
        server, first, second = servers["keys"], {"Authorization": "Bearer first"}, {"Authorization": "Bearer second"}
        response = server.post("/v1/responses", {"input": "Hi"}, headers=first)
        server.json("GET", f"/v1/responses/{response['id']}", headers=second, status=404)
        server.json("DELETE", f"/v1/responses/{response['id']}", headers=second, status=404)
        server.post("/v1/responses", {"input": "Hi", "previous_response_id": response["id"]}, headers=second, status=404)
        server.json("GET", f"/v1/responses/{response['id']}", headers=first)

    def test_what_is_cut_is_incomplete(self):
        response = self.create(max_output_tokens=2)
        self.assertEqual((response["status"], response["incomplete_details"]), ("incomplete", {"reason": "max_output_tokens"}))
        self.assertEqual(response["output"][-1]["status"], "incomplete")
        self.assertEqual(self.events(max_output_tokens=2)[-1]["type"], "response.incomplete")

    def test_log_probabilities(self):
        response = self.create(include=["message.output_text.logprobs"], top_logprobs=2)
        part = response["output"][1]["content"][0]
        self.assertEqual("".join(each["token"] for each in part["logprobs"])[-len(part["text"]):], part["text"])
        self.assertNotIn("think", "".join(each["token"] for each in part["logprobs"]))
        self.assertEqual({len(each["top_logprobs"]) for each in part["logprobs"]}, {2})

    def test_what_is_refused_is_named(self):
        def refused(field, **body):
            error = servers["thought"].post("/v1/responses", {"input": "Hi", **body}, status=400)["error"]
            self.assertEqual(error["param"], field, error)

        refused("input", input=[])
        refused("input", input=7)
        refused("input[0].type", input=[{"type": "computer_call"}])
        refused("input[1].arguments", input=[HI[0], {"type": "function_call", "name": "weather", "arguments": "no"}])
        refused("input[0].content[0].type", input=[{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}])
        refused("tools[0].type", tools=[{"type": "web_search"}])
        refused("conversation", conversation="conv_1")
        refused("background", background=True)
        refused("max_output_tokens", max_output_tokens=0)
        refused("n", n=2)


class Chat(unittest.TestCase):
    def chunks(self, server, **body):
        events = servers[server].named_events("/v1/chat/completions", {"messages": HI, **body})
        self.assertEqual(events[-1], ("", "[DONE]"))
        return [data for _, data in events[:-1]]

    def test_reasoning_is_split_off(self):
        message = servers["thought"].post("/v1/chat/completions", {"messages": HI})["choices"][0]["message"]
        self.assertEqual((message["content"], message["reasoning_content"].strip()), ("It is blue.", "Hm, the sky."))
        deltas = [chunk["choices"][0]["delta"] for chunk in self.chunks("thought")]
        self.assertEqual("".join(delta.get("content", "") for delta in deltas), message["content"])
        self.assertEqual("".join(delta.get("reasoning_content", "") for delta in deltas), message["reasoning_content"])

    def test_calls(self):
        reply = servers["call"].post("/v1/chat/completions", {"messages": HI, "tools": CHAT_TOOLS})["choices"][0]
        (call,) = reply["message"]["tool_calls"]
        self.assertEqual((reply["finish_reason"], call["function"]["name"], json.loads(call["function"]["arguments"])),
                         ("tool_calls", "weather", {"city": "Paris"}))
        chunks = self.chunks("call", tools=CHAT_TOOLS, stream_options={"include_usage": True})
        parts = [part for chunk in chunks if chunk["choices"] for part in chunk["choices"][0]["delta"].get("tool_calls", [])]
        self.assertEqual([part["function"].get("name") for part in parts if "id" in part], ["weather"])
        self.assertEqual("".join(part["function"].get("arguments", "") for part in parts), call["function"]["arguments"])
        self.assertEqual([chunk["choices"] for chunk in chunks if chunk["usage"]], [[]])


class Models(unittest.TestCase):
    def test_both_forms(self):
        server = servers["thought"]
        listed = server.json("GET", "/v1/models")
        self.assertEqual((listed["object"], listed["data"][0]["id"]), ("list", "thought"))
        other = server.json("GET", "/v1/models", headers={"anthropic-version": "2023-06-01"})
        self.assertEqual((other["has_more"], other["data"][0]["type"]), (False, "model"))
        self.assertRegex(other["data"][0]["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


class BrokenAnswers(unittest.TestCase):
    """A model whose third token leads to values that are no numbers: what fails, once a reply has begun and before."""

    def test_streams_end_with_an_error(self):
        server = servers["broken"]
        events = server.events("/v1/chat/completions", {"messages": HI})
        self.assertEqual(events[-1], "[DONE]")
        self.assertEqual(events[-2]["error"]["type"], "server_error")
        self.assertTrue("".join(event["choices"][0]["delta"].get("content", "") for event in events[:-2]).startswith("It"))
        name, last = server.named_events("/v1/messages", {"messages": HI, "max_tokens": 50})[-1]
        self.assertEqual((name, last["type"], last["error"]["type"]), ("error", "error", "api_error"))
        name, last = server.named_events("/v1/responses", {"input": "Hi"})[-1]
        self.assertEqual((name, last["response"]["status"], last["response"]["error"]["code"]), ("response.failed", "failed", "server_error"))
        self.assertEqual(last["sequence_number"], len(server.events("/v1/responses", {"input": "Hi"})) - 1)
        self.assertIn("error", server.events("/v1/completions", {"prompt": "a\n", "max_tokens": 50})[-2])

    def test_whole_replies_are_errors(self):
        server = servers["broken"]
        self.assertEqual(server.post("/v1/chat/completions", {"messages": HI}, status=500)["error"]["type"], "server_error")
        self.assertEqual(server.post("/v1/messages", {"messages": HI, "max_tokens": 50}, status=500)["error"]["type"], "api_error")
        server.post("/v1/responses", {"input": "Hi"}, status=500)
        self.assertEqual(server.post("/v1/messages", {"messages": HI, "max_tokens": 1})["stop_reason"], "max_tokens")


def places(value, path=()):
    """The path of each value inside of a value."""
    yield path
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def with_value(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_value(copy[path[0]], path[1:], new)
    return copy


class WrongTypes(unittest.TestCase):
    STRANGE = [None, True, 7, -1, 1e300, "x", "", "\ud800", [], {}, [1], {"a": 1}, [[]], [{}], {"type": "text"}]
    BODIES = {
        "/v1/chat/completions": {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}], "source": "a", "clearance": 1},
                         {"role": "assistant", "content": "x", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
                         {"role": "tool", "tool_call_id": "1", "content": "y"}],
            "max_tokens": 2, "tools": CHAT_TOOLS, "tool_choice": {"type": "function", "function": {"name": "weather"}}, "stream_options": {"include_usage": True},
            "response_format": {"type": "text"}, "logprobs": True, "top_logprobs": 1, "n": 1, "stop": ["x"], "logit_bias": {"5": 1}, "seed": 1,
            "chat_template_kwargs": {"enable_thinking": False}, "influence": False, "truncation": "auto", "reasoning_effort": "low"},
        "/v1/messages": {
            "system": [{"type": "text", "text": "Be short."}], "max_tokens": 2, "stop_sequences": ["x"],
            "messages": [*HI, {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "tool_use", "id": "1", "name": "weather", "input": {"city": "x"}}]},
                         {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "y"}]},
                                                      {"type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain", "data": "z"}}]}],
            "tools": MESSAGES_TOOLS, "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}, "thinking": {"type": "enabled", "budget_tokens": 9},
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "low"}},
        "/v1/responses": {
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}, {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
                      {"type": "function_call", "call_id": "1", "name": "weather", "arguments": "{}"}, {"type": "function_call_output", "call_id": "1", "output": "y"}],
            "instructions": "x", "max_output_tokens": 2, "tools": RESPONSES_TOOLS, "tool_choice": "auto", "text": {"format": {"type": "text"}}, "reasoning": {"effort": "low"},
            "include": ["message.output_text.logprobs"], "top_logprobs": 1, "store": True, "metadata": {"a": "b"}, "previous_response_id": None, "truncation": "auto"},
    }

    def test_nothing_strange_is_a_fault_of_the_server(self):
        server, tried = servers["call"], 0
        for path, body in self.BODIES.items():
            self.assertEqual(server.ask(path, body).status, 200, server.ask(path, body).body)
            for place in places(body):
                for strange in self.STRANGE:
                    answer = server.ask(path, json.dumps(with_value(body, place, strange)))
                    self.assertIn(answer.status, (200, 400, 404), f"{path} {place} {strange!r}: {answer.body}")
                    tried += 1
        self.assertGreater(tried, 1000)
        self.assertEqual(server.ask("/health").status, 200)


if __name__ == "__main__":
    if not os.environ.get("FIELDPRINT_CLI"):
        sys.exit("set FIELDPRINT_CLI to the program")
    unittest.main()
