// RoPE, the K/V slabs and attention on every instruction set and compute type of this machine.
#include <limits>

#include "fastdllm/error.h"

#include "backend/conformance.h"
#include "backend/memory_reader.h"

namespace fdllm {
namespace {

struct Angles {
  std::vector<float> cos, sin;
};

Angles rope_table(std::int64_t positions, std::int64_t head_dim) {
  Angles angles;
  for (std::int64_t position = 0; position < positions; ++position) {
    for (std::int64_t i = 0; i < head_dim / 2; ++i) {
      const double angle =
          static_cast<double>(position) *
          std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
      angles.cos.push_back(static_cast<float>(std::cos(angle)));
      angles.sin.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return angles;
}

/// One request: which rows it feeds and attends, and what K and V hold (as the reference keeps it).
struct Request {
  std::int64_t length;
  std::vector<std::int32_t> positions;
  std::vector<Range> attend;
  std::vector<float> qkv;  ///< [positions][shape.row()] before RoPE
};

class AttentionConformance : public Conformance {
 protected:
  /// A request whose K/V were filled by a forward over its whole length, then partly overwritten.
  Request request(const AttentionShape& shape, std::int64_t length,
                  std::vector<std::int32_t> positions, std::vector<Range> attend) {
    Request made{length, std::move(positions), std::move(attend), {}};
    made.qkv = normal(std::ssize(made.positions) * shape.row(), 1.5f);
    return made;
  }

  std::vector<std::int32_t> run_of(std::int32_t begin, std::int32_t end) {
    std::vector<std::int32_t> positions;
    for (std::int32_t i = begin; i < end; ++i) positions.push_back(i);
    return positions;
  }

  /// Runs rope_store and attention for all requests in one batch; `full` are forwards over the
  /// whole length that come first, one for each request. Returns each request's output.
  std::vector<std::vector<float>> run(Backend& backend, const AttentionShape& shape,
                                      const std::vector<Request>& full,
                                      const std::vector<Request>& requests) {
    const Angles angles = rope_table(2000, shape.head_dim);
    const auto cos = backend.upload(angles.cos);
    const auto sin = backend.upload(angles.sin);
    const std::int64_t layers = 2;
    const std::int64_t layer = 1;
    std::vector<std::unique_ptr<KvSlab>> slabs;
    for (const Request& each : requests) {
      const KvShape kv{layers, shape.kv_heads, shape.head_dim, each.length};
      slabs.push_back(backend.allocate_kv(kv));
      EXPECT_EQ(slabs.back()->bytes(), backend.kv_bytes(kv));
      EXPECT_EQ(slabs.back()->length(), each.length);
    }
    std::vector<std::vector<float>> outputs;
    for (const auto* batch : {&full, &requests}) {
      std::vector<float> qkv;
      std::vector<SequenceRows> sequences;
      std::int32_t row = 0;
      for (std::size_t i = 0; i < batch->size(); ++i) {
        const Request& each = (*batch)[i];
        const auto rows = static_cast<std::int32_t>(each.positions.size());
        sequences.push_back({slabs[i].get(), {row, row + rows}, each.positions, each.attend});
        qkv.insert(qkv.end(), each.qkv.begin(), each.qkv.end());
        row += rows;
      }
      const auto device_qkv = backend.upload(qkv);
      const std::int64_t width = shape.heads * shape.head_dim;
      const auto out = backend.allocate(row * width);
      backend.rope_store(*device_qkv, *cos, *sin, {shape, sequences, layer});
      backend.attention(*device_qkv, {shape, sequences, layer}, *out);
      outputs.clear();
      for (const SequenceRows& sequence : sequences) {
        const auto values = values_of(backend, *out);
        outputs.emplace_back(values.begin() + sequence.rows.begin * width,
                             values.begin() + sequence.rows.end * width);
      }
    }
    return outputs;
  }

  /// The same in double precision for one request; only K, V and (by tolerance) weights rounded.
  std::vector<double> expected(const AttentionShape& shape, const Request& full,
                               const Request& request) {
    const std::int64_t dim = shape.head_dim;
    std::vector<double> k(static_cast<std::size_t>(request.length * shape.kv_heads * dim));
    std::vector<double> v = k;
    std::vector<double> q;
    for (const Request* each : {&full, &request}) {
      q.clear();
      for (std::size_t t = 0; t < each->positions.size(); ++t) {
        const float* row = each->qkv.data() + static_cast<std::int64_t>(t) * shape.row();
        const std::int64_t position = each->positions[t];
        const auto rotated = [&](const float* head, std::int64_t i) {
          const std::int64_t pair = i % (dim / 2);
          const double angle =
              static_cast<double>(position) *
              std::pow(10000.0, -2.0 * static_cast<double>(pair) / static_cast<double>(dim));
          const double first = static_cast<double>(head[pair]);
          const double second = static_cast<double>(head[pair + dim / 2]);
          const double value = i < dim / 2 ? first * std::cos(angle) - second * std::sin(angle)
                                           : second * std::cos(angle) + first * std::sin(angle);
          return subject().seen(static_cast<float>(value));
        };
        for (std::int64_t head = 0; head < shape.heads; ++head) {
          for (std::int64_t i = 0; i < dim; ++i) q.push_back(rotated(row + head * dim, i));
        }
        for (std::int64_t head = 0; head < shape.kv_heads; ++head) {
          const float* k_row = row + (shape.heads + head) * dim;
          const float* v_row = k_row + shape.kv_heads * dim;
          for (std::int64_t i = 0; i < dim; ++i) {
            const std::int64_t at = (position * shape.kv_heads + head) * dim + i;
            k[at] = rotated(k_row, i);
            v[at] = subject().seen(v_row[i]);
          }
        }
      }
    }
    std::vector<double> out;
    for (std::size_t t = 0; t < request.positions.size(); ++t) {
      for (std::int64_t head = 0; head < shape.heads; ++head) {
        const std::int64_t kv_head = head / (shape.heads / shape.kv_heads);
        const double* query = q.data() + (static_cast<std::int64_t>(t) * shape.heads + head) * dim;
        std::vector<double> weights;
        std::vector<std::int64_t> keys;
        double largest = -1e300;
        for (const Range& range : request.attend) {
          for (std::int32_t key = range.begin; key < range.end; ++key) {
            double score = 0;
            for (std::int64_t i = 0; i < dim; ++i) {
              score += query[i] * k[(key * shape.kv_heads + kv_head) * dim + i];
            }
            keys.push_back(key);
            weights.push_back(score / std::sqrt(static_cast<double>(dim)));
            largest = std::max(largest, weights.back());
          }
        }
        double total = 0;
        for (double& weight : weights) total += weight = std::exp(weight - largest);
        for (std::int64_t i = 0; i < dim; ++i) {
          double sum = 0;
          for (std::size_t j = 0; j < keys.size(); ++j) {
            sum += weights[j] * v[(keys[j] * shape.kv_heads + kv_head) * dim + i];
          }
          out.push_back(sum / total);
        }
      }
    }
    return out;
  }
};

INSTANTIATE_TEST_SUITE_P(Cpu, AttentionConformance, testing::ValuesIn(float_subjects()),
                         name_of_subject);

TEST_P(AttentionConformance, RopeRotatesQueriesInPlace) {
  const auto backend = subject().make(2);
  for (const std::int64_t dim : {2, 6, 16, 32, 34, 128}) {
    const AttentionShape shape = subject().dealt({3, 1, dim});
    const auto values = normal(4 * shape.row());
    const std::vector<std::int32_t> positions = {0, 1, 7, 1900};
    const Angles angles = rope_table(1901, dim);
    const auto slab = backend->allocate_kv({1, shape.kv_heads, dim, 1901});
    const std::vector<Range> attend = {{0, 8}};
    const SequenceRows sequence{slab.get(), {0, 4}, positions, attend};
    const auto qkv = backend->upload(values);
    backend->rope_store(*qkv, *backend->upload(angles.cos), *backend->upload(angles.sin),
                        {shape, {&sequence, 1}, 0});
    const std::vector<float> rotated = values_of(*backend, *qkv);
    for (std::int64_t t = 0; t < 4; ++t) {
      for (std::int64_t head = 0; head < shape.heads; ++head) {
        for (std::int64_t i = 0; i < dim / 2; ++i) {
          const std::int64_t at = t * shape.row() + head * dim + i;
          const double angle = static_cast<double>(positions[t]) *
                               std::pow(10000.0, -2.0 * static_cast<double>(i) / double(dim));
          const double first = static_cast<double>(values[at]);
          const double second = static_cast<double>(values[at + dim / 2]);
          ASSERT_NEAR(rotated[at], first * std::cos(angle) - second * std::sin(angle), 2e-6);
          ASSERT_NEAR(rotated[at + dim / 2], second * std::cos(angle) + first * std::sin(angle),
                      2e-6);
        }
      }
    }
  }
}

TEST_P(AttentionConformance, MatchesDoublePrecision) {
  const auto backend = subject().make(2);
  const AttentionShape shapes[] = {{1, 1, 2}, {4, 2, 6}, {4, 4, 32}, {6, 2, 48}, {7, 1, 128}};
  for (const AttentionShape& each : shapes) {
    const AttentionShape shape = subject().dealt(each);
    for (const std::int32_t length : {1, 15, 16, 70, 530}) {
      const Request full = request(shape, length, run_of(0, length), {{0, length}});
      const std::int32_t begin = length / 3;
      const std::int32_t end = std::min(length, begin + 19);
      // All; a prefix and the window; ranges that start and end anywhere.
      const std::vector<std::vector<Range>> attends = {
          {{0, length}},
          {{0, begin}, {begin, end}},
          {{length / 5, length / 5 + 1}, {length / 2, length}}};
      for (const auto& attend : attends) {
        const Request window = request(shape, length, run_of(begin, end), attend);
        const auto found = run(*backend, shape, {full}, {window})[0];
        const auto wanted = expected(shape, full, window);
        ASSERT_EQ(found.size(), wanted.size());
        // f32: rounding of scores (about 10 at most) and sums. bf16: rounding a query, key or
        // weight the other way (2^-8) moves a score or a weight, and V is about 4.
        const double tolerance = subject().is_bf16() ? 5e-2 : 3e-5;
        double squares = 0;
        for (std::size_t i = 0; i < found.size(); ++i) {
          ASSERT_NEAR(found[i], wanted[i], tolerance)
              << "length " << length << ", head_dim " << shape.head_dim;
          squares += std::pow(static_cast<double>(found[i]) - wanted[i], 2);
        }
        EXPECT_LT(std::sqrt(squares / static_cast<double>(found.size())),
                  subject().is_bf16() ? 6e-3 : 3e-6);
      }
    }
  }
}

TEST_P(AttentionConformance, IsTheSameInAnyBatchAndThreadCount) {
  const AttentionShape shape{6, 2, 20};
  std::vector<Request> full;
  std::vector<Request> requests;
  for (const std::int32_t length : {5, 40, 333, 290, 17}) {
    full.push_back(request(shape, length, run_of(0, length), {{0, length}}));
    const auto begin = static_cast<std::int32_t>(integer(0, length - 1));
    const auto end = static_cast<std::int32_t>(integer(begin + 1, length));
    requests.push_back(request(shape, length, run_of(begin, end), {{0, begin}, {begin, length}}));
  }
  std::vector<std::vector<float>> alone;
  {
    const auto backend = subject().make(1);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      alone.push_back(run(*backend, shape, {full[i]}, {requests[i]})[0]);
      // A part of the rows gives a part of the result: attend ranges may be cut anywhere too.
      // (All K/V rows of the window are stored by the first forward, so that they are the same.)
      Request rest = requests[i];
      Request whole = full[i];
      for (std::size_t t = 0; t < rest.positions.size(); ++t) {
        std::copy_n(rest.qkv.begin() + static_cast<std::ptrdiff_t>(t) * shape.row(), shape.row(),
                    whole.qkv.begin() + rest.positions[t] * shape.row());
      }
      const std::int64_t cut = std::ssize(rest.positions) / 2;
      rest.positions.erase(rest.positions.begin(), rest.positions.begin() + cut);
      rest.qkv.erase(rest.qkv.begin(), rest.qkv.begin() + cut * shape.row());
      const auto length = static_cast<std::int32_t>(rest.length);
      rest.attend = {{0, length / 2}, {length / 2, length}};
      const auto part = run(*backend, shape, {whole}, {rest})[0];
      EXPECT_TRUE(same_bits(part, std::span(alone.back()).last(part.size())));
    }
  }
  for (const int threads : {1, 2, 3}) {
    const auto backend = subject().make(threads);
    const auto together = run(*backend, shape, full, requests);
    const auto reversed =
        run(*backend, shape, {full.rbegin(), full.rend()}, {requests.rbegin(), requests.rend()});
    for (std::size_t i = 0; i < requests.size(); ++i) {
      EXPECT_TRUE(same_bits(together[i], alone[i])) << i;
      EXPECT_TRUE(same_bits(reversed[requests.size() - 1 - i], alone[i])) << i;
    }
  }
}

TEST_P(AttentionConformance, UnattendedRowsDoNotMatter) {
  const auto backend = subject().make(2);
  const AttentionShape shape = subject().dealt({2, 1, 16});
  const Request full = request(shape, 100, run_of(0, 100), {{0, 100}});
  Request other = full;
  for (std::int64_t row = 50; row < 60; ++row) {
    std::fill_n(other.qkv.begin() + row * shape.row(), shape.row(), 1e6f);
  }
  const Request window = request(shape, 100, run_of(20, 30), {{0, 50}, {60, 100}});
  EXPECT_TRUE(same_bits(run(*backend, shape, {full}, {window})[0],
                        run(*backend, shape, {other}, {window})[0]));
}

TEST_P(AttentionConformance, PositionsMayBeScattered) {
  const auto backend = subject().make(2);
  const AttentionShape shape{4, 2, 32};
  const Request full = request(shape, 64, run_of(0, 64), {{0, 64}});
  const Request window = request(shape, 64, {0, 3, 17, 40, 63}, {{0, 64}});
  const auto found = run(*backend, shape, {full}, {window})[0];
  const auto wanted = expected(shape, full, window);
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], wanted[i], subject().is_bf16() ? 5e-2 : 3e-5);
  }
}

