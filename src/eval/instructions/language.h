// Which language a text is in. IFEval asks langdetect (Shuyo's n-gram profiles); here the script decides, and among
// languages of one script their commonest words and letters. docs/eval.md says how often the two agree.
#pragma once

#include <string_view>

namespace fieldprint {

// An ISO 639-1 code, Chinese "zh-cn"; "" for a text without letters. Latin letters without any word that is known are
// taken for English. Takes valid UTF-8.
std::string_view detect_language(std::string_view text);

}  // namespace fieldprint
