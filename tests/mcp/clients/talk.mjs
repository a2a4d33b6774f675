// One conversation with an MCP server by a TypeScript SDK: talk.mjs v1|v2 legacy|auto|modern TARGET..., where the target is
// {"url", "headers"} or {"command", "args"} as JSON. Prints what came of it as JSON.
const [sdk, era, target] = process.argv.slice(2, 5).map((word, i) => (i === 2 ? JSON.parse(word) : word));

const clientInfo = { name: `typescript-${sdk}`, version: "1.0" };
let client, transport;
if (sdk === "v1") {
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  client = new Client(clientInfo);
  transport = target.url ? new StreamableHTTPClientTransport(new URL(target.url), { requestInit: { headers: target.headers } })
                         : new StdioClientTransport(target);
} else {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const mode = era === "modern" ? { pin: "2026-07-28" } : era;
  client = new Client(clientInfo, { versionNegotiation: { mode } });
  transport = target.url ? new StreamableHTTPClientTransport(new URL(target.url), { requestInit: { headers: target.headers } })
                         : new StdioClientTransport(target);
}
const problems = [];
client.onerror = (error) => problems.push(String(error));

// v1 wants a schema between parameters and options; both take undefined for it.
const call = (name, args, options) =>
  sdk === "v1" ? client.callTool({ name, arguments: args }, undefined, options) : client.callTool({ name, arguments: args }, options);
const failure = (promise) => promise.then(() => "", (error) => error.name + ": " + error.message);

await client.connect(transport);
const report = { server: client.getServerVersion()?.name, instructions: client.getInstructions() };
if (sdk === "v2") report.version = client.getNegotiatedProtocolVersion();
const { tools } = await client.listTools();
report.tools = tools.map((tool) => tool.name);
if (report.tools.includes("remember")) {
  report.text = `${sdk}-${era}: ${Array.from({ length: 6 }, () => Math.random().toString(36).slice(2)).join(" ")}`;  // like no other
  report.remembered = (await call("remember", { text: report.text })).structuredContent;
  report.recalled = (await call("recall", { query: report.text })).structuredContent;
  report.explained = (await call("explain", { id: report.remembered.id })).structuredContent;
  report.wrong = await call("remember", { text: 7 });
} else {
  report.progress = [];
  await call("test_tool_with_progress", {}, { onprogress: (progress) => report.progress.push(progress.progress) });
  const stop = new AbortController();
  report.aborted = await failure(call("test_wait", {}, { signal: stop.signal, onprogress: () => stop.abort("enough") }));
  report.after = (await call("test_simple_text", {})).content[0].text;
  report.blocks = (await call("test_multiple_content_types", {})).content.map((block) => block.type);
}
report.unknown = await failure(call("no_such_tool", {}));
if (sdk === "v1" || era === "legacy") await client.ping();
if (transport.terminateSession) await transport.terminateSession();
await client.close();
console.log(JSON.stringify({ ...report, problems }));