TEST_P(AttentionConformance, AgreesWithScalarOnRandomShapes) {
  const auto backend = subject().make(2);
  const auto scalar = Subject{"scalar", subject().format}.make(1);
  for (int round = 0; round < 25; ++round) {
    const std::int64_t kv_heads = integer(1, 3);
    const AttentionShape shape =
        subject().dealt({kv_heads * integer(1, 5), kv_heads, 2 * integer(1, 40)});
    std::vector<Request> full;
    std::vector<Request> requests;
    for (std::int64_t i = integer(1, 3); i > 0; --i) {
      const auto length = static_cast<std::int32_t>(integer(1, 400));
      const auto begin = static_cast<std::int32_t>(integer(0, length - 1));
      const auto end = static_cast<std::int32_t>(integer(begin + 1, std::min(length, begin + 40)));
      full.push_back(request(shape, length, run_of(0, length), {{0, length}}));
      requests.push_back(request(shape, length, run_of(begin, end), {{begin, length}}));
    }
    const auto found = run(*backend, shape, full, requests);
    const auto wanted = run(*scalar, shape, full, requests);
    for (std::size_t i = 0; i < found.size(); ++i) {
      for (std::size_t j = 0; j < found[i].size(); ++j) {
        // Outputs are about 1. bf16: a value that lies between two numbers may be rounded either
        // way when its last f32 bit differs.
        ASSERT_NEAR(found[i][j], wanted[i][j], subject().is_bf16() ? 2e-2f : 1e-5f) << round;
      }
    }
  }
}

