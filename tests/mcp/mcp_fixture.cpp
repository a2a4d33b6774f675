// A server for the tests of src/mcp from outside: the tools that @modelcontextprotocol/conformance looks for, none of
// which the product has, and a daemon in front of a memory that only writes down what it is told.
//
//   mcp_fixture http [PORT]     conformance's tools over HTTP; prints the address
//   mcp_fixture stdio           the same on stdin and stdout
//   mcp_fixture daemon DIR [PORT [TOKEN]]   the memory's daemon; a line once it listens
//   mcp_fixture bridge DIR      what a client starts; starts the daemon
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <thread>

#include "base/descriptor.h"
#include "fieldprint/error.h"
#include "fieldprint/memory_daemon.h"
#include "mcp/http_transport.h"
#include "mcp/stream_transport.h"

namespace fieldprint::mcp {
namespace {

using namespace std::chrono_literals;

constexpr const char* kImage =  // one red pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
constexpr const char* kSound = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA==";

Json text_block(const std::string& text) { return {{"type", "text"}, {"text", text}}; }

Json image_block() { return {{"type", "image"}, {"data", kImage}, {"mimeType", "image/png"}}; }

Json resource_block(const std::string& uri, const std::string& type, const std::string& text) {
  return {{"type", "resource"}, {"resource", {{"uri", uri}, {"mimeType", type}, {"text", text}}}};
}

Tool plain(const std::string& name, const std::string& description, Json content) {
  return {.name = name,
          .description = description,
          .input_schema = {{"type", "object"}},
          .handler = [content](const Json&, ToolContext&) { return ToolResult{.content = content}; }};
}

Tool working(const std::string& name, const std::string& description, std::function<void(ToolContext&)> work) {
  return {.name = name,
          .description = description,
          .input_schema = {{"type", "object"}},
          .handler = [work](const Json&, ToolContext& context) {
            work(context);
            return ToolResult{.text = "It has been done."};
          }};
}

ServerOptions conformance_tools() {
  ServerOptions options{
      .name = "fieldprint-fixture", .title = "", .version = "1.0", .instructions = "", .tools = {}, .logging = true};
  auto& tools = options.tools;
  tools.push_back(plain("test_simple_text", "Gives a text.",
                        Json::array({text_block("This is a simple text response for testing.")})));
  tools.push_back(plain("test_image_content", "Gives an image.", Json::array({image_block()})));
  tools.push_back(plain("test_audio_content", "Gives a sound.",
                        Json::array({{{"type", "audio"}, {"data", kSound}, {"mimeType", "audio/wav"}}})));
  tools.push_back(plain("test_embedded_resource", "Gives a resource.",
                        Json::array({resource_block("test://embedded-resource", "text/plain",
                                                    "This is an embedded resource content.")})));
  tools.push_back(plain("test_multiple_content_types", "Gives a text, an image and a resource.",
                        Json::array({text_block("Multiple content types test:"), image_block(),
                                     resource_block("test://mixed-content-resource", "application/json",
                                                    R"({"test":"data","value":123})")})));
  for (const char* name : {"test_tool_with_logging", "test_logging_tool"})
    tools.push_back(working(name, "Logs while it works.", [](ToolContext& context) {
      context.log("info", "Tool execution started");
      std::this_thread::sleep_for(50ms);
      context.log("info", "Tool processing data");
      std::this_thread::sleep_for(50ms);
      context.log("info", "Tool execution completed");
    }));
  tools.push_back(working("test_tool_with_progress", "Says how far it is.", [](ToolContext& context) {
    for (const double done : {0.0, 50.0, 100.0}) {
      context.progress(done, 100.0, fmt::format("{} of 100", done));
      std::this_thread::sleep_for(50ms);
    }
  }));
  tools.push_back(working("test_streaming_elicitation", "Streams, and asks for nothing.",
                          [](ToolContext& context) { context.progress(1, {}, ""); }));
  tools.push_back(working("test_wait", "Waits until it is cancelled.", [](ToolContext& context) {
    context.progress(0, {}, "waiting");
    while (!context.cancelled()) std::this_thread::sleep_for(5ms);
  }));
  tools.push_back({.name = "test_error_handling",
                   .description = "Fails.",
                   .input_schema = {{"type", "object"}},
                   .handler = [](const Json&, ToolContext&) -> ToolResult {
                     throw Error(ErrorKind::kLimit, "This tool intentionally returns an error for testing");
                   }});
  tools.push_back({.name = "test_missing_capability",
                   .description = "Needs a client that samples.",
                   .input_schema = {{"type", "object"}},
                   .handler = [](const Json&, ToolContext& context) -> ToolResult {
                     if (!context.client_capabilities().contains("sampling"))
                       throw RpcError(kMissingClientCapability, "Missing required client capability",
                                      {{"requiredCapabilities", {{"sampling", Json::object()}}}});
                     return {.text = "The client samples."};
                   }});
  tools.push_back({.name = "test_mirrored_header",
                   .description = "Has an argument that is a header too.",
                   .input_schema = Json::parse(R"({"type": "object", "properties": {
                       "region": {"type": "string", "x-mcp-header": "Region"}}})"),
                   .handler = [](const Json& arguments, ToolContext&) {
                     return ToolResult{.text = arguments.value("region", "")};
                   }});
  Tool schema = plain("json_schema_2020_12_tool", "Has a schema with all that JSON Schema 2020-12 knows.",
                      Json::array({text_block("ok")}));
  schema.input_schema = Json::parse(R"({
      "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
      "$defs": {"address": {"$anchor": "addressDef", "type": "object",
                            "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
      "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
                     "contactMethod": {"type": "string", "enum": ["phone", "email"]},
                     "phone": {"type": "string"}, "email": {"type": "string"}},
      "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
      "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
      "then": {"required": ["phone"]}, "else": {"required": ["email"]}, "additionalProperties": false})");
  tools.push_back(std::move(schema));
  return options;
}

