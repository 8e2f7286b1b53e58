#include "server/paths.h"

#include <algorithm>

namespace fdllm::server {
namespace {

constexpr std::string_view kVersion = "/v1";

std::string folded(std::string_view path) {
  std::string result;
  for (const char c : path) {
    if (c != '/' || !result.ends_with('/')) result += c;
  }
  if (result.size() > 1 && result.ends_with('/')) result.pop_back();
  return result;
}

bool exists(std::span<const Route> routes, std::string_view path) {
  return std::ranges::any_of(routes, [&](const Route& route) { return is_at(route, path); });
}

std::string_view without_version(std::string_view path) {
  const bool has_it = path.starts_with(kVersion) && path.substr(kVersion.size()).starts_with('/');
  return has_it ? path.substr(kVersion.size()) : path;
}

/// The page's files are asked for by the page alone.
bool is_page(std::string_view path) {
  return path == "/" || path.starts_with("/page/");
}

}  // namespace

bool is_at(const Route& route, std::string_view path) {
  std::string_view pattern = route.path;
  if (!pattern.ends_with('*')) return pattern == path;
  pattern.remove_suffix(1);
  return path.size() > pattern.size() && path.starts_with(pattern);
}

std::string served_path(std::span<const Route> routes, std::string_view path) {
  std::string given = folded(path);
  if (exists(routes, given) || !given.starts_with('/')) return given;
  std::string_view rest = given;
  while (rest.starts_with("/v1/v1/")) rest = without_version(rest);
  const std::string_view bare = without_version(rest);
  if (is_page(bare)) return given;
  for (std::string candidate :
       {std::string(rest), std::string(kVersion) + std::string(bare), std::string(bare)}) {
    if (exists(routes, candidate)) return candidate;
  }
  return given;
}

std::string_view similar_path(std::span<const Route> routes, std::string_view path) {
  const std::string given = folded(path);
  std::string_view best;
  for (const Route& route : routes) {
    if (route.path.ends_with('*') || is_page(route.path)) continue;
    const bool is_similar = given.ends_with(without_version(route.path));
    if (is_similar && route.path.size() > best.size()) best = route.path;
  }
  return best;
}

}  // namespace fdllm::server