TEST_P(AttentionConformance, ReadsBackTheRowsThatWereStored) {
  const auto backend = subject().make(2);
  for (const std::int64_t dim : {2, 6, 16, 34, 128}) {
    const AttentionShape shape{4, 2, dim};
    const std::vector<std::int32_t> positions = {0, 1, 15, 16, 17, 38};
    const auto count = std::ssize(positions);
    const auto values = normal(count * shape.row());
    const auto none = backend->upload(std::vector<float>(static_cast<std::size_t>(39 * dim / 2)));
    const auto one =
        backend->upload(std::vector<float>(static_cast<std::size_t>(39 * dim / 2), 1.0f));
    const auto slab = backend->allocate_kv({3, 2, dim, 39});
    const SequenceRows sequence{slab.get(), {0, 6}, positions, {}};
    backend->rope_store(*backend->upload(values), *one, *none, {shape, {&sequence, 1}, 1});
    const MemoryReader& reader = MemoryReader::of(*backend);
    const std::int64_t width = 2 * dim;
    std::vector<float> k(static_cast<std::size_t>(count * width));
    std::vector<float> v = k;
    reader.read_kv(*slab, 1, positions, k, v);
    for (std::int64_t t = 0; t < count; ++t) {
      for (std::int64_t i = 0; i < width; ++i) {
        const std::int64_t from = t * shape.row() + 4 * dim + i;
        ASSERT_EQ(k[t * width + i], subject().seen(values[from])) << dim << " " << t << " " << i;
        ASSERT_EQ(v[t * width + i], subject().seen(values[from + width])) << dim;
      }
    }
    EXPECT_THROW(reader.read_kv(*slab, 3, positions, k, v), Error);
    EXPECT_THROW(reader.read_kv(*slab, 1, std::vector<std::int32_t>{39}, std::span(k).first(width),
                                std::span(v).first(width)),
                 Error);
    EXPECT_THROW(reader.read_kv(*slab, 1, positions, std::span(k).first(width), v), Error);
  }
}

