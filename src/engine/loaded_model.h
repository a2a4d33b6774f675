// The one implementation of Model: everything that sessions on it share.
#pragma once

#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/thread_pool.h"
#include "fieldprint/model.h"
#include "gguf/gguf.h"
#include "kernels/table.h"
#include "models/adapter.h"
#include "models/architecture.h"

namespace fieldprint {

class LoadedModel final : public Model {
 public:
  LoadedModel(const std::string& path, const LoadOptions& options);

  const ModelInfo& info() const override { return info_; }
  const Tokenizer& tokenizer() const override;
  const ChatTemplate* chat_template() const override;
  std::string_view isa() const override { return kernels_->name; }
  int threads() const override { return pool_->threads(); }

  const GgufFile& file() const { return *file_; }
  const Architecture& architecture() const { return *architecture_; }
  const KernelTable& kernels() const { return *kernels_; }
  ThreadPool& pool() const { return *pool_; }
  const std::string& fingerprint() const override;  // made when it is first asked for
  int prefill_chunk(int asked) const;  // SessionOptions::chunk, with 0 made what suits the model and the threads
  std::mutex& step_mutex() const { return step_mutex_; }  // held during a step: one user of the pool at a time

 private:
  std::shared_ptr<const GgufFile> file_;
  const KernelTable* kernels_;
  std::vector<Adapter> adapters_;
  std::unique_ptr<Architecture> architecture_;
  std::unique_ptr<ThreadPool> pool_;
  mutable std::mutex step_mutex_;
  mutable std::once_flag fingerprint_once_;
  mutable std::string fingerprint_;
  int experts_;
  ModelInfo info_;
  // A file may lack a usable tokenizer or template and still compute logits: such errors wait until somebody asks.
  std::unique_ptr<Tokenizer> tokenizer_;
  std::exception_ptr tokenizer_error_;
  std::optional<ChatTemplate> template_;
  std::exception_ptr template_error_;
};

// What is behind a Model: nothing else can be, since only LoadedModel can construct one.
inline const LoadedModel& loaded(const Model& model) { return static_cast<const LoadedModel&>(model); }
inline std::shared_ptr<const LoadedModel> loaded(std::shared_ptr<const Model> model) {
  return std::static_pointer_cast<const LoadedModel>(std::move(model));
}

}  // namespace fieldprint
