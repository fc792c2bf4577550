# shellcheck shell=sh
# shellcheck disable=SC2034 # used by those who source it
# Shared by the scripts in this folder, which source it; POSIX sh.
# Every step that can fail says which it is, why, and what to do about it.

root=$(cd "$(dirname "$0")/.." && pwd)
parts=${REFKEY_PARTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/refkey}

step=start
remedy='see the lines above'

# begin STEP REMEDY: names what comes next, for `fail` and `quietly`.
begin() {
	step=$1
	remedy=$2
}

say() {
	printf 'refkey: %s\n' "$*" >&2
}

# fail WHY: ends the script.
fail() {
	say "step '$step' failed: $1; do: $remedy"
	exit 1
}

# quietly COMMAND…: runs it with its output kept back; when it fails, the end
# of the output is the reason.
quietly() {
	attempt "$@" || give_up "$@"
}

# patiently COMMAND…: as quietly, for what asks others, who may be busy or away for a
# while (a registry, a lock of the system's): tried up to five times, in half a minute.
patiently() {
	for pause in 1 3 9 20; do
		attempt "$@" && return 0
		say "'$*' ended with $quiet_code; trying again in $pause s"
		rm -f "$quiet_log"
		sleep "$pause"
	done
	quietly "$@"
}

attempt() {
	quiet_log=$(mktemp)
	quiet_code=0
	"$@" >"$quiet_log" 2>&1 </dev/null || quiet_code=$?
	[ "$quiet_code" -eq 0 ] && rm -f "$quiet_log"
}

give_up() {
	tail -n 25 "$quiet_log" | sed 's/^/    /' >&2
	rm -f "$quiet_log"
	fail "'$*' ended with $quiet_code"
}

# key FILE…: short hash of their contents; names an installation in $parts, so
# that a changed lock file makes a new one.
key() {
	cat "$@" | sha256sum | cut -c1-12
}

# lock NAME: two runs at once must not build the same part; held until exit.
lock() {
	mkdir -p "$parts" || fail "cannot create $parts"
	exec 9>"$parts/$1.lock"
	flock -n 9 && return 0
	say "waiting for another run to finish '$step'"
	flock 9
}

# as_root COMMAND…
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		fail "not root, and no sudo"
	fi
}