TEST_P(AttentionConformance, RefusesWhatDoesNotFit) {
  const auto backend = subject().make(1);
  const AttentionShape shape = subject().dealt({2, 1, 16});
  const auto slab = backend->allocate_kv({1, shape.kv_heads, 16, 8});
  const auto qkv = backend->allocate(shape.row());
  const auto out = backend->allocate(shape.heads * 16);
  const std::vector<std::int32_t> inside = {7};
  const std::vector<std::int32_t> outside = {8};
  const std::vector<Range> attend = {{0, 8}};
  const std::vector<Range> beyond = {{0, 9}};
  for (const SequenceRows& sequence : {SequenceRows{slab.get(), {0, 1}, outside, attend},
                                       {slab.get(), {0, 1}, inside, beyond},
                                       {slab.get(), {0, 2}, inside, attend},
                                       {nullptr, {0, 1}, inside, attend},
                                       {slab.get(), {1, 2}, inside, attend}}) {
    EXPECT_THROW(backend->attention(*qkv, {shape, {&sequence, 1}, 0}, *out), Error);
  }
  const SequenceRows sequence{slab.get(), {0, 1}, inside, attend};
  EXPECT_THROW(backend->attention(*qkv, {shape, {&sequence, 1}, 1}, *out), Error);
  EXPECT_THROW(backend->allocate_kv({1, shape.kv_heads, 15, 8}), Error);
}

}  // namespace
}  // namespace fdllm
