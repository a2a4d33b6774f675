#include "hub/name.h"

#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr size_t kLongestPart = 200;  // with a suffix of ours it still fits the 255 bytes of a file name
constexpr size_t kMostParts = 8;

bool has_prefix(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }
bool has_suffix(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

// Control characters of a hostile name must not reach the terminal.
std::string printable(std::string_view text) {
  std::string shown(text.substr(0, kLongestPart));
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return shown;
}

void check_account(std::string_view part, std::string_view what, std::string_view name) {
  const bool legal = !part.empty() && part.size() <= 96 && part[0] != '.' && part[0] != '-' &&
                     std::all_of(part.begin(), part.end(), [](char c) {
                       return kLetters.find(c) != std::string_view::npos || c == '.' || c == '_' || c == '-';
                     });
  if (!legal) {
    throw Error(ErrorKind::kUsage, fmt::format("'{}' is not the name of a Hugging Face {}", printable(part), what),
                printable(name), "write owner/repo:file.gguf");
  }
}

// "https://huggingface.co/owner/repo/resolve/main/file?download=true" -> "owner/repo:file"; "" for another page.
std::string from_address(std::string_view address) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (has_prefix(address, scheme)) address.remove_prefix(scheme.size());
  }
  for (const std::string_view host : {"huggingface.co/", "www.huggingface.co/", "hf.co/"}) {
    if (!has_prefix(address, host)) continue;
    address.remove_prefix(host.size());
    address = address.substr(0, address.find_first_of("?#"));
    for (const std::string_view view : {"/resolve/main/", "/blob/main/"}) {
      const size_t at = address.find(view);
      if (at == std::string_view::npos) continue;
      return fmt::format("{}:{}", address.substr(0, at), address.substr(at + view.size()));
    }
  }
  return {};
}

}  // namespace

void check_relative_path(std::string_view path, std::string_view what) {
  size_t parts = 0;
  for (std::string_view rest = path;; ++parts) {
    const size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    const bool control = std::any_of(part.begin(), part.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (part.empty() || part[0] == '.' || part.size() > kLongestPart || control || parts >= kMostParts ||
        part.find('\\') != std::string_view::npos) {
      throw Error(ErrorKind::kUsage, fmt::format("'{}' is not a safe file name", printable(path)), std::string(what),
                  "parts of it must not be empty, begin with a dot, or be longer than 200 bytes");
    }
    if (slash == std::string_view::npos) return;
    rest.remove_prefix(slash + 1);
  }
}

std::optional<HubFile> parse_hub_name(std::string_view name) {
  std::string from_page;
  std::string_view rest = name;
  bool certain = has_prefix(rest, "hf:");
  if (certain) rest.remove_prefix(3);
  if (has_prefix(rest, "http://") || has_prefix(rest, "https://")) {
    from_page = from_address(rest);
    if (from_page.empty()) {
      throw Error(ErrorKind::kUsage, "is not the address of a file on huggingface.co", printable(name),
                  "write owner/repo:file.gguf, or the address of the file's own page");
    }
    rest = from_page;
    certain = true;
  }

  const size_t colon = rest.find(':');
  const size_t slash = rest.find('/');
  const bool shaped = colon != std::string_view::npos && slash != std::string_view::npos && slash < colon &&
                      rest.find('/', slash + 1) >= colon;
  if (!shaped) {
    if (!certain) return std::nullopt;
    throw Error(ErrorKind::kUsage, "does not name a file of a Hugging Face repository", printable(name),
                "write owner/repo:file.gguf");
  }

  HubFile hub{std::string(rest.substr(0, slash)), std::string(rest.substr(slash + 1, colon - slash - 1)),
              std::string(rest.substr(colon + 1))};
  // "./models/a:b.gguf" and "/tmp/a:b" are paths, though they have the shape.
  if (!certain && (hub.owner.empty() || hub.owner[0] == '.' || hub.owner[0] == '~')) return std::nullopt;
  check_account(hub.owner, "account", name);
  check_account(hub.repo, "repository", name);
  check_relative_path(hub.file, printable(name));
  if (!has_suffix(hub.file, ".gguf")) {
    throw Error(ErrorKind::kUsage, fmt::format("'{}' is not a GGUF file", printable(hub.file)), printable(name),
                "models are files that end in .gguf");
  }
  return hub;
}

std::string percent_encode_path(std::string_view path) {
  std::string encoded;
  for (const char c : path) {
    if (kLetters.find(c) != std::string_view::npos || std::string_view("-._~/").find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace fieldprint
