// The head on every instruction set and weight format of this machine. The logits themselves are
// checked as a linear operation; here head_logits is the input of plain references.
#include <deque>
#include <limits>
#include <map>
#include <numeric>

#include "backend/conformance.h"
#include "backend/logits_backend.h"
#include "base/rng.h"

namespace fdllm {
namespace {

/// The reference: Dream's sample_tokens order and the reductions of score.h, by sorting everything.
struct Reference {
  Score score;
  std::vector<std::int64_t> kept;  ///< after top_p, then top_k
  bool has_weight = false;         ///< some of them have
};

TokenRule rule_of(const ScoreRequest& request, std::int64_t token) {
  const auto found =
      std::lower_bound(request.exceptions.begin(), request.exceptions.end(), token,
                       [](const TokenException& e, std::int64_t id) { return e.token < id; });
  const bool is_there = found != request.exceptions.end() && found->token == token;
  return is_there ? found->rule : TokenRule::kFree;
}

bool is_pickable(TokenRule rule) {
  return rule == TokenRule::kFree || rule == TokenRule::kUnsure;
}

Reference reference(const ScoreRequest& request, std::vector<double> l) {
  const auto vocab = std::ssize(l);
  const auto take_weight = [&](TokenRule rule) {
    for (std::int64_t id = 0; id < vocab; ++id) {
      if (rule_of(request, id) == rule) l[id] = -1e30;
    }
  };
  take_weight(TokenRule::kRemoved);
  const double temperature =
      request.temperature > 0 ? static_cast<double>(request.temperature) : 1.0;
  double largest = *std::max_element(l.begin(), l.end());
  std::vector<std::int64_t> order(l.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return l[a] > l[b]; });
  const auto weight = [&](std::int64_t id) { return std::exp((l[id] - largest) / temperature); };
  double total = 0;
  for (const std::int64_t id : order) total += weight(id);

  Reference result;
  double cumulative = 0;
  for (const std::int64_t id : order) {
    if (request.top_p < 1.0f && !result.kept.empty() &&
        cumulative > static_cast<double>(request.top_p)) {
      break;
    }
    result.kept.push_back(id);
    cumulative += weight(id) / total;
  }
  if (request.top_k > 0 && request.top_k < std::ssize(result.kept)) {
    const double smallest = l[result.kept[request.top_k - 1]];
    std::erase_if(result.kept, [&](std::int64_t id) { return l[id] < smallest; });
  }

  std::int64_t best = -1;
  double best_value = 0;
  auto ascending = result.kept;
  std::sort(ascending.begin(), ascending.end());
  for (const std::int64_t id : ascending) {
    if (!is_pickable(rule_of(request, id))) continue;
    double value = l[id];
    if (request.sampling != Sampling::kGreedy && request.temperature > 0) {
      const double u = uniform(request.seed, RandomStream::kGumbel, request.position, request.step,
                               static_cast<std::uint32_t>(id));
      const double noise = -std::log(-std::log(u));
      value = request.sampling == Sampling::kGumbel ? l[id] + temperature * noise
                                                    : l[id] / temperature + noise;
    }
    if (best < 0 || value > best_value) {
      best = id;
      best_value = value;
    }
  }
  result.score.token = static_cast<std::int32_t>(best);
  if (best < 0) return result;  // nothing that may be picked was kept
  take_weight(TokenRule::kUnsure);
  largest = *std::max_element(l.begin(), l.end());
  double kept_total = 0;
  for (const std::int64_t id : result.kept) kept_total += weight(id);
  result.has_weight = kept_total > 0;
  double raw_total = 0;
  for (std::int64_t id = 0; id < vocab; ++id) raw_total += std::exp(l[id] - largest);
  const auto raw = [&](std::int64_t id) { return std::exp(l[id] - largest) / raw_total; };
  if (rule_of(request, best) != TokenRule::kUnsure) {
    result.score.confidence = raw(best);
    result.score.filtered_confidence = weight(best) / kept_total;
  }
  if (!request.needs_distribution || !result.has_weight) return result;
  std::vector<double> probabilities;
  if (request.raw_distribution) {
    for (std::int64_t id = 0; id < vocab; ++id) probabilities.push_back(raw(id));
  } else {
    for (const std::int64_t id : result.kept) probabilities.push_back(weight(id) / kept_total);
  }
  for (const double p : probabilities) result.score.entropy += p * std::log(p + 1e-10);
  std::sort(probabilities.rbegin(), probabilities.rend());
  const double second = probabilities.size() > 1 ? probabilities[1] : 0.0;
  result.score.margin = probabilities[0] - second;
  if (request.raw_distribution) {
    const double own = raw(best);
    result.score.margin = own - (own < probabilities[0] ? probabilities[0] : second);
  }
  return result;
}

class HeadConformance : public Conformance {
 protected:
  static constexpr std::int64_t kHidden = 24;

