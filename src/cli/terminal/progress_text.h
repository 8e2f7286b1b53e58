#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace fdllm::cli {

/// What a line of progress tells; everything but `what` may be missing.
struct ProgressText {
  std::string what = {};                    ///< "loading LLaDA-8B-Instruct"
  std::optional<double> share = {};         ///< done, 0 to 1: drawn as a bar
  std::string figures = {};                 ///< "3.2 of 16.0 GB"
  std::optional<double> seconds_left = {};  ///< "4 s left"
};

/// One line of at most `columns` columns, safe to print. Where it is narrow the bar goes first,
/// then the time left; then the line is cut. Pure.
std::string progress_text(const ProgressText& progress, int columns);

/// "3.2 of 16.0 GB", both in the unit of the total.
std::string bytes_share(std::uint64_t done, std::uint64_t total);
/// "16.0 GB"
std::string bytes_short(std::uint64_t bytes);

/// "0.02 s", "9.1 s", "42 s", "2:03", "1:02:03"
std::string seconds_text(double seconds);

/// How long the rest takes where `share` took `elapsed` seconds; none while that says little.
std::optional<double> seconds_left(double elapsed, double share);

}  // namespace fdllm::cli
