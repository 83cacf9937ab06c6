# SPDX-License-Identifier: MIT
# What the toolchain files share, for ${triple} and ${emulator}. Header-only packages are the host's own.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_CXX_COMPILER ${triple}-g++ CACHE STRING "")
set(CMAKE_CROSSCOMPILING_EMULATOR "${emulator};-L;/usr/${triple}" CACHE STRING "")

set(CMAKE_FIND_ROOT_PATH /usr/${triple})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
