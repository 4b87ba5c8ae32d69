#!/usr/bin/env bash
# Makes .venv with everything ablasim needs, once: finds a Python that runs, installs what constraints.txt pins, tries to draw.
# Usage: bash .ci/bootstrap.sh [PYTHON]      PYTHON: the interpreter to use instead of searching for one
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV=.venv
readonly STAMP=$VENV/.installed
readonly EXTRAS=test,dolfinx
requested=${1:-}

say() { printf '%s\n' "$*" >&2; }

# Runs here and now, is 3.12 or later, final, 64 bits, with the GIL, and can make a virtual environment. A shim on the PATH may
# exist and fail, and Debian's python3 may come without ensurepip, so only an execution counts.
usable() {
  "$1" -I -c '
import sys, sysconfig
if sys.version_info < (3, 12) or sys.version_info.releaselevel != "final" or sys.maxsize < 2**32:
    sys.exit(1)
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
import ctypes, ensurepip, ssl, venv
' >/dev/null 2>&1 </dev/null
}

# 3.13 first: constraints.txt was made with it.
candidates() {
  local version dir
  for version in 3.13 3.12 3.14; do
    type -aP "python$version" || true
  done
  type -aP python3 python || true
  # Where version managers keep interpreters that are not on the PATH; a directory of shims has its versions beside it.
  local roots=("${PYENV_ROOT:-}" "${HOME:-/root}/.pyenv" /opt/pyenv /usr/local/pyenv)
  local IFS=:
  for dir in $PATH; do
    if [[ $dir == */shims ]]; then roots+=("${dir%/shims}"); fi
  done
  unset IFS
  for version in 3.13 3.12 3.14; do
    for dir in "${roots[@]}"; do
      if [[ -n $dir ]]; then newest_first "$dir/versions/$version"*/bin/python; fi
    done
    newest_first "${HOME:-/root}/.local/share/uv/python/cpython-$version".*/bin/python \
      "${HOME:-/root}/.asdf/installs/python/$version".*/bin/python \
      "/opt/python$version"*/bin/python3 "/opt/python/$version"*/bin/python3 "/opt/python/cp${version/./}-cp${version/./}/bin/python" \
      "/opt/homebrew/bin/python$version" "/usr/local/bin/python$version"
  done
  newest_first "${HOME:-/root}"/{miniforge3,mambaforge,miniconda3,anaconda3}/bin/python /opt/{conda,miniforge3}/bin/python
}

newest_first() {
  local path
  for path in "$@"; do
    if [[ -x $path ]]; then printf '%s\n' "$path"; fi
  done | sort -rV
}

find_python() {
  local path
  if [[ -n $requested ]]; then
    if usable "$requested"; then
      type -P "$requested"
      return
    fi
    say "PYTHON=$requested: does not run, is older than Python 3.12, or lacks the venv and ensurepip modules."
    return 1
  fi
  while IFS= read -r path; do
    if usable "$path"; then
      printf '%s\n' "$path"
      return
    fi
  done < <(candidates)
  say "No Python 3.12 or later that runs was found (python3 here is: $(python3 --version 2>&1 | head -n 1 || true))."
  return 1
}

explain_python() {
  say ""
  say "What to do, either of:"
  say "  make demo PYTHON=/path/to/python3.13        if a Python >= 3.12 is somewhere else on this machine"
  say "  conda env create -f environment.yml && conda activate ablasim && python -m pip install --no-deps -e ."
  say "                                              then: ablasim run scenarios/rf_beside_portal_vein.yaml -o out/demo"
  say "                                              and:  python -m pytest"
}

# What the installation depends on; the directory too, because the scripts in a .venv hold its absolute path.
fingerprint() {
  printf '%s %s %s\n' "$PWD" "$EXTRAS" "$(cat pyproject.toml constraints.txt | cksum)"
}

up_to_date() {
  [[ -f $STAMP && $(<"$STAMP") == "$(fingerprint)" ]] && "$VENV/bin/python" -c '' 2>/dev/null
}

install() {
  local python
  # A stamp that is there but old: the environment was complete once and can be brought up to date in place.
  if [[ -f $STAMP && $(<"$STAMP") == "$PWD $EXTRAS "* ]] && "$VENV/bin/python" -c '' 2>/dev/null; then
    say "Updating $VENV ..."
    rm -f "$STAMP"
  else
    python=$(find_python) || { explain_python; exit 1; }
    say "Making $VENV with $python ($("$python" --version)) ..."
    rm -rf "$VENV"
    "$python" -m venv "$VENV"
  fi
  say "Installing (2 GB with FEniCSx; one to several minutes the first time) ..."
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    -c constraints.txt -e ".[$EXTRAS]"
  check_drawing
  fingerprint >"$STAMP"
  say "$VENV is ready."
}

# Pictures need OpenGL libraries that no wheel brings; without them everything works except the pictures.
check_drawing() {
  "$VENV/bin/ablasim" doctor --only rendering >&2 || true
}

if up_to_date; then exit 0; fi

# Two calls at once: the second waits, then finds the work done.
if command -v flock >/dev/null; then
  exec 9>"$VENV.lock"
  flock 9
else
  until mkdir "$VENV.lock.d" 2>/dev/null; do sleep 1; done
  trap 'rmdir "$VENV.lock.d"' EXIT
fi
if ! up_to_date; then install; fi
