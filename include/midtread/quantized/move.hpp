// SPDX-License-Identifier: MIT
// int8 operations that only move codes: reshape, flatten, squeeze, transpose, permute, slice, pad with zero,
// nearest upsampling.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/quantized/operator.hpp>

MIDTREAD_NAMESPACE_BEGIN(quantized)

enum class MoveKind {
  kReshape,
  kFlatten,
  kSqueeze,
  kUnsqueeze,
  kTranspose,
  kPermute,
  kSlice,
  kPad2d,
  kUpsample
};

inline constexpr MoveKind kMoveKinds[] = {MoveKind::kReshape,   MoveKind::kFlatten,   MoveKind::kSqueeze,
                                          MoveKind::kUnsqueeze, MoveKind::kTranspose, MoveKind::kPermute,
                                          MoveKind::kSlice,     MoveKind::kPad2d,     MoveKind::kUpsample};

MIDTREAD_ON_USE const char* to_string(MoveKind kind) {
  switch (kind) {
    case MoveKind::kReshape: return "reshape";
    case MoveKind::kFlatten: return "flatten";
    case MoveKind::kSqueeze: return "squeeze";
    case MoveKind::kUnsqueeze: return "unsqueeze";
    case MoveKind::kTranspose: return "transpose";
    case MoveKind::kPermute: return "permute";
    case MoveKind::kSlice: return "slice";
    case MoveKind::kPad2d: return "pad2d";
    case MoveKind::kUpsample: return "upsample_nearest2d";
  }
  return "?";
}

/// `numbers`: reshape the dimensions (-1 infers, 0 keeps); flatten first and last dimension; squeeze and
/// unsqueeze the dimension; transpose two dimensions; permute the order; slice dimension, start, stop, step;
/// pad2d left, right, top, bottom; upsample factors of height and width.
MIDTREAD_CLASS_ON_USE(Move)
class BasicMove final : public Operator {
 public:
  BasicMove(MoveKind move, std::vector<std::int64_t> numbers) : move_(move), numbers_(std::move(numbers)) {}
  std::string kind() const override { return to_string(move_); }

  Form form(const Forms& inputs) const override {
    require_count(inputs, 1, kind());
    const Form& x = codes_form(inputs, 0, kind());
    return {output_shape(x.shape), x.qparams};
  }

  void run(const Values& inputs, Value& output, Workspace&) const override {
    const Tensor& x = quantized_input(inputs, 0, to_string(move_));
    const BasicTensor<std::uint8_t>&from = x.stored(), &to = std::get<Tensor>(output).stored();
    const std::uint8_t* source = from.data();
    std::uint8_t* target = codes_of(output);
    const Shape &in = from.shape(), &out = to.shape();
    switch (move_) {
      case MoveKind::kReshape:
      case MoveKind::kFlatten:
      case MoveKind::kSqueeze:
      case MoveKind::kUnsqueeze: reshape(source, in, from.strides(), target, out, to.strides()); break;
      case MoveKind::kTranspose: {
        Shape strides = from.strides();
        std::swap(strides[wrapped(0, in.rank())], strides[wrapped(1, in.rank())]);
        copy(source, strides, target, to.strides(), out);
        break;
      }
      case MoveKind::kPermute: {
        Shape strides = out;
        for (int i = 0; i < out.rank(); ++i)
          strides[i] = from.strides()[static_cast<int>(numbers_[static_cast<std::size_t>(i)])];
        copy(source, strides, target, to.strides(), out);
        break;
      }
      case MoveKind::kSlice: {
        const Range r = range(in);
        Shape strides = from.strides();
        strides[r.dim] *= std::min(r.step, in[r.dim] + 1);  // a step beyond the end must not overflow
        copy(source + r.start * from.strides()[r.dim], strides, target, to.strides(), out);
        break;
      }
      case MoveKind::kPad2d: {
        std::fill_n(target, to.numel(), static_cast<std::uint8_t>(x.stored_zero_point()));
        copy(source, from.strides(), target + numbers_[2] * to.strides()[2] + numbers_[0] * to.strides()[3],
             to.strides(), in);
        break;
      }
      case MoveKind::kUpsample: {
        const std::int64_t channels = in[1];
        for (std::int64_t n = 0; n < out[0]; ++n)
          for (std::int64_t h = 0; h < out[2]; ++h)
            for (std::int64_t w = 0; w < out[3]; ++w)
              std::copy_n(source + n * from.strides()[0] + h / numbers_[0] * from.strides()[2] +
                              w / numbers_[1] * from.strides()[3],
                          channels, target + n * to.strides()[0] + h * to.strides()[2] + w * to.strides()[3]);
        break;
      }
    }
  }

