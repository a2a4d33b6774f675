// What training made, as files that others read too: adapters as llama.cpp and as PEFT have them, whole models as GGUF.
// docs/lora.md
#pragma once

#include <span>
#include <string>

#include "fieldprint/quantize.h"
#include "gguf/gguf.h"
#include "models/weights.h"

namespace fieldprint {

// A file for llama.cpp and for --lora. All additions are of one rank and one scale, in float32. Throws Error kIo.
void write_gguf_adapter(const std::string& path, const GgufFile& model, std::span<const Addition> additions);

// A folder for PEFT: adapter_model.safetensors and adapter_config.json, with the names of the model on Hugging Face.
// Throws Error kUnsupported, naming the tensor, for what has no module of its own there; kIo.
void write_peft_adapter(const std::string& folder, const GgufFile& model, std::span<const Addition> additions);

// The model's file with the trained tensors' values in place of its own. `mix`: a name from quantize_mixes(); "" = each
// tensor in the type that it has in the model's file. Throws as quantize().
QuantizePlan write_trained_model(const std::string& path, std::shared_ptr<const GgufFile> model,
                                 std::span<const TrainedTensor> trained, const std::string& mix = "",
                                 const Progress& progress = {});

}  // namespace fieldprint