  /// A back end that lives as long as the test: what it made must not outlive it.
  Backend* make(int threads) { return backends_.emplace_back(subject().make(threads)).get(); }

  /// Logits through a random head.
  void make_head(Backend& backend, std::int64_t vocab, std::int64_t rows, float deviation) {
    vocab_ = vocab;
    rows_ = rows;
    weights_ = normal(vocab * kHidden, deviation);
    hidden_ = normal(rows * kHidden);
    pack(backend);
  }

  /// Row r's logits are rows[r], which must be bf16 numbers.
  void make_exact_head(Backend& backend, const std::vector<std::vector<float>>& rows) {
    vocab_ = std::ssize(rows[0]);
    rows_ = std::ssize(rows);
    weights_.assign(static_cast<std::size_t>(vocab_ * kHidden), 0.0f);
    hidden_.assign(static_cast<std::size_t>(rows_ * kHidden), 0.0f);
    for (std::int64_t row = 0; row < rows_; ++row) {
      hidden_[row * kHidden + row] = 1.0f;
      for (std::int64_t id = 0; id < vocab_; ++id) weights_[id * kHidden + row] = rows[row][id];
    }
    pack(backend);
  }

  void pack(Backend& backend) {
    const StoredMatrix matrix = stored(weights_, vocab_, kHidden);
    head_ = backend.pack({&matrix, 1}, MatrixRole::kHead);
    x_ = backend.upload(hidden_);
    logits_.resize(static_cast<std::size_t>(rows_ * vocab_));
    LogitsBackend::of(backend).head_logits(*head_, *x_, rows_, logits_);
  }

  std::vector<double> logits(std::int64_t row) const {
    return {logits_.begin() + row * vocab_, logits_.begin() + (row + 1) * vocab_};
  }

  std::vector<Score> scores(Backend& backend, const std::vector<HeadRow>& rows) {
    std::vector<Score> found(rows.size());
    backend.head_scores(*head_, *x_, rows, found);
    return found;
  }
  Score score(Backend& backend, const HeadRow& row) { return scores(backend, {row})[0]; }

  ScoreRequest random_request() {
    ScoreRequest request;
    request.position = static_cast<std::int32_t>(integer(0, 1000));
    request.sampling = static_cast<Sampling>(integer(0, 2));
    const float temperatures[] = {0.0f, 0.3f, 1.0f, 1.7f};
    request.temperature = temperatures[integer(0, 3)];
    const float top_ps[] = {1.0f, 0.05f, 0.5f, 0.95f};
    request.top_p = top_ps[integer(0, 3)];
    const int top_ks[] = {0, 0, 1, 5, 100, 100000};
    request.top_k = top_ks[integer(0, 5)];
    request.seed = static_cast<std::uint64_t>(integer(0, 1 << 30));
    request.step = static_cast<std::int32_t>(integer(0, 100));
    request.needs_distribution = integer(0, 1) == 1;
    request.raw_distribution = request.needs_distribution && integer(0, 1) == 1;
    request.exceptions = random_exceptions();
    return request;
  }

  /// None, one, a few or most of the tokens, and often a run of them at the end.
  std::span<const TokenException> random_exceptions() {
    std::vector<TokenException>& all = exceptions_.emplace_back();
    const std::int64_t in_a_hundred = std::vector{0, 0, 2, 90}[integer(0, 3)];
    const std::int64_t padding = integer(0, 1) * integer(0, vocab_ / 2);
    const std::int64_t single = integer(-1, vocab_ - 1);
    for (std::int32_t token = 0; token < vocab_; ++token) {
      if (token >= vocab_ - padding) {
        all.push_back({token, TokenRule::kNeverPicked});
      } else if (token == single || integer(0, 99) < in_a_hundred) {
        all.push_back({token, static_cast<TokenRule>(integer(1, 3))});
      }
    }
    return all;
  }

