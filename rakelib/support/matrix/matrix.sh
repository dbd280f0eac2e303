#!/usr/bin/env bash
# Runs every spec on each Ruby that the gem is tested with, and prints a table. `rake matrix` starts it. Each Ruby has a
# Debian of its own in a folder, which is made once and then reused.
#
#     matrix.sh [--setup-only] [RUBY …]
#
# The Rubies are 3.1 (Debian 12), 3.3 (Debian 13) and 3.4 (Debian 13 with the Ruby of experimental). `--setup-only` makes
# the folders and runs nothing. `AIKIDO_ZEN_IPC_MATRIX` is the directory of the folders, by default target/matrix.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

declare -A debian_release=([3.1]=bookworm [3.3]=trixie [3.4]=trixie)

matrix_directory=$(realpath --canonicalize-missing "${AIKIDO_ZEN_IPC_MATRIX:-target/matrix}")
setup_only=
if [[ ${1:-} == --setup-only ]]; then
  setup_only=1
  shift
fi
rubies=("$@")
[[ ${#rubies[@]} != 0 ]] || rubies=(3.1 3.3 3.4)

main() {
  local ruby root status=0 rows=()
  require_host
  for ruby in "${rubies[@]}"; do
    root=$matrix_directory/ruby-$ruby
    cmp --silent bin/setup "$root/.made_by" || make_root "$ruby" "$root"
    [[ -n $setup_only ]] || run_specs "$ruby" "$root" || status=1
    [[ -n $setup_only ]] || rows+=("$(table_row "$ruby" "$root")")
  done
  [[ -n $setup_only ]] || print_table "${rows[@]}"
  return "$status"
}

require_host() {
  local ruby
  for ruby in "${rubies[@]}"; do
    [[ -v debian_release[$ruby] ]] || fail "unknown Ruby: $ruby"
  done
  if [[ $(id -u) != 0 || -z $(debian_mirror) ]] || ! command -v debootstrap >/dev/null ||
    ! command -v cargo >/dev/null; then
    fail "needs Debian, root, debootstrap (bin/setup --matrix installs it), and Rust from rustup"
  fi
}

fail() {
  say "$1"
  exit 1
}

# Prints the mirror that this machine's apt uses.
debian_mirror() {
  apt-get indextargets --format '$(SITE)' \
    'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' 2>/dev/null | sort -u | head -n 1
}

# Makes the folder of a Ruby. An interrupted folder is made anew, and so is each folder after a change of bin/setup, which
# may install something else.
make_root() {
  local ruby=$1 root=$2
  say "$ruby: making $root"
  mkdir -p "$matrix_directory"
  [[ ! -e $root ]] || rm -r --one-file-system "$root"
  debootstrap --variant=minbase "${debian_release[$ruby]}" "$root" "$(debian_mirror)" >"$root.log"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  echo "127.0.0.1 localhost" >>"$root/etc/hosts"
  copy_project "$root"
  inside "$root" 'apt-get install -qq --yes --no-install-recommends ca-certificates && bin/setup --specs' >>"$root.log"
  [[ $ruby != 3.4 ]] || add_ruby_3_4 "$root" >>"$root.log"
  cp bin/setup "$root/.made_by"
}

# Installs Ruby 3.4 beside the release's own Ruby, whose packages bring the gems that are the same for every Ruby, and then
# puts it in that Ruby's place. An outdated mirror will do, because its packages are signed all the same. No package has
# the extensions of Puma and Unicorn for Ruby 3.4, so specs that need them are skipped.
add_ruby_3_4() {
  local root=$1 mirror
  mirror=$(debian_mirror)
  echo "deb [check-valid-until=no] $mirror experimental main" >"$root/etc/apt/sources.list.d/experimental.list"
  inside "$root" "apt-get update -qq &&
    apt-get install -qq --yes --no-install-recommends --target-release experimental ruby3.4 ruby3.4-dev &&
    dpkg-divert --local --rename --add /usr/bin/ruby && ln -s ruby3.4 /usr/bin/ruby"
}

# Runs the specs in a copy of the project. Their outcome is in tmp/matrix.json of the copy.
run_specs() {
  local ruby=$1 root=$2
  say "$ruby: running the specs"
  copy_project "$root"
  rm -f "$root/project/tmp/matrix.json"
  inside "$root" 'ruby -S rake --silent compile cases &&
    ruby -S rspec --format progress --format json --out tmp/matrix.json' >&2
}

# Copies the project into a folder, so that builds for different Rubies do not mix. `target` and `tmp` of the last run stay.
copy_project() {
  local project=$1/project
  mkdir -p "$project/tmp"
  find "$project" -mindepth 1 -maxdepth 1 ! -name target ! -name tmp -exec rm -r {} +
  git ls-files -z --cached --others --exclude-standard |
    tar --create --null --ignore-failed-read --files-from - | tar --extract --directory "$project"
  # The cases lie beside the project, as here.
  rm -rf "$1/shared"
  [[ ! -d ../shared/cases ]] || { mkdir "$1/shared" && cp -r ../shared/cases "$1/shared/"; }
}

# Runs a shell command in a folder's copy of the project. The mounts end with the command.
inside() {
  mkdir -p "$1/root/.cargo" "$1/root/.rustup"
  CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} unshare --mount bash -euc '
    mount --bind "$CARGO_HOME" "$0/root/.cargo"
    mount --bind "$RUSTUP_HOME" "$0/root/.rustup"
    mount -t proc proc "$0/proc"
    mount --rbind /dev "$0/dev"
    mount --rbind /sys "$0/sys"
    exec chroot "$0" /usr/bin/env --ignore-environment HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
      PATH=/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      bash -c "cd /project && $1"
  ' "$1" "$2" </dev/null
}

print_table() {
  printf '%s\n' \
    '| Ruby | Puma | Unicorn | Rails | examples | failures | pending | seconds |' \
    '|---|---|---|---|---|---|---|---|' "$@"
}

table_row() {
  inside "$2" 'ruby rakelib/support/matrix/table_row.rb' 2>/dev/null || echo "| $1 | did not run |"
}

say() {
  echo "matrix: $*" >&2
}

main "$@"
