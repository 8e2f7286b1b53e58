#include "cli/terminal/load_view.h"

#include <cstdint>
#include <cstdio>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "cli/interrupt.h"
#include "cli/log_output.h"
#include "cli/terminal/display_text.h"
#include "cli/terminal/progress_text.h"

namespace fdllm::cli {

namespace {

constexpr std::uintmax_t kLargeBytes = 500'000'000;

}  // namespace

using Phase = LoadProgress::Phase;

LoadView::LoadView(std::string name, ShowProgress show, Size size)
    : name_(std::move(name)), show_(show), size_(size), line_(show) {
  catch_interrupt();
}

LoadView::~LoadView() {
  release_interrupt();
}

bool LoadView::on_progress(const LoadProgress& progress) {
  const double seconds = line_.seconds();
  if (progress.phase == Phase::kOpening) {
    if (size_ == Size::kLarge) line_.show_now({.what = "loading " + name_});
  } else if (progress.phase == Phase::kPacking) {
    if (opened_ == 0) opened_ = seconds;
    const double share =
        static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total);
    line_.show({.what = "loading " + name_,
                .share = share,
                .figures = bytes_share(progress.bytes_done, progress.bytes_total),
                .seconds_left = seconds_left(seconds - opened_, share)});
  } else {
    line_.clear();
    if (show_ == ShowProgress::kYes && !line_.is_live()) {
      write_log(fmt::format("loaded {}: {} in {}", printable(name_),
                            bytes_short(progress.bytes_total), seconds_text(seconds)));
    }
  }
  return !interrupted();
}

LoadView::Size size_of(const std::filesystem::path& model) {
  std::error_code error;  // whoever opens it will name it
  std::uintmax_t bytes = 0;
  if (std::filesystem::is_directory(model, error)) {
    for (auto entry = std::filesystem::directory_iterator(model, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      std::error_code no_file;
      const std::uintmax_t size = entry->file_size(no_file);
      if (!no_file) bytes += size;
    }
  } else {
    bytes = std::filesystem::file_size(model, error);
    if (error) bytes = 0;
  }
  return bytes > kLargeBytes ? LoadView::Size::kLarge : LoadView::Size::kSmall;
}

std::string short_name(const std::filesystem::path& model) {
  std::filesystem::path path = model.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.has_filename() ? path.filename().string() : model.string();
}

Engine load_engine(const EngineFlags& flags, const LoadListener& wanted) {
  const std::filesystem::path path = flags.model_path();
  LoadView view(short_name(flags.model.empty() ? path : std::filesystem::path(flags.model)),
                flags.progress, size_of(path));
  const LoadListener shown = view.listener();
  return Engine::load(path, flags.options, [&](const LoadProgress& progress) {
    return shown(progress) && (!wanted || wanted(progress));
  });
}

}  // namespace fdllm::cli
