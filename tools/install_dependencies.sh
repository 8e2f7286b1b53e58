#!/usr/bin/env bash
# Installs with apt what building fast-dllm needs, and with --tests also what its tests need, on
# Debian 12 or 13. Does nothing when everything is there. Packages come from wherever this
# machine's apt looks. tools/fresh_machine.sh shows that nothing is missing here.
set -euo pipefail

packages=(g++ cmake ninja-build pkg-config
          nlohmann-json3-dev libcli11-dev libpcre2-dev libutf8proc-dev libfmt-dev
          libboost-dev)
case "${1:-}" in
  "") ;;
  --tests)
    packages+=(libgtest-dev libgmock-dev libboost-context-dev clang clang-tidy libclang-rt-dev ccache
               python3 python3-venv curl chromium) ;;
  *) echo "usage: $0 [--tests]" >&2; exit 2 ;;
esac
command -v dpkg-query apt-get > /dev/null || {
  echo "$0: this is no Debian (no apt-get); install by hand: ${packages[*]}" >&2
  exit 1
}

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2> /dev/null || true)
  [[ $status == installed* ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  echo "== All packages are installed already"
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  command -v sudo > /dev/null || {
    echo "$0: installing needs root or sudo; install by hand: ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }

echo "== Installing ${missing[*]}"
# A machine whose package lists are absent or older than the mirror's files needs fresh ones.
apt install --no-install-recommends --yes "${missing[@]}" > /dev/null 2>&1 || {
  apt update
  apt install --no-install-recommends --yes "${missing[@]}" > /dev/null
}
