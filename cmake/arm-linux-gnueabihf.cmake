# SPDX-License-Identifier: MIT
# Toolchain: Linux on 32-bit ARM (ARMv7, hard float) with Debian's cross compiler; programs run under qemu.
# QEMU_CPU=cortex-a7 or cortex-a15 in the environment chooses the CPU.
set(triple arm-linux-gnueabihf)
set(emulator qemu-arm)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
