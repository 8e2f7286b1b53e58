#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fastdllm/engine.h"

namespace fdllm {

/// A piece of a text with holes: given text, or a hole of a length, or of one between two bounds.
struct InfillPart {
  std::string text;        ///< empty for a hole
  std::int32_t least = 0;  ///< tokens of a hole; 0: it is text
  std::int32_t most = 0;

  bool is_hole() const { return most > 0; }
  friend bool operator==(const InfillPart&, const InfillPart&) = default;
};

/// Tokens that a hole may have at most, whatever the model.
inline constexpr std::int32_t kMaxHole = 1 << 20;
/// Canvases that one text may stand for: the lengths of its bounded holes.
inline constexpr std::size_t kMaxCanvases = 64;

/// Reads "The <|hole:8|> sat on <|hole:2-6|>.": a hole has a number of tokens, or a least and a
/// greatest one. Throws kInvalidArgument naming `where`; a text without holes is one.
std::vector<InfillPart> parse_hole_text(std::string_view text, std::string_view where);

/// Reads the length of a hole alone: "8" or "2-6".
InfillPart parse_hole(std::string_view length, std::string_view where);

/// The lengths that the holes may have together: one list a canvas, of one length a hole, shorter
/// ones first. Throws kInvalidArgument naming `where` for more than `limit`.
std::vector<std::vector<std::int32_t>> hole_lengths(const std::vector<InfillPart>& parts,
                                                    std::size_t limit, std::string_view where);

/// A text with one length for each of its holes.
struct InfillCanvas {
  std::vector<std::int32_t> lengths;
  ResolvedRequest request;
};

/// A text with holes as a model sees it: makes its canvases and reads them when they are filled.
class InfillText {
 public:
  /// Positions [begin, end) of a part on a canvas.
  struct Place {
    std::int32_t begin = 0, end = 0;
  };

  /// Tokenizes the given parts, which stand behind the tokens `before`. `where` is named in errors;
  /// `engine` must outlive it.
  InfillText(const Engine& engine, std::vector<InfillPart> parts, std::vector<std::int32_t> before,
             std::string_view where);

  const std::vector<InfillPart>& parts() const { return parts_; }
  /// The text with every choice of lengths that its holes allow, at most kMaxCanvases. Throws
  /// kInvalidArgument for more, for one that is longer than the model allows and as
  /// Engine::resolve().
  std::vector<InfillCanvas> canvases(const GenerateOptions& options) const;
  /// Throws kInvalidArgument for several canvases of the text where the rule's confidences are no
  /// probabilities, by which the best one could be told.
  void require_comparable(std::span<const InfillCanvas> canvases) const;
  /// Where the parts lie on the canvas where the holes have these lengths, in their order.
  std::vector<Place> places(std::span<const std::int32_t> lengths) const;
  /// The text of a part: as it was given, or what fills the hole at `place` of a canvas.
  std::string text_of(std::size_t part, Place place, std::span<const std::int32_t> canvas) const;

 private:
  GenerateRequest request_of(std::span<const std::int32_t> lengths) const;

  const Engine& engine_;
  std::vector<InfillPart> parts_;
  std::vector<std::int32_t> before_;
  std::string where_;
  std::vector<std::vector<std::int32_t>> ids_;  ///< of each part; of holes none
};

/// A text whose holes have been filled.
struct InfillResult {
  struct Hole {
    std::string text;
    std::vector<std::int32_t> ids;
  };
  std::string text;
  std::vector<Hole> holes;  ///< what fills them
  /// Of the filled tokens' confidences; nullopt where they are no probabilities.
  std::optional<double> mean_log_confidence;
  GenerateOptions options;  ///< resolved, of the canvas that was taken
  std::optional<Failure> error;
  std::size_t canvases = 0;                                ///< that were decoded
  std::int64_t refresh_forwards = 0, window_forwards = 0;  ///< of all of them
  double seconds = 0;                                      ///< until the last of them ended
};

/// Texts that are filled in together, as one batch. Of a text with several canvases the one is
/// taken whose tokens are the most probable on average.
class InfillBatch {
 public:
  /// `texts` are those of `engine`, which must outlive it. Throws as InfillText::canvases()
  /// and require_comparable().
  InfillBatch(Engine& engine, std::vector<InfillText> texts, const GenerateOptions& options);

  /// The canvases of all texts, as generate() counts them for its callbacks.
  const std::vector<InfillCanvas>& canvases() const { return canvases_; }
  /// Fills all of them; one result for each text, in their order. Callbacks and errors are those of
  /// Engine::generate(); a text fails with any of its canvases.
  std::vector<InfillResult> generate(const Engine::StepCallback& on_step = {},
                                     const Engine::ResultCallback& on_result = {},
                                     const ForwardListener& on_progress = {});

 private:
  InfillResult result_of(std::size_t text, std::span<const GenerateResult> results,
                         std::span<const double> confidences) const;

  Engine& engine_;
  std::vector<InfillText> texts_;
  std::vector<InfillCanvas> canvases_;
  std::vector<std::size_t> text_of_;  ///< the text of each canvas
};

}  // namespace fdllm
