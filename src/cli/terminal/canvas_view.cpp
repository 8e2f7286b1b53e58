#include "cli/terminal/canvas_view.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "cli/interrupt.h"
#include "cli/terminal/display_text.h"

namespace fdllm::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// How many blocks a canvas with these resolved options is decoded in.
std::int32_t blocks_of(const GenerateOptions& resolved) {
  const std::int32_t length = resolved.gen_length.value_or(0);
  const std::int32_t block = resolved.block_length.value_or(length);
  const auto blocks_in = [block](std::int32_t part) { return (part + block - 1) / block; };
  const std::int32_t first = resolved.initial_length.value_or(length);
  return blocks_in(first) + blocks_in(length - first);
}

}  // namespace

void CanvasState::apply(const StepEvent& event) {
  using Kind = CanvasCell::Kind;
  for (CanvasCell& cell : cells_) {
    if (cell.kind == Kind::kFresh) cell.kind = Kind::kCommitted;
    if (cell.kind == Kind::kProvisional) cell = {};
  }
  const auto show = [&](const TokenEvent& token, Kind kind) {
    CanvasCell* cell = cell_at(token.position);
    if (cell == nullptr) return;
    *cell = {kind, engine_->token_bytes(token.token), engine_->is_special(token.token),
             token.confidence};
  };
  for (const TokenEvent& token : event.provisional) show(token, Kind::kProvisional);
  for (const TokenEvent& token : event.committed) show(token, Kind::kFresh);
  ++forwards_;
  committed_ += static_cast<std::int32_t>(event.committed.size());
  masked_ = event.masked;
  block_ = event.block;
}

std::size_t CanvasState::focus() const {
  const auto found = std::ranges::find_if(
      cells_, [](const CanvasCell& cell) { return cell.kind != CanvasCell::Kind::kCommitted; });
  return found == cells_.end() ? cells_.size() - 1
                               : static_cast<std::size_t>(found - cells_.begin());
}

CanvasCell* CanvasState::cell_at(std::int32_t position) {
  const std::int64_t index = std::int64_t{position} - prompt_length_;
  if (index < 0 || index >= static_cast<std::int64_t>(cells_.size())) return nullptr;
  return &cells_[static_cast<std::size_t>(index)];
}

CanvasView::CanvasView(const Engine& engine, std::span<const ResolvedRequest> requests,
                       Options options)
    : options_(options), region_(options.fd), start_(Clock::now()) {
  for (const ResolvedRequest& request : requests) {
    states_.emplace_back(engine, static_cast<std::int32_t>(request.prompt_ids().size()),
                         request.masks());
    blocks_.push_back(blocks_of(request.options()));
  }
}

void CanvasView::on_step(const StepEvent& event) {
  const auto begin = Clock::now();
  states_[event.request].apply(event);
  if (event.request == shown_) {
    paint();
    if (!interrupted()) std::this_thread::sleep_for(options_.delay);
  }
  overhead_ += seconds_since(begin);
}

void CanvasView::show_request(std::size_t request) {
  if (request == shown_) return;
  const auto begin = Clock::now();
  region_.close();
  shown_ = request;
  overhead_ += seconds_since(begin);
}

void CanvasView::paint() {
  const TerminalSize size = terminal_size(options_.fd);
  // One column is left free: some terminals wrap as soon as the last one is written.
  const int columns = std::max(size.columns - 1, 4);
  const CanvasState& state = states_[shown_];
  const auto lines = layout_canvas(state.cells(), columns, options_.colours);
  const std::size_t focus_cell = state.focus();
  const auto focus = std::ranges::find_if(
      lines, [&](const CanvasLine& line) { return focus_cell < line.end_cell; });
  const auto [first, end] =
      visible_lines(lines.size(), static_cast<std::size_t>(std::max(size.rows - 2, 1)),
                    static_cast<std::size_t>(std::min(focus, lines.end() - 1) - lines.begin()));
  std::vector<CanvasLine> frame(lines.begin() + static_cast<std::ptrdiff_t>(first),
                                lines.begin() + static_cast<std::ptrdiff_t>(end));
  const std::string text = status(columns);
  frame.push_back({options_.colours == Colours::k256 ? "\x1b[38;5;109m" + text + "\x1b[0m"
                                                     : "\x1b[2m" + text + "\x1b[0m",
                   static_cast<int>(text.size()), 0, 0});
  region_.paint(frame);
}

std::string CanvasView::status(int columns) const {
  const CanvasState& state = states_[shown_];
  const double seconds = seconds_since(start_) - overhead_;
  const double speed = seconds > 0 ? state.committed() / seconds : 0;
  std::string text;
  if (states_.size() > 1) text += fmt::format("prompt {}/{}  ", shown_ + 1, states_.size());
  if (blocks_[shown_] > 1) text += fmt::format("block {}/{}  ", state.block() + 1, blocks_[shown_]);
  text += fmt::format("forwards {}  tokens {}  masked {}  {:.0f} tokens/s", state.forwards(),
                      state.committed(), state.masked(), speed);
  return text.substr(0, static_cast<std::size_t>(columns));
}

}  // namespace fdllm::cli
