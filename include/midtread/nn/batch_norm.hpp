// SPDX-License-Identifier: MIT
// Batch normalisation layers (arXiv 1502.03167): y = (x - mean) / sqrt(var + eps) * weight + bias
#pragma once

#include <midtread/nn/module_holder.hpp>
#include <midtread/nn/options.hpp>
#include <midtread/ops/batch_norm.hpp>

#include <optional>

MIDTREAD_NAMESPACE_BEGIN(nn)

struct BatchNormOptions {
  BatchNormOptions(std::int64_t features) : num_features_(features) {}  // NOLINT: BatchNorm2d(16)
  MIDTREAD_OPTION(std::int64_t, num_features);
  MIDTREAD_OPTION(double, eps) = 1e-5;
  /// Of the running statistics; std::nullopt: the plain average of all batches.
  MIDTREAD_OPTION(std::optional<double>, momentum) = 0.1;
  MIDTREAD_OPTION(bool, affine) = true;
  MIDTREAD_OPTION(bool, track_running_stats) = true;
};

/// What BatchNorm1d and BatchNorm2d share. Training normalises with the batch's statistics and moves the
/// running ones, eval uses the running ones.
template <class Derived, class Scalar>
class BasicBatchNorm : public Leaf<Derived, Scalar> {
 public:
  using T = BasicTensor<Scalar>;
  using Ts = std::vector<T>;

  explicit BasicBatchNorm(const BatchNormOptions& from) : options(from) {
    detail::check_at_least("BatchNorm", "num_features", options.num_features(), 1);
    if (!(options.eps() > 0.0))
      throw ConfigError("BatchNorm", concat("eps is ", options.eps(), ", allowed above 0"));
    if (const auto m = options.momentum(); m && !(*m >= 0.0 && *m <= 1.0))
      throw ConfigError("BatchNorm",
                        concat("momentum is ", *m, ", allowed 0..1, or std::nullopt for the plain average"));
    const Shape shape{options.num_features()};
    weight = this->register_parameter("weight", options.affine() ? T(shape) : T());
    bias = this->register_parameter("bias", options.affine() ? T(shape) : T());
    if (options.track_running_stats()) {
      running_mean = this->register_buffer("running_mean", T(shape));
      running_var = this->register_buffer("running_var", T(shape));
      num_batches_tracked = this->register_buffer("num_batches_tracked", BasicTensor<std::int64_t>(Shape{}));
    }
    reset_parameters();
  }

  void reset_parameters() {
    if (weight.defined()) weight.fill_(Scalar(1));
    if (bias.defined()) bias.fill_(Scalar(0));
    reset_running_stats();
  }
  void reset_running_stats() {
    if (!running_mean.defined()) return;
    running_mean.fill_(Scalar(0));
    running_var.fill_(Scalar(1));
    num_batches_tracked.fill_(0);
  }

  /// Running statistics in train mode too, and they stand still; train() does not undo it.
  void freeze_stats(bool frozen = true) noexcept { frozen_ = frozen; }
  bool stats_frozen() const noexcept { return frozen_; }
  bool uses_batch_statistics() const noexcept {
    return (this->training() && !frozen_) || !options.track_running_stats();
  }

  T forward(const T& input) override {
    return this->record_leaf({input}, [&] { return Ts{normalized(input)}; }).at(0);
  }

  ParameterTag parameter_tag(const std::string&) const override { return ParameterTag::kBatchNorm; }
  std::string extra_repr() const override {
    const auto momentum = options.momentum();
    return concat(options.num_features(), ", eps=", options.eps(),
                  ", momentum=", momentum ? concat(*momentum) : "None",
                  ", affine=", detail::python(options.affine()),
                  ", track_running_stats=", detail::python(options.track_running_stats()));
  }

  BatchNormOptions options;
  T weight;        ///< gamma [C], or undefined
  T bias;          ///< beta [C], or undefined
  T running_mean;  ///< [C], or undefined
  T running_var;   ///< [C], or undefined
  BasicTensor<std::int64_t> num_batches_tracked;

 protected:
  virtual bool accepts_rank(int rank) const = 0;
  virtual const char* accepted_shapes() const = 0;

  void rebind() override {
    weight = this->own_parameters().at("weight");
    bias = this->own_parameters().at("bias");
    if (!options.track_running_stats()) return;
    running_mean = get_tensor<Scalar>(this->own_buffers().at("running_mean"), "running_mean");
    running_var = get_tensor<Scalar>(this->own_buffers().at("running_var"), "running_var");
    num_batches_tracked =
        get_tensor<std::int64_t>(this->own_buffers().at("num_batches_tracked"), "num_batches_tracked");
  }

 private:
  T normalized(const T& input) const {
    if (!accepts_rank(input.rank()))
      throw ShapeError(this->type_name(),
                       concat("input has shape ", input.shape(), ", allowed ", accepted_shapes()));
    if (input.size(1) != options.num_features())
      throw ShapeError(this->type_name(), concat("input has ", input.size(1), " channels, num_features is ",
                                                 options.num_features()));
    ops::BatchNorm op;
    op.eps = options.eps();
    op.training = uses_batch_statistics();
    const bool moves = op.training && options.track_running_stats();
    if (moves)
      op.momentum = options.momentum().value_or(1.0 / static_cast<double>(num_batches_tracked.item() + 1));
    T out = op(input, weight, bias, running_mean, running_var);
    if (moves) ++*num_batches_tracked.mutable_data();
    return out;
  }

  bool frozen_ = false;
};

/// [N, C] or [N, C, L].
template <class Scalar>
class BasicBatchNorm1dImpl : public BasicBatchNorm<BasicBatchNorm1dImpl<Scalar>, Scalar> {
 public:
  using BasicBatchNorm<BasicBatchNorm1dImpl<Scalar>, Scalar>::BasicBatchNorm;
  std::string type_name() const override { return "BatchNorm1d"; }

 protected:
  bool accepts_rank(int rank) const override { return rank == 2 || rank == 3; }
  const char* accepted_shapes() const override { return "[N, C] and [N, C, L]"; }
};

/// [N, C, H, W].
template <class Scalar>
class BasicBatchNorm2dImpl : public BasicBatchNorm<BasicBatchNorm2dImpl<Scalar>, Scalar> {
 public:
  using BasicBatchNorm<BasicBatchNorm2dImpl<Scalar>, Scalar>::BasicBatchNorm;
  std::string type_name() const override { return "BatchNorm2d"; }

 protected:
  bool accepts_rank(int rank) const override { return rank == 4; }
  const char* accepted_shapes() const override { return "[N, C, H, W]"; }
};

using BatchNorm1dImpl = BasicBatchNorm1dImpl<float>;
using BatchNorm2dImpl = BasicBatchNorm2dImpl<float>;
MIDTREAD_MODULE(BatchNorm1d);
MIDTREAD_MODULE(BatchNorm2d);

MIDTREAD_NAMESPACE_END
