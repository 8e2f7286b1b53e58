#include "decode/decoder.h"

#include <utility>

#include "base/check.h"
#include "decode/cache/plan.h"
#include "decode/machine.h"

namespace fdllm {

std::int64_t DecodeStep::rows() const {
  auto rows = static_cast<std::int64_t>(plan.query.size());
  for (const ForwardPlan& stored : before) rows += static_cast<std::int64_t>(stored.query.size());
  return rows;
}

std::int64_t DecodeStep::pairs() const {
  const auto pairs_of = [](const ForwardPlan& of) {
    return static_cast<std::int64_t>(of.query.size()) * fdllm::attended_rows(of);
  };
  std::int64_t pairs = pairs_of(plan);
  for (const ForwardPlan& stored : before) pairs += pairs_of(stored);
  return pairs;
}

Decoder::Decoder(Canvas canvas, DecodeSettings settings, const DecodeTraits& traits) {
  check(canvas.gen_length() == settings.gen_length, "a canvas of another gen_length");
  check(canvas.mask_token() == traits.mask_token, "a canvas of another mask token");
  const auto make = traits.causal_block > 0 ? make_block_machine : make_canvas_machine;
  machine_ = make(std::move(canvas), std::move(settings), traits);
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

std::optional<DecodeStep> Decoder::next() {
  return machine_->next();
}

StepEvent Decoder::advance(std::span<const Score> scores) {
  return machine_->advance(scores);
}

const Canvas& Decoder::canvas() const {
  return machine_->canvas();
}

void Decoder::finish(FinishReason reason) {
  machine_->finish(reason);
}

bool Decoder::finished() const {
  return machine_->finished();
}
FinishReason Decoder::finish_reason() const {
  return machine_->finish_reason();
}

}  // namespace fdllm
