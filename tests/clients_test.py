#!/usr/bin/env python3
"""The official clients, unchanged, where Python has them (pip install openai anthropic): plain and streamed answers,
tools, reasoning, structured output, log-probabilities, models, errors, an abandoned stream."""
import importlib.util
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

if not importlib.util.find_spec("openai") and not importlib.util.find_spec("anthropic"):
    print("skipped: Python has neither openai nor anthropic")
    sys.exit(77)
openai = importlib.import_module("openai") if importlib.util.find_spec("openai") else None
anthropic = importlib.import_module("anthropic") if importlib.util.find_spec("anthropic") else None

TEMPLATE = (
    "{# </think> #}{% if tools %}{{ tools | tojson }} <tool_call>{...}</tool_call>{% endif %}{% for m in messages %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
SCRIPTS = {"talk": "<think>\nHm.\n</think>\n\nThe sky is blue.",
           "call": '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>',
           "json": '{"city": "Paris", "large": true}'}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "large": {"type": "boolean"}}, "required": ["city", "large"], "additionalProperties": False}
HI = [{"role": "user", "content": "Hi"}]
folder = servers = None


def setUpModule():
    global folder, servers
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fieldprint-clients-"))
    servers = {}
    for name, text in SCRIPTS.items():
        tiny_gguf.write_script(folder / f"{name}.gguf", text, after="\n", template=TEMPLATE)
        servers[name] = Server(folder / f"{name}.gguf", "--temp", "0", env={"FIELDPRINT_API_KEY": "key"})


def tearDownModule():
    codes = {name: server.stop() for name, server in servers.items()}
    for server in servers.values():
        server.__exit__()
    shutil.rmtree(folder, ignore_errors=True)
    assert set(codes.values()) == {0}, codes


@unittest.skipIf(openai is None, "there is no openai")
class OpenAI(unittest.TestCase):
    def client(self, name, key="key"):
        return openai.OpenAI(base_url=servers[name].url + "/v1", api_key=key, max_retries=0)

    def test_chat(self):
        client = self.client("talk")
        message = client.chat.completions.create(model="x", messages=HI).choices[0].message
        self.assertEqual((message.content, message.reasoning_content.strip()), ("The sky is blue.", "Hm."))
        stream = client.chat.completions.create(model="x", messages=HI, stream=True, stream_options={"include_usage": True})
        chunks = list(stream)
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), message.content)
        self.assertGreater(chunks[-1].usage.completion_tokens, 4)
        with client.chat.completions.stream(model="x", messages=HI) as events:
            for _ in events:
                pass
            self.assertEqual(events.get_final_completion().choices[0].message.content, message.content)
        choice = client.chat.completions.create(model="x", messages=HI, logprobs=True, top_logprobs=2).choices[0]
        self.assertEqual({len(token.top_logprobs) for token in choice.logprobs.content}, {2})

    def test_tools(self):
        client, tools = self.client("call"), [{"type": "function", "function": {"name": "weather", "strict": True, "parameters": PARAMETERS}}]
        (call,) = client.chat.completions.create(model="x", messages=HI, tools=tools).choices[0].message.tool_calls
        self.assertEqual((call.function.name, json.loads(call.function.arguments)), ("weather", {"city": "Paris"}))
        with client.chat.completions.stream(model="x", messages=HI, tools=tools) as events:
            done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
        self.assertEqual(done[0].parsed_arguments, {"city": "Paris"})

    def test_structured_output(self):
        client = self.client("json")
        answer = client.chat.completions.create(
            model="x", messages=HI, response_format={"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": SCHEMA}})
        self.assertEqual(json.loads(answer.choices[0].message.content), {"city": "Paris", "large": True})

    def test_responses(self):
        client = self.client("talk")
        first = client.responses.create(model="x", input="Hi")
        self.assertEqual(first.output_text, "The sky is blue.")
        with client.responses.stream(model="x", input="And now?", previous_response_id=first.id) as events:
            for _ in events:
                pass
            final = events.get_final_response()
        self.assertEqual((final.output_text, final.status), (first.output_text, "completed"))
        self.assertEqual(client.responses.retrieve(final.id).output_text, final.output_text)
        self.assertEqual([item.type for item in client.responses.input_items.list(final.id)], ["message"])
        client.responses.delete(first.id)
        with self.assertRaises(openai.NotFoundError):
            client.responses.retrieve(first.id)
        tools = [{"type": "function", "name": "weather", "strict": True, "parameters": PARAMETERS}]
        with self.client("call").responses.stream(model="x", input="Hi", tools=tools) as events:
            for _ in events:
                pass
            (call,) = events.get_final_response().output
        self.assertEqual((call.type, call.parsed_arguments), ("function_call", {"city": "Paris"}))

    def test_texts_models_and_errors(self):
        client = self.client("talk")
        self.assertEqual([model.id for model in client.models.list()], ["talk"])
        scored = client.completions.create(model="x", prompt="abc", max_tokens=0, echo=True, logprobs=1)
        self.assertEqual(scored.choices[0].logprobs.tokens, ["a", "b", "c"])
        with self.assertRaises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="x", messages=HI, temperature="hot")
        self.assertEqual((caught.exception.param, caught.exception.request_id[:4]), ("temperature", "req-"))
        with self.assertRaises(openai.AuthenticationError):
            self.client("talk", key="none").models.list()

    def test_an_abandoned_stream(self):
        stream = self.client("talk").chat.completions.create(model="x", messages=HI, stream=True)
        next(iter(stream))
        stream.close()
        servers["talk"].ask("/health")


