// GET /health, /metrics, /props, /slots: how the server does.
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>

#include "server/endpoint.h"
#include "server/metrics.h"
#include "server/sampling_fields.h"
#include "server/service.h"

namespace fieldprint::server::endpoints_of {

void health(Service& service, const HttpRequest&, HttpReply& reply) {
  if (!is_encoder(*service.model)) {
    const double seconds = service.scheduler().stats().last_step;
    if (seconds > static_cast<double>(service.options.stuck.count()))
      return send_json(reply, {{"status", "stuck"}, {"seconds_without_a_step", seconds}}, 503);
  }
  send_json(reply, {{"status", "ok"}});
}

// Bytes of memory that this process has, as the kernel counts them.
static double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t all = 0, resident = 0;
  file >> all >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

void metrics(Service& service, const HttpRequest&, HttpReply& reply) {
  std::string text = service.metrics.text();
  write_metric(text, "process_resident_memory_bytes", "gauge", "Memory of the process", resident_bytes());
  if (!is_encoder(*service.model)) {
    const SchedulerStats stats = service.scheduler().stats();
    const auto gauge = [&](const char* name, const char* help, double value) {
      write_metric(text, name, "gauge", help, value);
    };
    const auto counter = [&](const char* name, const char* help, uint64_t value) {
      write_metric(text, name, "counter", help, static_cast<double>(value));
    };
    gauge("fieldprint_answers_running", "Answers under way", stats.running);
    gauge("fieldprint_requests_waiting", "Requests in the queue", stats.waiting);
    gauge("fieldprint_last_step_seconds", "Since the last step, while there is work", stats.last_step);
    counter("fieldprint_steps_total", "Passes over the weights", stats.steps);
    counter("fieldprint_prefill_tokens_total", "Tokens of prompts that were computed", stats.prefill_tokens);
    counter("fieldprint_decode_tokens_total", "Tokens of answers that were fed back", stats.decode_tokens);
    counter("fieldprint_reused_tokens_total", "Tokens of prompts taken from the cache", stats.reused_tokens);
    gauge("fieldprint_cache_bytes", "Memory of sequences that stay for later prompts",
          static_cast<double>(stats.cache_bytes));
    gauge("fieldprint_cache_disk_bytes", "Their files", static_cast<double>(stats.cache_disk_bytes));
    gauge("fieldprint_cache_entries", "How many they are", stats.cache_entries);
    counter("fieldprint_cache_hits_total", "Requests that began with what was computed before", stats.reuses);
    counter("fieldprint_cache_evictions_total", "Sequences dropped for others", stats.cache_evictions);
    counter("fieldprint_cache_damaged_total", "Files of the cache that were refused", stats.cache_damaged);
    counter("fieldprint_read_bytes_total", "Weights, keys and values read", stats.bytes_read);
  }
  reply.send({.type = "text/plain; version=0.0.4; charset=utf-8", .body = std::move(text)});
}

void props(Service& service, const HttpRequest&, HttpReply& reply) {
  const ModelInfo& info = service.model->info();
  const ChatTemplate* chat_template = service.model->chat_template();
  const auto& tokenizer = service.tokenizer();
  const auto piece = [&](TokenId token) {
    return token == kNoToken ? std::string() : std::string(tokenizer.piece(token));
  };
  Json sampling = sampling_json(service.options.sampling);
  sampling["n_ctx"] = service.context();
  send_json(reply, {{"model",
                     {{"name", service.model_name},
                      {"path", info.path},
                      {"architecture", info.architecture},
                      {"parameters", info.parameters},
                      {"active_parameters", info.active_parameters},
                      {"context", info.context},
                      {"layers", info.layers},
                      {"size", info.file_bytes},
                      {"hash", service.model_hash()},
                      {"encoder", info.encoder},
                      {"warnings", info.warnings}}},
                    {"default_generation_settings", sampling},
                    {"total_slots", service.options.scheduler.streams},
                    {"context", service.context()},
                    {"kv_type", service.options.scheduler.session.kv_type},
                    {"threads", service.model->threads()},
                    {"isa", service.model->isa()},
                    {"chat_template", chat_template != nullptr ? Json(chat_template->source()) : Json()},
                    {"tool_format", chat_template != nullptr ? Json(tool_call_format(*chat_template)) : Json()},
                    {"bos_token", piece(tokenizer.bos())},
                    {"eos_token", piece(tokenizer.eos())},
                    {"conversations", !service.options.data_directory.empty()},
                    {"embeddings", is_encoder(*service.model) || service.options.encoder != nullptr}});
}

void slots(Service& service, const HttpRequest&, HttpReply& reply) {
  Json list = Json::array();
  if (!is_encoder(*service.model)) {
    for (const StreamInfo& stream : service.scheduler().streams()) {
      list.push_back({{"id", stream.id},
                      {"answer", stream.answer},
                      {"is_processing", true},
                      {"prompt_tokens", stream.prompt_tokens},
                      {"processed", stream.done_tokens},
                      {"generated", stream.generated_tokens},
                      {"seconds", stream.seconds}});
    }
  }
  send_json(reply, list);
}

}  // namespace fieldprint::server::endpoints_of