  /// A token that is never picked.
  static std::span<const TokenException> never(std::int32_t token) {
    static std::map<std::int32_t, TokenException> known;
    const TokenException exception{token, TokenRule::kNeverPicked};
    return std::span(&known.emplace(token, exception).first->second, 1);
  }

  static void expect_same(const Score& a, const Score& b) {
    EXPECT_EQ(a.token, b.token);
    EXPECT_EQ(a.confidence, b.confidence);
    EXPECT_EQ(a.filtered_confidence, b.filtered_confidence);
    EXPECT_EQ(a.margin, b.margin);
    EXPECT_EQ(a.entropy, b.entropy);
    EXPECT_EQ(a.finite, b.finite);
  }

  std::deque<std::vector<TokenException>> exceptions_;  ///< of the requests
  std::int64_t vocab_ = 0, rows_ = 0;
  std::vector<float> weights_, hidden_, logits_;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::unique_ptr<Matrix> head_;
  std::unique_ptr<Buffer> x_;
};

INSTANTIATE_TEST_SUITE_P(Cpu, HeadConformance, testing::ValuesIn(all_subjects()), name_of_subject);

TEST_P(HeadConformance, MatchesTheSortBasedReference) {
  Backend* const backend = make(2);
  for (const std::int64_t vocab : {2, 17, 255, 256, 257, 544, 3000}) {
    make_head(*backend, vocab, 8, 0.6f);
    std::vector<HeadRow> rows;
    for (int i = 0; i < 60; ++i) {
      rows.push_back(
          {.row = static_cast<std::int32_t>(integer(0, 7)), .request = random_request()});
    }
    const auto found = scores(*backend, rows);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const ScoreRequest& request = rows[i].request;
      const Reference wanted = reference(request, logits(rows[i].row));
      if (wanted.score.token < 0) continue;  // nothing that may be picked is left: below
      SCOPED_TRACE(testing::Message() << "vocab " << vocab << ", row " << i);
      EXPECT_TRUE(found[i].finite);
      ASSERT_EQ(found[i].token, wanted.score.token);
      EXPECT_NEAR(found[i].confidence, wanted.score.confidence, 1e-6 * wanted.score.confidence);
      // Filtered rows have an f32 softmax, as Dream's reference: dividing logits of up to 20 by the
      // temperature rounds probabilities by some millionths.
      const bool filtered = request.top_p < 1.0f || request.top_k > 0;
      EXPECT_NEAR(found[i].filtered_confidence, wanted.score.filtered_confidence,
                  (filtered ? 1e-5 : 1e-6) * wanted.score.filtered_confidence);
      if (!wanted.has_weight) continue;  // nothing is known of the distribution
      EXPECT_NEAR(found[i].margin, wanted.score.margin, filtered ? 1e-5 : 1e-9);
      EXPECT_NEAR(found[i].entropy, wanted.score.entropy, filtered ? 1e-4 : 1e-9);
    }
  }
}

