#pragma once
#include <span>
#include <string_view>

namespace fdllm {

/// A file of the page that `fast-dllm serve` shows, as it lies in this folder.
struct PageFile {
  std::string_view path;  ///< the whole path of its address: "/", "/page/main.js"
  std::string_view content_type;
  std::string_view bytes;
};

/// All of them; embedded in the program when it is built.
std::span<const PageFile> page_files();

/// The Content-Security-Policy to send with each: nothing from anywhere else, nothing inline.
inline constexpr std::string_view kPageSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace fdllm
