// SPDX-License-Identifier: MIT
// LSQ+, a learned step size and a learned offset (2004.09576). The zero point in force is the offset's,
// rounded, so that zero keeps a code.
//
//   z = clamp(rne(-o / s), lo, hi)    ds = g sum dy * { (y - x) / s inside; lo below; hi above }
//   do = g sum dy outside             start: s, o of an affine observer; weights s = max|m +- 3 sd| / 2^(b-1)
#pragma once

#include <midtread/quant/lsq.hpp>

MIDTREAD_NAMESPACE_BEGIN(quant)

/// An affine spec learns scale and offset. A symmetric one, weights, learns the scale only, from three_sigma
/// unless `init` says otherwise.
template <class ObserverType>
class LsqPlus : public LsqBase {
 public:
  using Observer = ObserverType;
  using Spec = typename Observer::Spec;
  using Options = LsqOptions<LsqPlus>;
  static constexpr bool kMemorylessWeight = Observer::kMemorylessWeight;
  static constexpr bool kOffset = true;
  static constexpr const char* kName = "lsq_plus";

  /// Throws ConfigError on options that do not fit.
  explicit LsqPlus(const LsqSettings& settings = {})
      : LsqBase(make_observer<Observer>(settings), settings, true) {
    if (Spec::kSymmetric && !settings.init) set_init(ScaleInit::kThreeSigma);
  }
  std::string type_name() const override { return "LsqPlus"; }

 protected:
  Pointer shallow_copy() const override { return Pointer(new LsqPlus(*this)); }
};

MIDTREAD_NAMESPACE_END