  Record save() const override {
    Record r;
    r.kind = kind();
    r.numbers.insert("numbers", to_numbers(numbers_));
    return r;
  }
  static std::shared_ptr<const Operator> load(const Record& record, const std::string& where) {
    constexpr std::int64_t most = std::int64_t{1} << 40;
    const RecordReader in(record, where);
    for (MoveKind move : kMoveKinds) {
      if (record.kind != to_string(move)) continue;
      switch (move) {
        case MoveKind::kReshape: {
          const auto numbers = in.integers("numbers", -1, -1, most);
          if (numbers.size() > Shape::kMaxRank || std::count(numbers.begin(), numbers.end(), -1) > 1)
            throw FormatError(where, "'numbers' is not a shape with at most one -1");
          return make_operator<BasicMove>(move, numbers);
        }
        case MoveKind::kFlatten:
        case MoveKind::kTranspose:
          return make_operator<BasicMove>(move,
                                          in.integers("numbers", 2, -Shape::kMaxRank, Shape::kMaxRank - 1));
        case MoveKind::kSqueeze:
        case MoveKind::kUnsqueeze:
          return make_operator<BasicMove>(move,
                                          in.integers("numbers", 1, -Shape::kMaxRank, Shape::kMaxRank - 1));
        case MoveKind::kPermute: {
          const auto order = in.integers("numbers", -1, 0, Shape::kMaxRank - 1);
          std::uint32_t seen = 0;
          for (std::int64_t i : order) seen |= std::uint32_t{1} << i;
          if (order.size() > Shape::kMaxRank || seen != (std::uint32_t{1} << order.size()) - 1)
            throw FormatError(where, "'numbers' is not an order of dimensions");
          return make_operator<BasicMove>(move, order);
        }
        case MoveKind::kSlice: {
          const auto numbers = in.integers("numbers", 4, -most, most);
          if (numbers[3] < 1 || numbers[0] < -Shape::kMaxRank || numbers[0] >= Shape::kMaxRank)
            throw FormatError(where, "'numbers' is not a slice");
          return make_operator<BasicMove>(move, numbers);
        }
        case MoveKind::kPad2d: return make_operator<BasicMove>(move, in.integers("numbers", 4, 0, 65536));
        case MoveKind::kUpsample: return make_operator<BasicMove>(move, in.integers("numbers", 2, 1, 65536));
      }
    }
    throw FormatError(where, "unknown operator '" + printable(record.kind) + "'");
  }

 private:
  struct Range {
    int dim;
    std::int64_t start, stop, step;
  };
  // Number i as a dimension of a tensor of this rank.
  int wrapped(std::size_t i, int rank) const {
    const auto dim = static_cast<int>(numbers_[i] < 0 ? numbers_[i] + rank : numbers_[i]);
    if (dim < 0 || dim >= rank)
      throw ShapeError(kind(), concat("dimension ", numbers_[i], " of a tensor of rank ", rank));
    return dim;
  }
  Range range(const Shape& in) const {
    const auto raw = static_cast<int>(numbers_[0]);
    const int dim = raw < 0 ? raw + in.rank() : raw;
    const std::int64_t size = in[dim];
    const auto place = [size](std::int64_t i) {
      return std::max<std::int64_t>(0, std::min(size, i < 0 ? i + size : i));
    };
    return {dim, place(numbers_[1]), place(numbers_[2]), numbers_[3]};
  }

