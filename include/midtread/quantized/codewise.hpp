// SPDX-License-Identifier: MIT
// Operators that work code by code, and how they run on the pieces of another operator's output as these are
// finished: in place, while they are in the first cache. The codes are those of one operator after the other.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/quantized/operator.hpp>

#include <algorithm>

MIDTREAD_NAMESPACE_BEGIN(quantized)

class Codewise : public Operator {
 public:
  /// Code i of the output depends on code i of each input.
  virtual bool is_codewise(const Forms& inputs) const = 0;
  /// `count` codes of the output; `x[i]`: those of input i. One of them may be `y` where count is a multiple
  /// of kInPlace.
  virtual void run_codes(const Values& inputs, const std::uint8_t* const* x, std::int64_t count,
                         std::uint8_t* y) const = 0;

  bool has_pieces() const final { return true; }
  void run_then(const kernels::CodeTail& tail, const Values& inputs, Value& output,
                Workspace& workspace) const final {
    constexpr std::int64_t kGrain = 8192;
    for (const Value* input : inputs)
      if (std::get<Tensor>(*input).shape() != std::get<Tensor>(output).shape())
        return Operator::run_then(tail, inputs, output, workspace);
    std::uint8_t* const y = codes_of(output);
    parallel_for(0, std::get<Tensor>(output).numel(), kGrain, [&](std::int64_t first, std::int64_t last) {
      const std::uint8_t* x[kMostInputs] = {};
      for (std::size_t i = 0; i < inputs.size(); ++i)
        x[i] = std::get<Tensor>(*inputs[i]).stored().data() + first;
      run_codes(inputs, x, last - first, y + first);
      tail.run(tail, y, first, last - first);
    });
  }

  static constexpr std::int64_t kInPlace = 64;
  static constexpr std::size_t kMostInputs = 2;
};

/// Operators behind another one: each takes the codes of the one before it as its input `flowing`.
MIDTREAD_CLASS_ON_USE(CodewiseTail)
class BasicCodewiseTail : public kernels::CodeTail {
 public:
  BasicCodewiseTail() : CodeTail{run_piece} {}

  bool empty() const { return followers_.empty(); }
  /// All of them outlive the tail.
  void push_back(const Codewise& op, const Values& inputs, std::size_t flowing) {
    followers_.push_back({&op, &inputs, flowing});
  }

 private:
  struct Follower {
    const Codewise* op;
    const Values* inputs;
    std::size_t flowing;

    /// Codes `first` on: those that flow from `from` to `to`.
    void run(const std::uint8_t* from, std::int64_t first, std::int64_t count, std::uint8_t* to) const {
      const std::uint8_t* x[Codewise::kMostInputs] = {};
      for (std::size_t i = 0; i < inputs->size(); ++i)
        x[i] = i == flowing ? from : std::get<Tensor>(*(*inputs)[i]).stored().data() + first;
      op->run_codes(*inputs, x, count, to);
    }
  };

  static void run_piece(const CodeTail& self, std::uint8_t* codes, std::int64_t first, std::int64_t count) {
    const auto& tail = static_cast<const BasicCodewiseTail&>(self);
    const std::int64_t most =
        tail.followers_.size() > 1 ? 8192 : count;  // in the first cache for all of them
    while (count >= Codewise::kInPlace) {
      const std::int64_t n = std::min(most, count) / Codewise::kInPlace * Codewise::kInPlace;
      for (const Follower& f : tail.followers_) f.run(codes + first, first, n, codes + first);
      first += n;
      count -= n;
    }
    if (count == 0) return;
    std::uint8_t rest[2][Codewise::kInPlace];
    std::copy_n(codes + first, count, rest[0]);
    int from = 0;
    for (const Follower& f : tail.followers_) {
      f.run(rest[from], first, count, rest[1 - from]);
      from = 1 - from;
    }
    std::copy_n(rest[from], count, codes + first);
  }

  std::vector<Follower> followers_;
};

MIDTREAD_NAMESPACE_END