TEST_P(HeadConformance, ARowsScoreDependsOnNothingElse) {
  Backend* const one = make(1);
  make_head(*one, 700, 20, 0.5f);
  std::vector<HeadRow> rows;
  for (int i = 0; i < 150; ++i) {
    HeadRow row{.row = static_cast<std::int32_t>(integer(0, 19)), .request = random_request()};
    if (i % 3 == 0) {
      row.unconditional_row = static_cast<std::int32_t>(integer(0, 19));
      row.request.cfg_scale = 1.5f;
    }
    rows.push_back(row);
  }
  std::vector<Score> alone;
  for (const HeadRow& row : rows) alone.push_back(score(*one, row));
  for (const int threads : {1, 2, 3}) {
    Backend* const backend = make(threads);
    pack(*backend);
    std::vector<std::size_t> order(rows.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (int round = 0; round < 3; ++round) {
      std::vector<HeadRow> shuffled;
      for (const std::size_t i : order) shuffled.push_back(rows[i]);
      const auto found = scores(*backend, shuffled);
      for (std::size_t i = 0; i < order.size(); ++i) expect_same(found[i], alone[order[i]]);
      std::shuffle(order.begin(), order.end(), random_);
    }
  }
}

TEST_P(HeadConformance, TheLowestTokenWinsATie) {
  Backend* const backend = make(2);
  std::vector<float> row(1000, -1.0f);
  for (const std::int64_t id : {299, 300, 700}) row[id] = 2.5f;  // in different chunks
  make_exact_head(*backend, {row});
  for (const bool whole : {false, true}) {
    HeadRow asked{.row = 0, .request = {.needs_distribution = whole}};
    EXPECT_EQ(score(*backend, asked).token, 299);
    asked.request.exceptions = never(299);
    EXPECT_EQ(score(*backend, asked).token, 300);
    asked.request.exceptions = never(700);
    EXPECT_EQ(score(*backend, asked).token, 299);
    if (whole) {
      asked.request.top_k = 2;  // a tie with the k-th: all three stay
      EXPECT_NEAR(score(*backend, asked).filtered_confidence, 1.0 / 3.0, 1e-7);
    }
  }
}

TEST_P(HeadConformance, TheExcludedTokenCountsInTheSoftmaxOnly) {
  Backend* const backend = make(2);
  make_exact_head(*backend, {{0.0f, 2.0f, 1.0f, -1.0f}});
  const double total = std::exp(-2.0) + 1.0 + std::exp(-1.0) + std::exp(-3.0);
  for (const bool whole : {false, true}) {
    HeadRow asked{.row = 0, .request = {.needs_distribution = whole, .exceptions = never(1)}};
    const Score found = score(*backend, asked);
    EXPECT_EQ(found.token, 2);
    EXPECT_NEAR(found.confidence, std::exp(-1.0) / total, 1e-7);
    EXPECT_NEAR(found.margin, whole ? (1.0 - std::exp(-1.0)) / total : 0.0, 1e-12);
  }
  // top_k = 1 keeps the excluded token alone: the best other one is picked, with probability 0.
  const Score left = score(*backend, {.row = 0, .request = {.top_k = 1, .exceptions = never(1)}});
  EXPECT_EQ(left.token, 2);
  EXPECT_EQ(left.filtered_confidence, 0.0);
  EXPECT_NEAR(left.confidence, std::exp(-1.0) / total, 1e-12);
}

TEST_P(HeadConformance, RemovedAndUnsureTokensHaveNoWeight) {
  Backend* const backend = make(2);
  make_exact_head(*backend, {{0.0f, 2.0f, 1.0f, -1.0f}});
  const double total = 1.0 + std::exp(-1.0) + std::exp(-2.0);  // of 1, 0 and -1
  const TokenException removed[] = {{1, TokenRule::kRemoved}};
  const TokenException unsure[] = {{1, TokenRule::kUnsure}};
  const TokenException unsure_other[] = {{1, TokenRule::kNeverPicked}, {2, TokenRule::kUnsure}};
  for (const bool whole : {false, true}) {
    const auto of = [&](std::span<const TokenException> exceptions) {
      return score(*backend,
                   {.row = 0, .request = {.needs_distribution = whole, .exceptions = exceptions}});
    };
    EXPECT_EQ(of(removed).token, 2);
    EXPECT_NEAR(of(removed).confidence, 1.0 / total, 1e-7);
    EXPECT_EQ(of(unsure).token, 1);
    EXPECT_EQ(of(unsure).confidence, 0.0);
    EXPECT_EQ(of(unsure).filtered_confidence, 0.0);
    EXPECT_EQ(of(unsure_other).token, 2);
    EXPECT_EQ(of(unsure_other).confidence, 0.0);
    EXPECT_TRUE(of(unsure).finite);
  }
}

TEST_P(HeadConformance, TheRawMarginIsThePicksLead) {
  Backend* const backend = make(2);
  make_exact_head(*backend, {{0.0f, 2.0f, 1.0f, -1.0f}});
  const double total = std::exp(-2.0) + 1.0 + std::exp(-1.0) + std::exp(-3.0);
  HeadRow asked{
      .row = 0,
      .request = {
          .temperature = 0.01f, .top_k = 2, .needs_distribution = true, .raw_distribution = true}};
  EXPECT_EQ(score(*backend, asked).token, 1);
  EXPECT_NEAR(score(*backend, asked).margin, (1.0 - std::exp(-1.0)) / total, 1e-7);
  asked.request.exceptions = never(1);
  EXPECT_EQ(score(*backend, asked).token, 2);
  EXPECT_NEAR(score(*backend, asked).margin, (std::exp(-1.0) - 1.0) / total, 1e-7);
}

TEST_P(HeadConformance, TokensThatAreNeverPickedAreNeverDrawn) {
  Backend* const backend = make(2);
  // The likeliest rows are padding, at the end and in the middle, across chunks.
  std::vector<float> row(700, 0.0f);
  std::vector<TokenException> padding;
  for (std::int32_t token = 0; token < 700; ++token) {
    const bool unused = token >= 500 || token == 3 || (token >= 250 && token < 270);
    if (!unused) continue;
    row[token] = 6.0f;
    padding.push_back({token, TokenRule::kNeverPicked});
  }
  make_exact_head(*backend, {row});
  std::vector<HeadRow> rows;
  for (int i = 0; i < 400; ++i) {
    rows.push_back({.row = 0,
                    .request = {.position = i,
                                .sampling = static_cast<Sampling>(i % 3),
                                .temperature = i % 5 == 0 ? 0.0f : 1.0f,
                                .top_p = i % 7 == 0 ? 0.9f : 1.0f,
                                .top_k = i % 11 == 0 ? 40 : 0,
                                .exceptions = padding}});
  }
  for (const Score& found : scores(*backend, rows)) {
    ASSERT_GE(found.token, 0);
    EXPECT_EQ(row[found.token], 0.0f) << found.token;
  }
}

TEST_P(HeadConformance, ConfidenceIsAccurateOverALargeVocabulary) {
  Backend* const backend = make(2);
  make_head(*backend, 40000, 4, 0.2f);
  for (std::int32_t row = 0; row < 4; ++row) {
    const Score found = score(*backend, {.row = row, .request = {}});
    const Reference wanted = reference({}, logits(row));
    EXPECT_EQ(found.token, wanted.score.token);
    EXPECT_NEAR(found.confidence, wanted.score.confidence, 1e-6 * wanted.score.confidence);
  }
}

TEST_P(HeadConformance, GuidanceCombinesTwoRows) {
  Backend* const backend = make(2);
  make_head(*backend, 600, 6, 0.5f);
  for (const bool whole : {false, true}) {
    const HeadRow asked{
        .row = 1,
        .unconditional_row = 4,
        .request = {.needs_distribution = whole, .cfg_scale = 0.75f, .exceptions = never(7)}};
    std::vector<double> combined;
    for (std::int64_t id = 0; id < 600; ++id) {
      const float c = logits_[600 + id];
      const float u = logits_[2400 + id];
      combined.push_back(static_cast<double>(u + 1.75f * (c - u)));
    }
    const Reference wanted = reference(asked.request, combined);
    const Score found = score(*backend, asked);
    EXPECT_EQ(found.token, wanted.score.token);
    EXPECT_NEAR(found.confidence, wanted.score.confidence, 1e-6 * wanted.score.confidence);
    EXPECT_NEAR(found.margin, wanted.score.margin, 1e-9);
  }
}

TEST_P(HeadConformance, NoiseDrawsFromTheDistribution) {
  Backend* const backend = make(2);
  make_exact_head(*backend, {{1.0f, 0.0f, -1.0f, 0.5f}});
  constexpr int kDraws = 4000;
  for (const Sampling sampling : {Sampling::kGumbel, Sampling::kCategorical}) {
    const float temperature = 1.5f;
    std::vector<HeadRow> rows;
    for (int i = 0; i < kDraws; ++i) {
      rows.push_back({.row = 0,
                      .request = {.position = i % 64,
                                  .sampling = sampling,
                                  .temperature = temperature,
                                  .seed = 42,
                                  .step = i / 64}});
    }
    std::map<std::int32_t, int> counts;
    for (const Score& found : scores(*backend, rows)) ++counts[found.token];
    // Both are draws from softmax(l / temperature).
    double total = 0;
    for (const double l : logits(0)) total += std::exp(l / 1.5);
    double chi_squared = 0;
    for (std::int32_t id = 0; id < 4; ++id) {
      const double wanted = kDraws * std::exp(logits(0)[id] / 1.5) / total;
      chi_squared += std::pow(counts[id] - wanted, 2) / wanted;
    }
    EXPECT_LT(chi_squared, 16.27);  // 3 degrees of freedom, p = 0.001; the seed is fixed
  }
}

TEST_P(HeadConformance, SeedStepAndPositionKeyTheNoise) {
  Backend* const backend = make(2);
  make_exact_head(*backend, {std::vector<float>(500, 1.0f)});
  const ScoreRequest base{
      .position = 3, .sampling = Sampling::kGumbel, .temperature = 1.0f, .seed = 5, .step = 2};
  const auto token = [&](const ScoreRequest& request) {
    return score(*backend, {.row = 0, .request = request}).token;
  };
  EXPECT_EQ(token(base), token(base));
  for (int which = 0; which < 3; ++which) {
    int same = 0;
    for (int i = 1; i <= 20; ++i) {
      ScoreRequest other = base;
      if (which == 0) other.position += i;
      if (which == 1) other.seed += static_cast<std::uint64_t>(i);
      if (which == 2) other.step += i;
      same += token(other) == token(base) ? 1 : 0;
    }
    EXPECT_LE(same, 1);
  }
}

TEST_P(HeadConformance, NotFiniteLogitsAreReported) {
  Backend* const backend = make(2);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    for (const std::int64_t at : {0, 255, 256, 543}) {
      make_head(*backend, 544, 3, 0.5f);
      weights_[at * kHidden] = bad;
      pack(*backend);
      for (const bool whole : {false, true}) {
        for (const Sampling sampling : {Sampling::kGreedy, Sampling::kGumbel}) {
          const HeadRow asked{
              .row = 1,
              .request = {.sampling = sampling, .temperature = 0.5f, .needs_distribution = whole}};
          EXPECT_FALSE(score(*backend, asked).finite) << bad << " at " << at;
        }
      }
    }
    // A row that is not finite leaves the others alone.
    make_head(*backend, 544, 3, 0.5f);
    const Score before = score(*backend, {.row = 2, .request = {}});
    hidden_[0] = bad;
    pack(*backend);
    const auto found = scores(*backend, {{.row = 0, .request = {}}, {.row = 2, .request = {}}});
    EXPECT_FALSE(found[0].finite);
    expect_same(found[1], before);
  }
}

