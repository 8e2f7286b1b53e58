#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "fastdllm/events.h"

#include "backend/score.h"
#include "decode/canvas.h"
#include "decode/settings.h"
#include "decode/unmask/rule.h"

namespace fdllm {

/// What is asked of the head for the token at `position`, in the request's own step `step`.
/// `exceptions` must outlive the request.
ScoreRequest score_request(const DecodeSettings& settings,
                           std::span<const TokenException> exceptions, std::int32_t position,
                           std::int32_t step);

/// The scored positions as rules see them. Throws kNumeric, naming the forward, where a score is
/// not finite.
std::vector<Candidate> candidates_of(const DecodeSettings& settings,
                                     std::span<const ScoreRequest> asked,
                                     std::span<const Score> scores, std::int32_t forward);

/// Commits what was chosen of the candidates, and writes committed, provisional and masked of the
/// event. What lies behind the answer is committed and not told of.
void commit(std::span<const Candidate> chosen, std::span<const Candidate> candidates,
            Canvas& canvas, StepEvent& event);

/// A modifier that the request gives says that all scored positions are committed.
bool commits_all(const DecodeSettings& settings, std::span<const Score> scores);

}  // namespace fdllm
