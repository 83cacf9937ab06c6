# SPDX-License-Identifier: MIT
# Toolchain: Linux on AArch64 with Debian's cross compiler; programs run under qemu. QEMU_CPU=cortex-a53 (NEON),
# cortex-a76 (and dotprod) or max (and i8mm) in the environment chooses the CPU.
set(triple aarch64-linux-gnu)
set(emulator qemu-aarch64)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