  Shape output_shape(const Shape& in) const {
    const auto need_rank_4 = [&] {
      if (in.rank() != 4) throw ShapeError(kind(), concat("input has shape ", in, ", needs [N, C, H, W]"));
    };
    switch (move_) {
      case MoveKind::kReshape: {
        Shape out;
        int infer = -1;
        const std::int64_t count = element_count(in);
        std::int64_t known = 1;
        for (std::size_t i = 0; i < numbers_.size(); ++i) {
          const std::int64_t dim = numbers_[i] == 0 ? in[static_cast<int>(i)] : numbers_[i];
          if (dim < 0) infer = static_cast<int>(i);
          if (dim > 0) known = known > count / dim ? count + 1 : known * dim;  // no overflow
          if (dim == 0) known = 0;
          out.push_back(dim < 0 ? 1 : dim);
        }
        if (infer >= 0 && known > 0) out[infer] = count / known;
        if ((infer >= 0 && known == 0) || element_count(out) != count)
          throw ShapeError("reshape", concat(in, " does not fit ", out));
        return out;
      }
      case MoveKind::kFlatten: {
        const auto wrap = [&](std::int64_t d) { return static_cast<int>(d < 0 ? d + in.rank() : d); };
        const int first = wrap(numbers_[0]), last = wrap(numbers_[1]);
        if (first < 0 || last >= in.rank() || first > last)
          throw ShapeError("flatten", concat("dimensions ", first, "..", last, " of ", in));
        Shape out;
        for (int i = 0; i < first; ++i) out.push_back(in[i]);
        std::int64_t flat = 1;
        for (int i = first; i <= last; ++i) flat *= in[i];
        out.push_back(flat);
        for (int i = last + 1; i < in.rank(); ++i) out.push_back(in[i]);
        return out;
      }
      case MoveKind::kSqueeze: {
        const int dim = wrapped(0, in.rank());
        if (in[dim] != 1) return in;
        Shape out;
        for (int i = 0; i < in.rank(); ++i)
          if (i != dim) out.push_back(in[i]);
        return out;
      }
      case MoveKind::kUnsqueeze: {
        const int dim = wrapped(0, in.rank() + 1);
        Shape out;
        for (int i = 0; i <= in.rank(); ++i) out.push_back(i < dim ? in[i] : i == dim ? 1 : in[i - 1]);
        return out;
      }
      case MoveKind::kTranspose: {
        Shape out = in;
        std::swap(out[wrapped(0, in.rank())], out[wrapped(1, in.rank())]);
        return out;
      }
      case MoveKind::kPermute: {
        if (static_cast<int>(numbers_.size()) != in.rank())
          throw ShapeError("permute", concat(numbers_.size(), " dimensions for shape ", in));
        Shape out;
        for (std::int64_t i : numbers_) out.push_back(in[static_cast<int>(i)]);
        return out;
      }
      case MoveKind::kSlice: {
        const Range r = range(in);
        Shape out = in;
        out[r.dim] = std::max<std::int64_t>(0, (r.stop - r.start + r.step - 1) / r.step);
        return out;
      }
      case MoveKind::kPad2d:
        need_rank_4();
        return {in[0], in[1], in[2] + numbers_[2] + numbers_[3], in[3] + numbers_[0] + numbers_[1]};
      case MoveKind::kUpsample:
        need_rank_4();
        return {in[0], in[1], in[2] * numbers_[0], in[3] * numbers_[1]};
    }
    return in;
  }

  static void copy(const std::uint8_t* from, const Shape& from_strides, std::uint8_t* to,
                   const Shape& to_strides, const Shape& shape) {
    BasicTensor<std::uint8_t>::for_each_offset_pair(shape, to_strides, from_strides,
                                                    [&](std::int64_t a, std::int64_t b) { to[a] = from[b]; });
  }

  // Both sides walked in logical order.
  static void reshape(const std::uint8_t* from, const Shape& in, const Shape& in_strides, std::uint8_t* to,
                      const Shape& out, const Shape& out_strides) {
    if (in == out || (row_major(in, in_strides) && row_major(out, out_strides))) {
      std::copy_n(from, element_count(in), to);
      return;
    }
    Shape index = out;
    for (int i = 0; i < out.rank(); ++i) index[i] = 0;
    std::int64_t at = 0;
    BasicTensor<std::uint8_t>::for_each_offset(in, in_strides, [&](std::int64_t source) {
      to[at] = from[source];
      for (int d = out.rank() - 1; d >= 0; --d) {
        at += out_strides[d];
        if (++index[d] < out[d]) break;
        at -= out_strides[d] * out[d];
        index[d] = 0;
      }
    });
  }
  static bool row_major(const Shape& shape, const Shape& strides) {
    const Shape wanted = contiguous_strides(shape);
    for (int i = 0; i < shape.rank(); ++i)
      if (shape[i] != 1 && strides[i] != wanted[i]) return false;
    return true;
  }

  MoveKind move_;
  std::vector<std::int64_t> numbers_;
};

MIDTREAD_NAMESPACE_END
