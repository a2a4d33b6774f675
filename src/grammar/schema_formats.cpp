#include "grammar/schema_formats.h"

namespace fieldprint {
namespace {

#define FIELDPRINT_DATE \
  "[12]\\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))"
#define FIELDPRINT_TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define FIELDPRINT_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?"
#define FIELDPRINT_HOST FIELDPRINT_LABEL "(\\." FIELDPRINT_LABEL "){0,5}"
#define FIELDPRINT_OCTET "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define FIELDPRINT_PATH "[A-Za-z0-9._~!$&'()*+,;=:@/-]*"

struct Format {
  std::string_view name, pattern;
};

// Narrower than their RFCs allow, never wider: the 29th of February is left out.
constexpr Format kFormats[] = {
    {"date", "^" FIELDPRINT_DATE "$"},
    {"time", "^" FIELDPRINT_TIME "$"},
    {"date-time", "^" FIELDPRINT_DATE "T" FIELDPRINT_TIME "$"},
    {"duration", "^P(\\d{1,4}[YMWD]|\\d{1,4}DT\\d{1,4}[HMS]|T(\\d{1,4}H)?(\\d{1,4}M)?\\d{1,4}S|T\\d{1,4}[HM])$"},
    {"uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"},
    {"ipv4", "^(" FIELDPRINT_OCTET "\\.){3}" FIELDPRINT_OCTET "$"},
    {"ipv6", "^([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}$"},
    {"email",
     "^[A-Za-z0-9]+([._+-][A-Za-z0-9]+){0,5}@" FIELDPRINT_LABEL "(\\." FIELDPRINT_LABEL "){0,3}\\.[A-Za-z]{2,12}$"},
    {"hostname", "^" FIELDPRINT_HOST "$"},
    {"uri", "^(https?|ftp)://" FIELDPRINT_HOST "(:\\d{1,4})?(/" FIELDPRINT_PATH ")?(\\?" FIELDPRINT_PATH
            ")?(#" FIELDPRINT_PATH ")?$"},
};

}  // namespace

std::string_view format_pattern(std::string_view format) {
  for (const Format& known : kFormats)
    if (known.name == format) return known.pattern;
  return {};
}

}  // namespace fieldprint
