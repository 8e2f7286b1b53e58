#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "fastdllm/engine.h"

#include "server/api_types.h"
#include "server/context.h"

namespace fdllm::server {

/// An answer before it is generated.
struct PlannedAnswer {
  GenerateRequest request;
  GenerateOptions resolved;
  std::int32_t max_tokens = 0;    ///< where the answer is cut; at most gen_length
  std::string before;             ///< text that is put before the answer (echo)
  std::vector<InfillPart> parts;  ///< infill: what the canvas was made of
};

/// The i-th answer to a prompt. Throws Error or ApiError for what the model can't do.
PlannedAnswer plan_answer(const Context& context, const GenerationFields& fields,
                          std::vector<std::int32_t> prompt_ids, std::int32_t i);

/// The i-th filling of the holes of `canvas`.
PlannedAnswer plan_infill(const Context& context, const InfillRequest& fields,
                          const GenerateRequest& canvas, std::int32_t i);

/// Throws ApiError unless the model that is asked for is the one that is served.
void check_model(const Context& context, const GenerationFields& fields);

}  // namespace fdllm::server
