#include "suggest.h"

#include <algorithm>

namespace fieldprint::cli {

namespace {

struct Habit {
  std::string_view typed;
  const char* hint;
};

constexpr const char* kPrompt = "the prompt needs no flag: `fieldprint run \"Why is the sky blue?\"`";
constexpr const char* kContext = "write -c N or --context N";
constexpr const char* kLength = "write -n N or --max-tokens N";
constexpr const char* kNoGpu = "leave it out: Fieldprint runs on the CPU";
constexpr const char* kChat = "`fieldprint chat` opens a conversation";
constexpr const char* kHub = "write -m owner/repo:file.gguf for a file on Hugging Face";
constexpr const char* kKvType = "write --kv-type f16, bf16, q8_0 or f32";
constexpr const char* kAlways = "leave it out: that is always on";
constexpr const char* kSystem = "write -s TEXT or --system TEXT";
constexpr const char* kQuiet = "write -q or --quiet";

constexpr Habit kFlags[] = {
    {"-p", kPrompt},
    {"--prompt", kPrompt},
    {"-f", "a prompt from a file: `fieldprint run < FILE`"},
    {"--file", "a prompt from a file: `fieldprint run < FILE`"},
    {"--ctx-size", kContext},
    {"--num-ctx", kContext},
    {"--n-ctx", kContext},
    {"--max-model-len", kContext},
    {"--n-predict", kLength},
    {"--predict", kLength},
    {"--num-predict", kLength},
    {"--max-new-tokens", kLength},
    {"-ngl", kNoGpu},
    {"--n-gpu-layers", kNoGpu},
    {"--gpu-layers", kNoGpu},
    {"-sys", kSystem},
    {"--system-prompt", kSystem},
    {"-cnv", kChat},
    {"--conversation", kChat},
    {"-i", kChat},
    {"--interactive", kChat},
    {"-no-cnv", "write --raw to continue a text without the chat template"},
    {"--no-conversation", "write --raw to continue a text without the chat template"},
    {"-hf", kHub},
    {"--hf-repo", kHub},
    {"--hf-file", kHub},
    {"-ctk", kKvType},
    {"-ctv", kKvType},
    {"--cache-type-k", kKvType},
    {"--cache-type-v", kKvType},
    {"-fa", kAlways},
    {"--flash-attn", kAlways},
    {"--jinja", kAlways},
    {"--mmap", kAlways},
    {"--repeat-penalty", "write --repetition-penalty X"},
    {"--repeat-last-n", "write --penalty-window N"},
    {"--prompt-cache", "write --session FILE"},
    {"--verbose-prompt", "write --show-prompt"},
    {"--no-display-prompt", "leave it out: the prompt is not printed"},
    {"--log-disable", kQuiet},
    {"--silent", kQuiet},
    {"--num_fewshot", "write --fewshot N"},
    {"--num-shots", "write --fewshot N"},
    {"--apply_chat_template", "write --apply-chat-template"},
    {"--fewshot_as_multiturn", "write --fewshot-as-multiturn"},
    {"--system_instruction", "write --system-instruction TEXT"},
    {"--output_path", "write --out DIR"},
    {"--log_samples", "leave it out: --out DIR always writes samples"},
    {"--hellaswag", "`fieldprint eval --style llama.cpp --tasks hellaswag`"},
    {"--winogrande", "`fieldprint eval --style llama.cpp --tasks winogrande`"},
};

constexpr const char* kModels = "`fieldprint models` lists them";
constexpr const char* kInfo = "`fieldprint info MODEL` shows what is in a model";
constexpr const char* kRemove = "`fieldprint rm MODEL` removes a pulled model";
constexpr const char* kPull = "`fieldprint pull MODEL` fetches a model";
constexpr const char* kRun = "`fieldprint run \"Why is the sky blue?\"` gives one answer";

constexpr Habit kCommands[] = {
    {"list", kModels},
    {"ls", kModels},
    {"show", kInfo},
    {"inspect", kInfo},
    {"remove", kRemove},
    {"delete", kRemove},
    {"del", kRemove},
    {"get", kPull},
    {"fetch", kPull},
    {"download", kPull},
    {"install", kPull},
    {"generate", kRun},
    {"ask", kRun},
    {"complete", kRun},
    {"cli", kRun},
    {"repl", kChat},
    {"interactive", kChat},
    {"evaluate", "`fieldprint eval MODEL --data DIR` scores it on data sets"},
    {"ppl", "`fieldprint perplexity FILE` measures it"},
    {"convert", "`fieldprint quantize FOLDER OUT BF16` takes a folder of safetensors"},
};

template <size_t n>
std::string find_habit(const Habit (&habits)[n], std::string_view typed) {
  for (const auto& habit : habits)
    if (habit.typed == typed) return habit.hint;
  return {};
}

}  // namespace

std::string flag_habit(std::string_view typed) { return find_habit(kFlags, typed); }
std::string command_habit(std::string_view typed) { return find_habit(kCommands, typed); }

static size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string nearest(std::string_view typed, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, typed.size() / 3) + 1;
  for (const auto& name : known) {
    size_t distance = edit_distance(typed, name);
    if (typed.size() >= 3 && name.starts_with(typed)) distance = 1;  // "--rep" for "--repetition-penalty"
    if (name.size() >= 4 && typed.starts_with(name)) distance = std::min<size_t>(distance, 2);  // "--temperature"
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view typed, const std::vector<std::string>& known, std::string otherwise) {
  const std::string name = nearest(typed, known);
  return name.empty() ? otherwise : "did you mean " + name + "?";
}

}  // namespace fieldprint::cli
