// One pull, whatever the source.
#pragma once

#include <string>

#include "fieldprint/catalog.h"
#include "hub/http.h"

namespace fieldprint {

// pull_model for a row that need not be in the catalogue.
std::string pull_entry(const CatalogEntry& entry, const Progress& progress, const DownloadPolicy& policy = {},
                       const ConvertModel& convert = {});

// $FIELDPRINT_HF_ENDPOINT or https://huggingface.co, without a slash at its end.
std::string hub_endpoint();

}  // namespace fieldprint
