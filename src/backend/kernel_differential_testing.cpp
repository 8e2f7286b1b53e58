#include "backend/kernel_differential_testing.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "backend/backend.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/packed_matrix.h"
#include "backend/kernel_case_testing.h"
#include "backend/logits_backend.h"
#include "base/dtype.h"

namespace fdllm::testing {
namespace {

constexpr int kFormats = 7;
constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
constexpr double kSmallest = std::numeric_limits<float>::min();
constexpr double kLargest = std::numeric_limits<float>::max();

Backend& backend(const std::string& isa, WeightFormat format, int threads) {
  static std::map<std::tuple<std::string, WeightFormat, int>, std::unique_ptr<Backend>> made;
  auto& entry = made[{isa, format, threads}];
  if (!entry) {
    entry = make_backend({.device = "cpu", .weights = format, .isa = isa, .threads = threads});
  }
  return *entry;
}

std::span<const float> values_of(const Buffer& buffer) {
  const auto& host = static_cast<const cpu::HostBuffer&>(buffer);
  return {host.data(), static_cast<std::size_t>(host.size())};
}

/// Runs `run(isa, threads)` on every table: the same on 1 and 3 threads, and `compare`d with
/// scalar.
template <typename Run, typename Compare>
Difference on_every_isa(const std::string& what, Run&& run, Compare&& compare) {
  const Values scalar = run("scalar", 1);
  for (const std::string& isa : cpu::available_isas()) {
    const std::string where = fmt::format("{} on {}", what, isa);
    const Values found = run(isa, 1);
    if (auto wrong = first_unequal(found, run(isa, 3), where + ", 1 and 3 threads")) return wrong;
    if (isa == "scalar") continue;
    if (auto wrong = compare(scalar, found, where)) return wrong;
  }
  return std::nullopt;
}

Difference linear_case(Draw& draw) {
  const auto format = static_cast<WeightFormat>(draw.integer(0, kFormats - 1));
  const auto role = draw.integer(0, 4) == 0 ? MatrixRole::kHead : MatrixRole::kProjection;
  const std::int64_t rows = draw.integer(1, draw.integer(0, 7) == 0 ? 200 : 36);
  const std::int64_t in = draw.integer(1, draw.integer(0, 3) == 0 ? 1100 : 300);
  const std::int64_t out = draw.integer(1, 80);
  const bool add = draw.integer(0, 1) == 1;
  const bool has_bias = draw.integer(0, 1) == 1;
  const Values weights = draw.values(out * in, kAnyValue);
  const Values x = draw.values(rows * in, kAnyValue);
  const Values bias = draw.values(has_bias ? out : 0, kFiniteValue);
  const Values before = draw.values(rows * out, kFiniteValue);
  const std::int64_t alone = draw.integer(0, rows - 1);
  StoredMatrix matrix;
  matrix.data = std::as_bytes(std::span(weights));
  matrix.rows = out;
  matrix.columns = in;
  matrix.bias = std::as_bytes(std::span(bias));
  const std::string what = fmt::format("linear{}, format {}, {} rows, {} to {}", add ? "_add" : "",
                                       static_cast<int>(format), rows, in, out);

  const auto product = [&](const std::string& isa, int threads, std::int64_t first,
                           std::int64_t count) {
    Backend& on = backend(isa, format, threads);
    const auto packed = on.pack(std::span(&matrix, 1), role);
    const auto input = on.upload(std::span(x).subspan(static_cast<std::size_t>(first * in),
                                                      static_cast<std::size_t>(count * in)));
    const auto output = on.upload(std::span(before).subspan(static_cast<std::size_t>(first * out),
                                                            static_cast<std::size_t>(count * out)));
    if (add) {
      on.linear_add(*packed, *input, count, *output);
    } else {
      on.linear(*packed, *input, count, *output);
    }
    const auto values = values_of(*output).first(static_cast<std::size_t>(count * out));
    return Values(values.begin(), values.end());
  };
  for (const std::string& isa : cpu::available_isas()) {
    const Values all = product(isa, 1, 0, rows);
    const auto row = std::span(all).subspan(static_cast<std::size_t>(alone * out),
                                            static_cast<std::size_t>(out));
    if (auto wrong = first_unequal(product(isa, 1, alone, 1), row,
                                   fmt::format("{} on {}, row {} alone", what, isa, alone))) {
      return wrong;
    }
  }

  const bool bf16 = backend("scalar", format, 1).weight_format(role) == WeightFormat::kBF16;
  const bool floating = bf16 || format == WeightFormat::kF32;
  const auto bound_of = [&](std::size_t i) {
    const std::size_t row = i / static_cast<std::size_t>(out);
    const std::size_t column = i % static_cast<std::size_t>(out);
    double sum = 0, flushed = 0;
    bool finite = true;
    for (std::size_t k = 0; k < static_cast<std::size_t>(in); ++k) {
      const auto seen = [&](float value) { return double{bf16 ? round_bf16(value) : value}; };
      const double a = seen(x[row * static_cast<std::size_t>(in) + k]);
      const double b = seen(weights[column * static_cast<std::size_t>(in) + k]);
      finite = finite && std::isfinite(a) && std::isfinite(b);
      sum += std::abs(a * b);
      // The bf16 instructions take denormals for zeros and round denormal results to zero.
      flushed += kSmallest * (1 + std::abs(a) + std::abs(b));
    }
    if (has_bias) sum += std::abs(double{bias[column]});
    if (add) sum += std::abs(double{before[i]});
    if (!finite) return Bound{0, Bound::Kind::kNotFinite};
    // Where a partial sum may overflow, its order decides.
    if (sum > kLargest / 4) return Bound{0, Bound::Kind::kAnything};
    return Bound{kEpsilon * static_cast<double>(in + 2) * sum + flushed};
  };
  return on_every_isa(
      what, [&](const std::string& isa, int threads) { return product(isa, threads, 0, rows); },
      [&](const Values& scalar, const Values& found, const std::string& where) {
        return floating ? first_distant(scalar, found, where, bound_of)
                        : first_unequal(scalar, found, where);
      });
}

Difference rms_norm_case(Draw& draw) {
  const std::int64_t rows = draw.integer(1, 9);
  const std::int64_t columns = draw.integer(1, 600);
  const Values x = draw.values(rows * columns, kAnyValue);
  const Values weight = draw.values(columns, kFiniteValue);
  const auto run = [&](const std::string& isa, int threads) {
    Backend& on = backend(isa, WeightFormat::kF32, threads);
    const auto output = on.allocate(rows * columns);
    on.rms_norm(*on.upload(x), *on.upload(weight), 1e-6f, rows, *output);
    const auto values = values_of(*output).first(x.size());
    return Values(values.begin(), values.end());
  };
  const auto bound_of = [&](std::size_t i) {
    const std::size_t row = i / static_cast<std::size_t>(columns);
    double squares = 0;
    for (std::size_t k = 0; k < static_cast<std::size_t>(columns); ++k) {
      const double value = x[row * static_cast<std::size_t>(columns) + k];
      squares += value * value;
    }
    if (std::isnan(squares)) return Bound{0, Bound::Kind::kNotFinite};
    if (squares > kLargest / 4) return Bound{0, Bound::Kind::kAnything};
    const double value = double{x[i]} / std::sqrt(squares / static_cast<double>(columns) + 1e-6) *
                         double{weight[i % static_cast<std::size_t>(columns)]};
    return Bound{kEpsilon * static_cast<double>(columns + 8) * std::abs(value) + 1e3 * kSmallest};
  };
  return on_every_isa(fmt::format("rms_norm, {} x {}", rows, columns), run,
                      [&](const Values& scalar, const Values& found, const std::string& where) {
                        return first_distant(scalar, found, where, bound_of);
                      });
}

Difference swiglu_case(Draw& draw) {
  const std::int64_t rows = draw.integer(1, 5);
  const std::int64_t ffn = draw.integer(1, 200);
  const Values gate_up = draw.values(rows * 2 * ffn, kAnyValue);
  const auto run = [&](const std::string& isa, int threads) {
    Backend& on = backend(isa, WeightFormat::kF32, threads);
    const auto output = on.allocate(rows * ffn);
    on.swiglu(*on.upload(gate_up), rows, ffn, *output);
    const auto values = values_of(*output).first(static_cast<std::size_t>(rows * ffn));
    return Values(values.begin(), values.end());
  };
  const auto bound_of = [&](std::size_t i) {
    const std::size_t row = i / static_cast<std::size_t>(ffn);
    const std::size_t at =
        2 * row * static_cast<std::size_t>(ffn) + i % static_cast<std::size_t>(ffn);
    const double gate = gate_up[at];
    const double up = gate_up[at + static_cast<std::size_t>(ffn)];
    if (std::isnan(gate) || std::isnan(up)) return Bound{0, Bound::Kind::kNotFinite};
    if (!std::isfinite(gate) || !std::isfinite(up)) return Bound{0, Bound::Kind::kAnything};
    const double value = gate / (1 + std::exp(-gate)) * up;
    if (std::abs(value) > kLargest / 4) return Bound{0, Bound::Kind::kAnything};
    // Below, the sigmoid is no normal number.
    const double smallest = gate < -80 ? std::abs(gate) * 2e-35 * std::abs(up) : 0;
    return Bound{1e-5 * std::abs(value) + smallest + kSmallest * (1 + std::abs(up))};
  };
  return on_every_isa(fmt::format("swiglu, {} x {}", rows, ffn), run,
                      [&](const Values& scalar, const Values& found, const std::string& where) {
                        return first_distant(scalar, found, where, bound_of);
                      });
}

struct AttentionCase {
  AttentionShape shape;
  std::int64_t length = 0;
  Values past, qkv, cos, sin;
  std::vector<std::int32_t> all_positions, positions;
  std::vector<Range> all_attend, attend;
};

AttentionCase draw_attention(Draw& draw) {
  AttentionCase made;
  made.shape.kv_heads = draw.integer(1, 3);
  made.shape.heads = made.shape.kv_heads * draw.integer(1, 3);
  made.shape.head_dim = 16 * draw.integer(1, 9);
  made.length = draw.integer(1, draw.integer(0, 3) == 0 ? 300 : 70);
  const auto length = static_cast<std::int32_t>(made.length);
  made.past = draw.values(made.length * made.shape.row(), kFiniteValue);
  const std::int64_t turns = made.length * made.shape.head_dim / 2;
  made.cos.resize(static_cast<std::size_t>(turns));
  made.sin.resize(static_cast<std::size_t>(turns));
  for (std::int64_t i = 0; i < turns; ++i) {
    const auto angle = static_cast<float>(i % 97) * 0.13f;
    made.cos[static_cast<std::size_t>(i)] = std::cos(angle);
    made.sin[static_cast<std::size_t>(i)] = std::sin(angle);
  }
  const auto first = static_cast<std::int32_t>(draw.integer(0, length - 1));
  const auto end = static_cast<std::int32_t>(draw.integer(first + 1, length));
  for (std::int32_t i = 0; i < length; ++i) made.all_positions.push_back(i);
  for (std::int32_t i = first; i < end; ++i) made.positions.push_back(i);
  made.all_attend = {Range{0, length}};
  // One or two ranges, as a plan has.
  const auto cut = static_cast<std::int32_t>(draw.integer(0, length - 1));
  if (cut > 1 && draw.integer(0, 1) == 1) {
    made.attend = {Range{0, cut / 2}, Range{cut, length}};
  } else {
    made.attend = {Range{cut, length}};
  }
  made.qkv = draw.values((end - first) * made.shape.row(), kFiniteValue);
  // Small values at times: the bound on bf16 is only tight where scores are small.
  const float scale = draw.integer(0, 1) == 0 ? 1.0f : 0.125f;
  for (Values* values : {&made.past, &made.qkv}) {
    for (float& value : *values) value *= scale;
  }
  return made;
}

Values run_attention(const AttentionCase& of, Backend& on, bool alone) {
  const KvShape kv_shape{1, of.shape.kv_heads, of.shape.head_dim, of.length};
  const auto kv = on.allocate_kv(kv_shape);
  const auto cos = on.upload(of.cos);
  const auto sin = on.upload(of.sin);
  const SequenceRows all{
      kv.get(), {0, static_cast<std::int32_t>(of.length)}, of.all_positions, of.all_attend};
  on.rope_store(*on.upload(of.past), *cos, *sin, {of.shape, {&all, 1}, 0});
  const auto rows = static_cast<std::int32_t>(of.positions.size());
  const SequenceRows queries{kv.get(), {0, rows}, of.positions, of.attend};
  const auto qkv = on.upload(of.qkv);
  on.rope_store(*qkv, *cos, *sin, {of.shape, {&queries, 1}, 0});
  const std::int64_t width = of.shape.heads * of.shape.head_dim;
  Values result;
  if (!alone) {
    const auto output = on.allocate(rows * width);
    on.attention(*qkv, {of.shape, {&queries, 1}, 0}, *output);
    const auto values = values_of(*output).first(static_cast<std::size_t>(rows * width));
    return Values(values.begin(), values.end());
  }
  const auto rotated = values_of(*qkv);
  for (std::int32_t i = 0; i < rows; ++i) {
    const auto row = on.upload(rotated.subspan(static_cast<std::size_t>(i * of.shape.row()),
                                               static_cast<std::size_t>(of.shape.row())));
    const SequenceRows one{kv.get(),
                           {0, 1},
                           std::span(of.positions).subspan(static_cast<std::size_t>(i), 1),
                           of.attend};
    const auto output = on.allocate(width);
    on.attention(*row, {of.shape, {&one, 1}, 0}, *output);
    const auto values = values_of(*output).first(static_cast<std::size_t>(width));
    result.insert(result.end(), values.begin(), values.end());
  }
  return result;
}

Difference attention_case(Draw& draw) {
  const auto format = draw.integer(0, 1) == 0 ? WeightFormat::kF32 : WeightFormat::kBF16;
  const AttentionCase made = draw_attention(draw);
  const std::string what =
      fmt::format("attention, format {}, {} of {} heads of {}, {} rows of {}",
                  static_cast<int>(format), made.shape.kv_heads, made.shape.heads,
                  made.shape.head_dim, made.positions.size(), made.length);
  for (const std::string& isa : cpu::available_isas()) {
    Backend& on = backend(isa, format, 1);
    if (auto wrong = first_unequal(run_attention(made, on, false), run_attention(made, on, true),
                                   fmt::format("{} on {}, rows alone", what, isa))) {
      return wrong;
    }
  }
  // Rounding moves a score by `moved` at most, so a weight by a factor of exp(2 moved); bf16 then
  // rounds weights either way.
  double largest = 0;
  for (const Values* values : {&made.past, &made.qkv}) {
    for (const float value : *values) largest = std::max(largest, std::abs(double{value}));
  }
  const auto dims = static_cast<double>(made.shape.head_dim);
  const double unit = format == WeightFormat::kF32 ? kEpsilon : 0x1p-8;
  const double moved = unit * 4 * largest * largest * std::sqrt(dims);
  const double distance =
      (std::expm1(std::min(2 * moved, 50.0)) + static_cast<double>(made.length) * kEpsilon + unit) *
      2 * largest;
  return on_every_isa(
      what,
      [&](const std::string& isa, int threads) {
        return run_attention(made, backend(isa, format, threads), false);
      },
      [&](const Values& scalar, const Values& found, const std::string& where) {
        return first_distant(scalar, found, where, [&](std::size_t) { return Bound{distance}; });
      });
}

Difference head_case(Draw& draw) {
  const auto format = static_cast<WeightFormat>(draw.integer(0, kFormats - 1));
  const std::int64_t rows = draw.integer(1, 40);
  const std::int64_t in = draw.integer(1, 150);
  const std::int64_t vocab = draw.integer(2, 700);
  const Values weights = draw.values(vocab * in, kFiniteValue);
  const Values x =
      draw.values(rows * in, draw.integer(0, 3) == 0 ? std::span<const float>(kAnyValue)
                                                     : std::span<const float>(kFiniteValue));
  const bool distribution = draw.integer(0, 1) == 1;
  StoredMatrix matrix;
  matrix.data = std::as_bytes(std::span(weights));
  matrix.rows = vocab;
  matrix.columns = in;
  std::vector<HeadRow> asked(static_cast<std::size_t>(rows));
  for (std::int64_t i = 0; i < rows; ++i) {
    HeadRow& row = asked[static_cast<std::size_t>(i)];
    row.row = static_cast<std::int32_t>(i);
    row.request.needs_distribution = distribution;
  }
  const std::string what =
      fmt::format("head, format {}, {} rows, {} to {}", static_cast<int>(format), rows, in, vocab);
  for (const std::string& isa : cpu::available_isas()) {
    std::vector<Score> first;
    for (const int threads : {1, 3}) {
      Backend& on = backend(isa, format, threads);
      const auto packed = on.pack(std::span(&matrix, 1), MatrixRole::kHead);
      const auto input = on.upload(x);
      Values logits(static_cast<std::size_t>(rows * vocab));
      LogitsBackend::of(on).head_logits(*packed, *input, rows, logits);
      std::vector<Score> scores(asked.size());
      on.head_scores(*packed, *input, asked, scores);
      for (std::size_t i = 0; i < scores.size(); ++i) {
        const std::string where = fmt::format("{} on {}, row {}", what, isa, i);
        const auto row = std::span(logits).subspan(i * static_cast<std::size_t>(vocab),
                                                   static_cast<std::size_t>(vocab));
        const bool finite =
            std::all_of(row.begin(), row.end(), [](float v) { return std::isfinite(v); });
        if (scores[i].finite != finite) return where + ": 'finite' is wrong";
        if (!finite) continue;
        const auto best = std::max_element(row.begin(), row.end());
        if (scores[i].token != best - row.begin()) {
          return fmt::format("{}: token {}, but the largest logit is {}'s", where, scores[i].token,
                             best - row.begin());
        }
        double sum = 0;
        for (const float logit : row) sum += std::exp(double{logit} - double{*best});
        if (std::abs(scores[i].confidence * sum - 1) > 1e-4) {
          return fmt::format("{}: confidence {}, expected {}", where, scores[i].confidence,
                             1 / sum);
        }
        if (threads == 1) continue;
        if (first[i].confidence != scores[i].confidence || first[i].token != scores[i].token ||
            first[i].margin != scores[i].margin || first[i].entropy != scores[i].entropy) {
          return where + ": other scores on 3 threads than on 1";
        }
      }
      first = scores;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> first_kernel_difference(std::span<const std::uint8_t> bytes) {
  Draw draw(bytes);
  switch (draw.integer(0, 6)) {
    case 0:
      return rms_norm_case(draw);
    case 1:
      return swiglu_case(draw);
    case 2:
      return attention_case(draw);
    case 3:
      return head_case(draw);
    default:
      return linear_case(draw);
  }
}

}  // namespace fdllm::testing
