# SPDX-License-Identifier: MIT
# Sourced by tests/run.sh and examples/run.sh. They set $root, the top of the source tree.

# need PACKAGE...: installs the Debian packages that are missing. Where it may not, prints the line to run and exits 3.
need() {
  if ! command -v dpkg-query > /dev/null 2>&1; then
    echo "not a Debian system: taking it that these are there in some form: $*" >&2
    return 0
  fi
  missing=
  for package in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null) in
      installed*) ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ -n "$missing" ] || return 0

  if [ "$(id -u)" = 0 ]; then
    as_root=env
  elif command -v sudo > /dev/null 2>&1 && { sudo -n true 2> /dev/null || [ -t 0 ]; }; then
    as_root=sudo
  else
    echo "Some packages are missing, and this needs root. Run:" >&2
    echo "apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 3
  fi
  echo "installing:$missing" >&2
  $as_root apt-get -q update >&2 &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing >&2 || {
    echo "error: apt-get could not install:$missing" >&2
    exit 3
  }
}

# build_root: prints a writable directory for build trees: $MIDTREAD_BUILD_DIR, else build/ in the source tree, else
# one in the user's cache.
build_root() {
  for directory in "${MIDTREAD_BUILD_DIR:-$root/build}" \
    "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/midtread-$(printf '%s' "$root" | cksum | cut -d ' ' -f 1)"; do
    if mkdir -p "$directory" 2> /dev/null && [ -w "$directory" ]; then
      (cd "$directory" && pwd)
      return 0
    fi
  done
  mktemp -d
}

# configure BUILD_DIR CMAKE_ARGUMENT...: a Release tree; starts afresh when it was made for another source tree.
configure() {
  directory=$1
  shift
  cache=$directory/CMakeCache.txt
  if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then rm -rf "$directory"; fi
  cmake -S "$root" -B "$directory" -DCMAKE_BUILD_TYPE=Release "$@"
}

jobs() { nproc 2> /dev/null || echo 1; }