// Appends what is to be remembered to DIR/records, one JSON a line, and syncs before it answers.
class WritingMemory final : public MemoryCalls {
 public:
  explicit WritingMemory(const std::string& directory)
      : file_(::open((directory + "/records").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}

  std::string call(const MemoryCaller& caller, std::string_view method, std::string_view params) override {
    const std::lock_guard lock(mutex_);
    const Json given = Json::parse(params);
    if (method == "add") {
      if (given["text"] == "die") ::_exit(1);
      const std::string line =
          to_text({{"text", given["text"]}, {"session", caller.session}, {"adapter", caller.adapter}}) + "\n";
      if (::write(file_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
          ::fsync(file_.get()) != 0)
        throw Error(ErrorKind::kIo, "cannot be written");
      return to_text({{"id", fmt::format("{:064x}", ++records_)}, {"status", "ADMITTED"}, {"duplicate", false}});
    }
    if (method == "recall") return R"({"items":[{"id":"00ff","text":"a \"text\"","kind":"USR"}],"tokens":3})";
    if (method == "status") return to_text({{"records", records_}, {"process", ::getpid()}});
    throw Error(ErrorKind::kUnsupported, "this memory only writes");
  }

 private:
  const Descriptor file_;
  std::mutex mutex_;
  int64_t records_ = 0;
};

// Waits for the signals that end a program.
void wait_for_end() {
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGTERM);
  ::sigaddset(&ends, SIGINT);
  int signal = 0;
  ::sigwait(&ends, &signal);
}

int run(int count, char** arguments) {
  const auto argument = [&](int i) { return i < count ? std::string(arguments[i]) : std::string(); };
  const std::string mode = argument(1);
  if (mode == "bridge") {
    bridge_memory_mcp({.directory = argument(2), .daemon = {"/proc/self/exe", "daemon", argument(2)}});
    return 0;
  }
  sigset_t ends;  // before any thread, which would inherit it otherwise
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGTERM);
  ::sigaddset(&ends, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  if (mode == "http") {
    const ToolServer server(conformance_tools());
    HttpTransport transport(server, {.port = std::atoi(argument(2).c_str())});
    std::printf("%s\n", transport.url().c_str());
    std::fflush(stdout);
    wait_for_end();
    return 0;
  }
  if (mode == "stdio") {
    const ToolServer server(conformance_tools());
    Peer peer("user", "stdio");
    LineReader reader(0, -1, kMaxMessageBytes);
    LineWriter writer(1);
    serve_stream(server, peer, reader, writer);
    return 0;
  }
  if (mode == "daemon") {
    WritingMemory memory(argument(2));
    MemoryDaemon daemon(memory, {.directory = argument(2),
                                 .version = "1.0",
                                 .http_port = argument(3).empty() ? -1 : std::atoi(argument(3).c_str()),
                                 .http_token = argument(4)});
    std::printf("%s\n", daemon.url().empty() ? "listening" : daemon.url().c_str());
    std::fflush(stdout);
    wait_for_end();
    return 0;
  }
  std::fprintf(stderr, "usage: mcp_fixture http | stdio | daemon DIR | bridge DIR\n");
  return 2;
}

}  // namespace
}  // namespace fieldprint::mcp

int main(int count, char** arguments) {
  try {
    return fieldprint::mcp::run(count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
