#!/usr/bin/env bash
# Runs the README's commands on a machine where nothing was installed by hand: a bare Debian in a
# folder, which has git, the certificates and this repository's last commit, and nothing else.
#   tools/fresh_machine.sh bookworm|trixie [demo|test ...] [--keep] [--folder DIR]
#     demo, test   what to run: ./demo.sh, ./test.sh; default: both
#     --keep       leaves the folder as it is afterwards, to look at
#     --folder     makes the machine there instead of in a temporary folder
# Needs root and debootstrap. Of this machine it takes how apt and pip reach their packages: the
# mirror, their configuration, and certificates that were added to Debian's.
set -euo pipefail

usage() {
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

suite='' folder='' keep='' jobs=()
while (($#)); do
  case $1 in
    bookworm | trixie) suite=$1 ;;
    demo | test) jobs+=("$1") ;;
    --keep) keep=1 ;;
    --folder) shift; folder=${1:-} ;;
    *) usage ;;
  esac
  shift
done
[[ -n $suite ]] || usage
((${#jobs[@]})) || jobs=(demo test)

repository=$(cd "$(dirname "$0")/.." && pwd)
fail() { echo "$0: $1" >&2; exit 1; }
((EUID == 0)) || fail "needs root, to make a bare system and enter it"
command -v debootstrap > /dev/null || fail "needs debootstrap (apt-get install debootstrap)"

# The mirror that this machine's apt takes Debian itself from.
mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2> /dev/null |
  awk '$1 == "Debian" && $2 !~ /security/ { print $2; exit }')
[[ -n $mirror ]] || mirror=http://deb.debian.org/debian
security=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' \
  2> /dev/null | awk '$1 == "Debian" && $2 ~ /security/ { print $2; exit }')

if [[ -z $folder ]]; then
  folder=$(mktemp --directory --tmpdir="${TMPDIR:-/var/tmp}" fresh-machine.XXXXXX)
else
  mkdir --parents "$folder"
fi
# Whatever was mounted was mounted in a namespace that has ended by then.
[[ -n $keep ]] || trap 'rm --recursive --force --one-file-system "$folder"' EXIT

began=$SECONDS
echo "== A bare Debian ($suite) in $folder"
chmod 755 "$folder"
debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$folder" "$mirror" \
  > "$folder.log" 2>&1 || { tail -n 20 "$folder.log" >&2; fail "debootstrap failed"; }
rm --force "$folder.log"
{
  echo "deb $mirror $suite main"
  [[ -z $security ]] || echo "deb $security $suite-security main"
} > "$folder/etc/apt/sources.list"

# How apt and pip reach their packages here.
for file in /etc/resolv.conf /etc/hosts /etc/apt/apt.conf /etc/apt/auth.conf /etc/pip.conf; do
  [[ ! -f $file ]] || cp --dereference "$file" "$folder$file"
done
cp --recursive /etc/apt/apt.conf.d/. "$folder/etc/apt/apt.conf.d/"
if [[ -d $HOME/.config/pip ]]; then
  mkdir --parents "$folder/root/.config"
  cp --recursive "$HOME/.config/pip" "$folder/root/.config/"
fi
if compgen -G '/usr/local/share/ca-certificates/*.crt' > /dev/null; then
  cp /usr/local/share/ca-certificates/*.crt "$folder/usr/local/share/ca-certificates/"
  chroot "$folder" update-ca-certificates > /dev/null 2>&1
fi
environment=(HOME=/root TERM=xterm PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
while IFS='=' read -r name _; do
  case $name in
    CI | PIP_INDEX_URL | PIP_EXTRA_INDEX_URL | PIP_TRUSTED_HOST | PIP_DEFAULT_TIMEOUT | \
      PIP_RETRIES | http_proxy | https_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY)
      environment+=("$name=${!name}") ;;
  esac
done < <(env)

git -c safe.directory='*' clone --quiet --no-hardlinks "$repository" "$folder/root/fast-dllm"
commit=$(git -c safe.directory='*' -C "$repository" rev-parse HEAD)
git -c safe.directory='*' -C "$folder/root/fast-dllm" -c advice.detachedHead=false \
  checkout --quiet "$commit"
echo "== Made in $((SECONDS - began)) s: commit ${commit:0:12}"

# A root of its own instead of chroot: inside a chroot nobody may make the namespaces that a
# browser's sandbox and the tests of a process's limits are made of.
enter() {
  unshare --mount --propagation private --pid --fork --kill-child bash -euo pipefail -c '
    root=$1; shift
    mount --bind "$root" "$root"
    cd "$root"
    mount -t proc proc proc
    mount --rbind /dev dev
    mount -t tmpfs -o mode=1777 tmpfs dev/shm
    mkdir --parents .outside
    pivot_root . .outside
    cd /
    umount --lazy /.outside
    rmdir /.outside
    exec "$@"' bash "$folder" env --ignore-environment "${environment[@]}" "$@"
}

for job in "${jobs[@]}"; do
  began=$SECONDS
  echo "== ./$job.sh on Debian ($suite)"
  status=0
  enter bash -c "cd /root/fast-dllm && exec ./$job.sh" < /dev/null || status=$?
  if ((status != 0)); then
    fail "./$job.sh failed on a bare Debian ($suite) after $((SECONDS - began)) s, exit $status"
  fi
  # CTest's summary stays the last thing that a run prints.
  echo "$suite $job: $((SECONDS - began)) s" >> "${FRESH_MACHINE_TIMES:-/dev/null}"
  [[ $job == test ]] || echo "== ./$job.sh took $((SECONDS - began)) s"
done
