#include "eval/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>

#include "eval/answer_reader.h"
#include "fieldprint/error.h"
#include "fieldprint/scheduler.h"

namespace fieldprint {
namespace {

constexpr int kUsualStreams = 16;  // as many as a step's matrix products gain from

struct Stopped {};  // thrown by on_token: what follows cannot count

// A queue of what has ended, from the scheduler's thread to the caller's.
class Ended {
 public:
  void push(size_t index) {
    {
      const std::lock_guard lock(mutex_);
      ended_.push_back(index);
    }
    changed_.notify_one();
  }
  size_t pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ended_.empty(); });
    const size_t index = ended_.front();
    ended_.pop_front();
    return index;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<size_t> ended_;
};

// The end of a prompt that is too long for the context counts, as in the harness.
std::vector<TokenId> encode(const Tokenizer& tokenizer, const EvalPrompt& prompt, int context, bool& shortened) {
  const int room = context - prompt.max_tokens;
  if (prompt.max_tokens < 1 || room < 1) {
    throw Error(ErrorKind::kUsage, fmt::format("answers of {} tokens in a context of {}", prompt.max_tokens, context),
                {}, "at least 1, and room for the question");
  }
  const std::string_view bos = tokenizer.adds_bos() ? tokenizer.piece(tokenizer.bos()) : std::string_view();
  const bool says_bos = !bos.empty() && prompt.text.starts_with(bos);  // a template's own
  std::vector<TokenId> ids = tokenizer.encode(prompt.text, {.add_special = !says_bos});
  // Some vocabularies ask for an EOS behind a text; nothing would follow it.
  if (ids.size() > 1 && ids.back() == tokenizer.eos() && tokenizer.eos() != kNoToken) ids.pop_back();
  shortened = ids.size() > static_cast<size_t>(room);
  if (shortened) ids.erase(ids.begin(), ids.end() - room);
  return ids;
}

}  // namespace

void generate_answers(const std::shared_ptr<const Model>& model, std::span<const EvalPrompt> prompts,
                      const EvalGenerateOptions& options,
                      const std::function<bool(size_t index, EvalAnswer answer)>& done) {
  const Tokenizer& tokenizer = model->tokenizer();
  std::optional<ChatFormat> own;
  const ChatFormat* format = options.format;
  const auto templated = [](const EvalPrompt& prompt) { return prompt.templated; };
  if (format == nullptr && std::any_of(prompts.begin(), prompts.end(), templated)) {
    if (model->chat_template() == nullptr)
      throw Error(ErrorKind::kUsage, "the model has no chat template", {}, "leave --apply-chat-template out");
    format = &own.emplace(tokenizer, *model->chat_template());
  }

  // These outlive the scheduler, whose thread uses them.
  struct Running {
    AnswerReader reader;  // the scheduler's thread alone uses it until the answer is done
    int prompt_tokens;
    bool shortened;
    std::optional<Stream> stream = {};
  };
  std::map<size_t, Running> running;
  Ended ended;
  SchedulerOptions scheduling;
  scheduling.session = options.session;
  scheduling.streams = options.streams > 0 ? options.streams : kUsualStreams;
  Scheduler scheduler(model, scheduling);
  const int context = options.session.context > 0 ? options.session.context : model->info().context;

  size_t next = 0;
  const auto submit = [&] {
    const size_t i = next++;
    const EvalPrompt& prompt = prompts[i];
    Request request;
    bool shortened = false;
    request.prompt = encode(tokenizer, prompt, context, shortened);
    const bool takes_apart = prompt.templated && (format->thinks() || format->shows_control());
    request.sampling.temperature = options.temperature;
    request.sampling.seed = options.seed;
    request.sampling.top_k = 0;
    request.sampling.top_p = 1;
    request.sampling.min_p = 0;
    request.sampling.loop_check = false;
    request.sampling.max_tokens = prompt.max_tokens;
    if (!takes_apart) request.sampling.stop = prompt.until;
    else request.sampling.special = format->shows_control();
    const auto prompt_tokens = static_cast<int>(request.prompt.size());
    Running& run =
        running
            .emplace(i, Running{AnswerReader(takes_apart ? format : nullptr, prompt.until), prompt_tokens, shortened})
            .first->second;
    if (takes_apart) {
      request.on_token = [&run](int, const Generation& so_far) {
        if (!run.reader.take(so_far)) throw Stopped();
      };
    }
    request.on_done = [&ended, i] { ended.push(i); };
    run.stream = scheduler.submit(std::move(request));
  };
  // As many wait as run, so that no step has a free place.
  const size_t most = static_cast<size_t>(scheduling.streams) * 2;
  for (size_t left = prompts.size(); left > 0; --left) {
    while (next < prompts.size() && running.size() < most) submit();
    const size_t i = ended.pop();
    Running& run = running.at(i);
    bool cut = false;
    int reused = 0;
    try {
      const Generation whole = run.stream->wait();
      run.reader.take(whole);
      reused = whole.stats.reused_tokens;
      cut = whole.reason == FinishReason::kLength || whole.reason == FinishReason::kContext;
    } catch (const Stopped&) {
    }
    EvalAnswer answer = run.reader.finish();
    answer.cut = cut;
    answer.prompt_tokens = run.prompt_tokens;
    answer.reused_tokens = reused;
    answer.shortened = run.shortened;
    running.erase(i);
    if (!done(i, std::move(answer))) throw Error(ErrorKind::kLimit, "the evaluation was stopped");
  }
}

}  // namespace fieldprint
