#include <cstddef>
#include <utility>

#include "fastdllm/infill.h"

#include "base/check.h"

namespace fdllm {

InfillText::InfillText(const Engine& engine, std::vector<InfillPart> parts,
                       std::vector<std::int32_t> before, std::string_view where)
    : engine_(engine), parts_(std::move(parts)), before_(std::move(before)), where_(where) {
  ids_.reserve(parts_.size());
  for (const InfillPart& part : parts_) {
    try {
      ids_.push_back(part.is_hole() ? std::vector<std::int32_t>()
                                    : engine_.tokenize_prompt(part.text));
    } catch (const Error& error) {
      fail(error.code(), "{}: {}", where_, error.what());
    }
  }
}

std::vector<InfillText::Place> InfillText::places(std::span<const std::int32_t> lengths) const {
  const std::int64_t positions = engine_.info().max_positions;
  std::vector<Place> places;
  places.reserve(parts_.size());
  auto end = static_cast<std::int64_t>(before_.size());
  std::size_t hole = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const std::int64_t begin = end;
    end += parts_[i].is_hole() ? lengths[hole++] : static_cast<std::int64_t>(ids_[i].size());
    if (end > positions) {
      fail(ErrorCode::kInvalidArgument,
           "{}: the text and its holes are longer than the {} positions of the model", where_,
           positions);
    }
    places.push_back({static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end)});
  }
  return places;
}

std::vector<InfillCanvas> InfillText::canvases(const GenerateOptions& options) const {
  std::vector<InfillCanvas> canvases;
  for (std::vector<std::int32_t>& lengths : hole_lengths(parts_, kMaxCanvases, where_)) {
    GenerateRequest request = request_of(lengths);
    request.options = options;
    canvases.push_back({std::move(lengths), engine_.resolve(std::move(request))});
  }
  return canvases;
}

void InfillText::require_comparable(std::span<const InfillCanvas> canvases) const {
  if (canvases.size() > 1 && !canvases.front().request.confidence_is_probability()) {
    fail(ErrorCode::kInvalidArgument,
         "{}: a hole with bounds takes the length whose tokens are the most probable, but with "
         "this unmasking rule confidences are no probabilities; give a length, or another rule",
         where_);
  }
}

GenerateRequest InfillText::request_of(std::span<const std::int32_t> lengths) const {
  GenerateRequest request;
  request.prompt_ids = before_;
  const std::vector<Place> all = places(lengths);
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    request.prompt_ids.insert(request.prompt_ids.end(), ids_[i].begin(), ids_[i].end());
    if (!parts_[i].is_hole()) continue;
    for (std::int32_t at = all[i].begin; at < all[i].end; ++at) request.holes.push_back(at);
    request.prompt_ids.resize(static_cast<std::size_t>(all[i].end), engine_.info().mask_token);
  }
  return request;
}

std::string InfillText::text_of(std::size_t part, Place place,
                                std::span<const std::int32_t> canvas) const {
  if (!parts_[part].is_hole() || std::cmp_greater(place.end, canvas.size())) {
    return parts_[part].text;
  }
  return engine_.detokenize(canvas.subspan(static_cast<std::size_t>(place.begin),
                                           static_cast<std::size_t>(place.end - place.begin)));
}

}  // namespace fdllm
