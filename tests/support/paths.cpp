// The one file that is compiled with the checkout's path, so that no other is compiled anew where the checkout moves.
#include "support/paths.h"

namespace fieldprint {

std::filesystem::path source_dir() { return FIELDPRINT_SOURCE_DIR; }

}  // namespace fieldprint