TEST(HeadAcrossIsas, LogitsAgree) {
  std::mt19937 random(7);
  std::normal_distribution<float> distribution;
  const std::int64_t vocab = 2000, hidden = 512, rows = 16;
  std::vector<float> weights(static_cast<std::size_t>(vocab * hidden));
  std::vector<float> values(static_cast<std::size_t>(rows * hidden));
  for (float& value : weights) value = 0.1f * distribution(random);
  for (float& value : values) value = distribution(random);
  const auto logits_of = [&](const std::string& isa) {
    const auto backend = make_backend({.weights = WeightFormat::kF32, .isa = isa, .threads = 2});
    const StoredMatrix matrix = stored(weights, vocab, hidden);
    std::vector<float> logits(static_cast<std::size_t>(rows * vocab));
    LogitsBackend::of(*backend).head_logits(*backend->pack({&matrix, 1}, MatrixRole::kHead),
                                            *backend->upload(values), rows, logits);
    return logits;
  };
  const std::vector<float> oracle = logits_of("scalar");
  float largest = 0;
  for (const float l : oracle) largest = std::max(largest, std::abs(l));
  for (const std::string& isa : cpu::available_isas()) {
    const std::vector<float> found = logits_of(isa);
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i], oracle[i], 1e-5f * largest) << isa;
    }
  }
}

}  // namespace
}  // namespace fdllm