@unittest.skipIf(anthropic is None, "there is no anthropic")
class Anthropic(unittest.TestCase):
    def client(self, name, key="key"):
        return anthropic.Anthropic(base_url=servers[name].url, api_key=key, max_retries=0)

    def test_messages(self):
        client = self.client("talk")
        message = client.messages.create(model="x", max_tokens=50, messages=HI, system="Be short.")
        self.assertEqual([block.type for block in message.content], ["thinking", "text"])
        self.assertEqual((message.content[1].text, message.stop_reason), ("The sky is blue.", "end_turn"))
        with client.messages.stream(model="x", max_tokens=50, messages=HI, system="Be short.") as stream:
            self.assertEqual("".join(stream.text_stream), "The sky is blue.")
            final = stream.get_final_message()
        said = lambda content: [(block.type, block.text if block.type == "text" else (block.thinking, block.signature)) for block in content]
        self.assertEqual(said(final.content), said(message.content))
        stopped = client.messages.create(model="x", max_tokens=50, messages=HI, stop_sequences=["blue"])
        self.assertEqual((stopped.stop_reason, stopped.stop_sequence), ("stop_sequence", "blue"))
        count = client.messages.count_tokens(model="x", messages=HI, system="Be short.")
        self.assertEqual(count.input_tokens, message.usage.input_tokens + message.usage.cache_read_input_tokens)

    def test_tools(self):
        client, tools = self.client("call"), [{"name": "weather", "input_schema": PARAMETERS}]
        with client.messages.stream(model="x", max_tokens=90, messages=HI, tools=tools, tool_choice={"type": "any"}) as stream:
            message = stream.get_final_message()
        (use,) = message.content
        self.assertEqual((message.stop_reason, use.name, use.input), ("tool_use", "weather", {"city": "Paris"}))
        client.messages.create(model="x", max_tokens=90, tools=tools, messages=[
            *HI, {"role": "assistant", "content": message.content},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "18 degrees"}]}])

    def test_models_and_errors(self):
        client = self.client("talk")
        self.assertEqual([model.id for model in client.models.list()], ["talk"])
        with self.assertRaises(anthropic.BadRequestError) as caught:
            client.messages.create(model="x", max_tokens=0, messages=HI)
        self.assertEqual(caught.exception.body["error"]["type"], "invalid_request_error")
        self.assertEqual(caught.exception.request_id[:4], "req-")
        with self.assertRaises(anthropic.AuthenticationError):
            self.client("talk", key="none").models.list()


if __name__ == "__main__":
    if not os.environ.get("FIELDPRINT_CLI"):
        sys.exit("set FIELDPRINT_CLI to the program")
    unittest.main()
