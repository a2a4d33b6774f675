import assert from "node:assert/strict";
import { test } from "node:test";
import { Answer, timeLeft } from "../src/answer";
import { EventParser } from "../src/events";
import { bytes, day, seconds, titleOf } from "../src/format";
import { drive, shares, standout, strongest } from "../src/influence";
import { parseMetrics, total } from "../src/prometheus";
import { chatRequest, toolsFault } from "../src/request";
import { defaultOf, samplingFields } from "../src/sampling";
import { below, branch, latestLeaf, siblings } from "../src/tree";
import type { Message, Role } from "../src/types";

const message = (id: string, parent: string | null, role: Role = "user", extra: Partial<Message> = {}): Message =>
  ({ id, parent, role, content: id, created: 0, details: {}, ...extra });

test("a branch goes from the first message to the leaf", () => {
  const tree = [message("a", null), message("b", "a"), message("c", "a"), message("d", "b"), message("e", null)];
  const ids = (list: Message[]) => list.map((one) => one.id).join("");
  assert.equal(ids(branch(tree, "d")), "abd");
  assert.equal(ids(branch(tree, null)), "");
  assert.equal(ids(branch(tree, "gone")), "");
  assert.equal(ids(siblings(tree, tree[1]!)), "bc");
  assert.equal(ids(siblings(tree, tree[0]!)), "ae");
  assert.equal(latestLeaf(tree, "b"), "d");
  assert.equal(latestLeaf(tree, "a"), "c"); // the child that came last
  assert.equal(ids(below(tree, "b")), "bd");
});

test("events come whole whatever the pieces", () => {
  const text = 'data: {"a":1}\n\n: a comment\ndata: two\r\ndata: lines\r\n\r\nevent: x\ndata:[DONE]\n\n';
  const whole = new EventParser().push(text);
  assert.deepEqual(whole, ['{"a":1}', "two\nlines", "[DONE]"]);
  for (const size of [1, 2, 3, 7]) {
    const parser = new EventParser();
    const got: string[] = [];
    for (let i = 0; i < text.length; i += size) got.push(...parser.push(text.slice(i, i + size)));
    assert.deepEqual(got, whole, `pieces of ${size}`);
  }
});

test("an answer grows by chunks", () => {
  const answer = new Answer();
  answer.add({ prompt_progress: { total: 100, cache: 20, processed: 60, time_ms: 400 } }, 0);
  assert.equal(timeLeft(answer.progress!), 0.4);
  answer.add({ choices: [{ delta: { reasoning_content: "Hm" } }] }, 100);
  answer.add({ choices: [{ delta: { content: "Yes" }, logprobs: { content: [{ token: "Yes", logprob: -0.123456, top_logprobs: [{ token: "No", logprob: -2 }] }] }, influence: [[0.25, 0.75]] }] }, 900);
  answer.add({ choices: [{ delta: { tool_calls: [{ index: 0, id: "c1", function: { name: "f", arguments: '{"a"' } }] } }] }, 950);
  answer.add({ choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: ":1}" } }] }, finish_reason: "tool_calls" }] }, 960);
  answer.add({ choices: [], usage: { prompt_tokens: 100, completion_tokens: 3, total_tokens: 103 }, fieldprint: { logits_hash: "ab" } }, 970);
  assert.equal(answer.content, "Yes");
  assert.equal(answer.details.reasoning, "Hm");
  assert.equal(answer.begun, 100);
  assert.equal(answer.progress, undefined);
  assert.deepEqual(answer.details.tool_calls, [{ id: "c1", type: "function", function: { name: "f", arguments: '{"a":1}' } }]);
  assert.deepEqual(answer.details.tokens, { text: ["Yes"], logprob: [-0.1235], top: [[["No", -2]]], influence: [[0.25, 0.75]] });
  for (const token of [[0xf0, 0x9f], [0x90, 0xa6]]) answer.add({ choices: [{ logprobs: { content: [{ token: "\ufffd", bytes: token, logprob: -1 }] } }] }, 980);
  assert.deepEqual(answer.details.tokens?.text.slice(1), ["", "🐦"]);
  assert.equal(answer.details.finish, "tool_calls");
  assert.equal(answer.details.fieldprint?.logits_hash, "ab");
  assert.throws(() => answer.add({ error: { message: "broken" } }, 0), /broken/);
});

