// SPDX-License-Identifier: MIT
// The NEON intrinsics; on ARMv7, by their AArch64 names, those that it lacks and the kernels use.
#pragma once

#include <midtread/kernels/target.hpp>

#include <cstdint>

#if MIDTREAD_NEON
#include <arm_neon.h>
#endif

#if MIDTREAD_NEON && MIDTREAD_ARM32

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)
MIDTREAD_NEON_BEGIN

MIDTREAD_ALWAYS_INLINE int16x8_t vmull_high_s8(int8x16_t a, int8x16_t b) {
  return vmull_s8(vget_high_s8(a), vget_high_s8(b));
}
MIDTREAD_ALWAYS_INLINE int16x8_t vmlal_high_s8(int16x8_t sum, int8x16_t a, int8x16_t b) {
  return vmlal_s8(sum, vget_high_s8(a), vget_high_s8(b));
}
MIDTREAD_ALWAYS_INLINE int32x4_t vaddw_high_s16(int32x4_t sum, int16x8_t a) {
  return vaddw_s16(sum, vget_high_s16(a));
}
MIDTREAD_ALWAYS_INLINE uint32x4_t vaddw_high_u16(uint32x4_t sum, uint16x8_t a) {
  return vaddw_u16(sum, vget_high_u16(a));
}
MIDTREAD_ALWAYS_INLINE uint16x8_t vaddw_high_u8(uint16x8_t sum, uint8x16_t a) {
  return vaddw_u8(sum, vget_high_u8(a));
}
MIDTREAD_ALWAYS_INLINE uint16x8_t vsubl_high_u8(uint8x16_t a, uint8x16_t b) {
  return vsubl_u8(vget_high_u8(a), vget_high_u8(b));
}
MIDTREAD_ALWAYS_INLINE int32x4_t vmovl_high_s16(int16x8_t a) { return vmovl_s16(vget_high_s16(a)); }
MIDTREAD_ALWAYS_INLINE uint32x4_t vmovl_high_u16(uint16x8_t a) { return vmovl_u16(vget_high_u16(a)); }
MIDTREAD_ALWAYS_INLINE uint16x8_t vmovl_high_u8(uint8x16_t a) { return vmovl_u8(vget_high_u8(a)); }
MIDTREAD_ALWAYS_INLINE int16x8_t vqmovn_high_s32(int16x4_t low, int32x4_t high) {
  return vcombine_s16(low, vqmovn_s32(high));
}
MIDTREAD_ALWAYS_INLINE uint8x16_t vqmovun_high_s16(uint8x8_t low, int16x8_t high) {
  return vcombine_u8(low, vqmovun_s16(high));
}
/// The low halves of 32-bit lanes.
MIDTREAD_ALWAYS_INLINE int16x8_t low_halves(int32x4_t a, int32x4_t b) {
  return vcombine_s16(vmovn_s32(a), vmovn_s32(b));
}
MIDTREAD_ALWAYS_INLINE int64x2_t vzip1q_s64(int64x2_t a, int64x2_t b) {
  return vcombine_s64(vget_low_s64(a), vget_low_s64(b));
}
MIDTREAD_ALWAYS_INLINE int64x2_t vzip2q_s64(int64x2_t a, int64x2_t b) {
  return vcombine_s64(vget_high_s64(a), vget_high_s64(b));
}

/// The greater one, `b` where `a` is NaN; `b` is a number.
MIDTREAD_ALWAYS_INLINE float32x4_t vmaxnmq_f32(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}

/// Half to even of numbers held to +-2^20: callers saturate to int16 next. ARMv7 only truncates; a sum with
/// 1.5 * 2^23 has its last bit at 1.
MIDTREAD_ALWAYS_INLINE int32x4_t vcvtnq_s32_f32(float32x4_t a) {
  const float32x4_t held = vmaxq_f32(vminq_f32(a, vdupq_n_f32(0x1p20f)), vdupq_n_f32(-0x1p20f));
  const float32x4_t sum = vaddq_f32(held, vdupq_n_f32(0x1.8p23f));
  return vsubq_s32(vreinterpretq_s32_f32(sum), vdupq_n_s32(0x4B400000));
}

MIDTREAD_NEON_END
MIDTREAD_NAMESPACE_END

#elif MIDTREAD_NEON

MIDTREAD_NAMESPACE_BEGIN(kernels::qnnpack)
MIDTREAD_NEON_BEGIN

MIDTREAD_ALWAYS_INLINE int16x8_t low_halves(int32x4_t a, int32x4_t b) {
  return vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
}

MIDTREAD_NEON_END
MIDTREAD_NAMESPACE_END

#endif