test("shares become columns, and what stands out is told apart", () => {
  const source = (kind: string, name = "", tokens = 1) => ({ kind, source: name, clearance: 0, tokens });
  const tokens = { text: ["a", "b"], logprob: [0, 0], top: [], influence: [[0.5, 0.1, 0.2, 0.2, 0], [0.5, 0.4, 0.05, 0.05, 0]] };
  const data = shares(tokens, [source("system", "chat template"), source("retrieved", "notes.txt"), source("user"), source("user"), source("anchor", "file")])!;
  assert.deepEqual(data.columns.map((column) => column.label), ["Template", "notes.txt", "Question"]); // nobody looked at the anchor
  assert.deepEqual(data.rows.map((row) => row.map((share) => Math.round(share * 100))), [[50, 10, 40], [50, 40, 10]]);
  assert.equal(standout(data, 0).column, 2);
  assert.equal(standout(data, 1).column, 1);
  assert.deepEqual(drive(data, 1), [0, 1]);
  assert.deepEqual(drive(data, 0), [0, 0]); // the same for all: it drove none more than another
  assert.deepEqual(strongest(data, 2, 1), [0]);
  assert.equal(shares({ ...tokens, influence: [] }, []), undefined);

  // The server names the prompt's parts; the answer has no column yet at its first token, and anchor rows come last.
  const grown = shares({ ...tokens, influence: [[0.7, 0.3], [0.5, 0.4, 0.1]] }, [source("user")])!;
  assert.deepEqual(grown.columns.map((column) => column.label), ["Question", "Answer so far", "Anchor"]);
  assert.deepEqual(grown.rows, [[0.7, 0, 0.3], [0.5, 0.4, 0.1]]);
});

test("a request carries the branch and only what is set", () => {
  const path = [
    message("q", null, "user", { details: { attachments: [{ name: "n.txt", text: "notes" }] } }),
    message("a", "q", "assistant", { details: { reasoning: "hm" } }),
    message("q2", "a"),
  ];
  const request = chatRequest(path, { system: "Be brief.", sampling: { temperature: 0, stop: "a, \\n", samplers: "" }, thinking: false });
  assert.deepEqual(request["messages"], [
    { role: "system", content: "Be brief." },
    { role: "user", content: "notes", source: "n.txt" },
    { role: "user", content: "q" },
    { role: "assistant", content: "a", reasoning_content: "hm" },
    { role: "user", content: "q2" },
  ]);
  assert.equal(request["temperature"], 0);
  assert.deepEqual(request["stop"], ["a", "\n"]);
  assert.ok(!("samplers" in request) && !("tools" in request) && !("clearance" in request));
  assert.deepEqual(request["chat_template_kwargs"], { enable_thinking: false });
  assert.equal(request["influence"], true);
  // For templates that take users and assistants in turns alone; and a file may have a clearance.
  assert.deepEqual((chatRequest(path, {}, true)["messages"] as object[])[0], { role: "user", content: "n.txt:\n\nnotes\n\nq" });
  const secret = message("q", null, "user", { details: { attachments: [{ name: "s", text: "t", clearance: 2 }] } });
  assert.deepEqual((chatRequest([secret], { clearance: 1 })["messages"] as object[])[0], { role: "user", content: "t", source: "s", clearance: 2 });
  const bare = chatRequest(path, { record_influence: false, record_probabilities: false });
  assert.ok(!("influence" in bare) && !("logprobs" in bare));
});

test("tools are checked as they are typed", () => {
  assert.equal(toolsFault(""), undefined);
  assert.equal(toolsFault('[{"type": "function", "function": {"name": "f"}}]'), undefined);
  assert.match(toolsFault("[{")!, /no JSON/);
  assert.match(toolsFault("{}")!, /list/);
  assert.match(toolsFault("[{}]")!, /Each tool/);
});

test("sampling fields and their defaults", () => {
  assert.deepEqual(samplingFields({ samplers: "dry, top_k", top_k: 3 }), { samplers: ["dry", "top_k"], top_k: 3 });
  assert.equal(defaultOf({ params: { temperature: 0.800000011920929 } }, "temperature"), "0.8");
  assert.equal(defaultOf({ samplers: ["a", "b"] }, "samplers"), "a, b");
  assert.equal(defaultOf(undefined, "top_k"), "");
  assert.equal(defaultOf({ max_tokens: -1, seed: 0 }, "max_tokens"), "no limit");
  assert.equal(defaultOf({ seed: 0 }, "seed"), "random"); // the server draws one
});

test("Prometheus's text", () => {
  const values = parseMetrics('# HELP x y\nx{a="1 2"} 3\nx{a="2"} 4\ny 1.5e3\n');
  assert.equal(total(values, "x"), 7);
  assert.equal(total(values, "y"), 1500);
  assert.equal(total(values, "z"), undefined);
});

test("numbers and times as people read them", () => {
  assert.equal(bytes(93_000_000), "93.0 MB");
  assert.equal(bytes(512), "512 B");
  assert.equal(seconds(0.2), "less than a second");
  assert.equal(seconds(75), "1 min 15 s");
  const noon = new Date(2026, 5, 10, 12).getTime();
  assert.equal(day(noon - 3_600_000, noon), "Today");
  assert.equal(day(noon - 24 * 3_600_000, noon), "Yesterday");
  assert.equal(day(noon - 90 * 24 * 3_600_000, noon), "March 2026");
  assert.equal(titleOf("  Why?\nmore"), "Why?");
  assert.ok(titleOf("word ".repeat(40)).length <= 60);
});
