#!/usr/bin/env bash
# Runs "make demo" as a newcomer would and checks it: with an empty HOME but for the
# caches of parts and of Go, no input, and a folder of its own for temporary files.
#
#   scripts/demo-check.sh           the checks below
#   scripts/demo-check.sh --update  the same, and writes docs/demo.txt from the output
#
# It checks that the demo exits with 0, prints each headline once and the same ones as
# docs/demo.txt, and leaves behind no process, no listening port and no file.
set -euo pipefail
cd "$(dirname "$0")/.."

update=false
case "${1-}" in
--update) update=true ;;
"") ;;
*)
	echo "usage: scripts/demo-check.sh [--update]" >&2
	exit 2
	;;
esac

work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
mkdir "$work/home" "$work/tmp"
output=$work/output.txt
transcript=docs/demo.txt
cache=${XDG_CACHE_HOME:-$HOME/.cache}

fail() {
	echo "demo-check: $*" >&2
	exit 1
}

# headlines FILE: its headlines, without the time.
headlines() {
	sed -n 's/^\(== *[0-9]*\/[0-9]* .*[^=]\) ==* *[0-9N.]* s$/\1/p' "$1"
}

# The watcher makes itself the reaper of every process that the demo leaves behind: they
# become its children then, whatever session they made for themselves. So it sees all of
# the demo's and nothing of what else runs on the machine. A listening port without a
# process cannot be, but it is looked for all the same, by the demo's mark (its folder
# for temporary files) on processes that are younger than the demo.
watcher='
import ctypes, os, subprocess, sys, time

output, mark = sys.argv[1], sys.argv[2].encode()
ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def processes():
    """pid: (parent, state, start) of all."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if fields:
            found[int(pid)] = (int(fields[1]), fields[0], int(fields[19]))
    return found


def descendants():
    every, found, front = processes(), [], {os.getpid()}
    while front:
        front = {pid for pid, (parent, state, _) in every.items() if parent in front}
        found += [pid for pid in front if every[pid][1] != b"Z"]
    return found


def listening():
    """inode: port of every listening TCP socket."""
    found = {}
    for table in "/proc/net/tcp", "/proc/net/tcp6":
        for line in read(table).splitlines()[1:]:
            fields = line.split()
            if fields[3] == b"0A":
                found[fields[9]] = int(fields[1].rpartition(b":")[2], 16)
    return found


def is_marked(pid):
    try:
        folder = os.readlink(f"/proc/{pid}/cwd").encode()
    except OSError:
        folder = b""
    return any(mark in text for text in (read(f"/proc/{pid}/cmdline"), read(f"/proc/{pid}/environ"), folder))


def sockets(pid):
    found = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            if target.startswith("socket:["):
                found.add(target[8:-1].encode())
    except OSError:
        pass
    return found


begun, before = processes()[os.getpid()][2], set(listening())
with open(output, "wb") as out:
    code = subprocess.run(["make", "--no-print-directory", "demo"], stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
problems = [] if code == 0 else [f"make demo ended with {code}"]

# The go command starts a helper for its statistics now and then, which takes a moment.
deadline = time.monotonic() + 2
while descendants() and time.monotonic() < deadline:
    time.sleep(0.05)
left = set(descendants())
left |= {pid for pid, (_, state, start) in processes().items()
         if start >= begun and state != b"Z" and pid != os.getpid() and is_marked(pid)}
now = listening()
for pid in sorted(left):
    command = read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace")
    problems.append(f"process {pid} is left: {command}")
    problems += [f"port {now[inode]} of process {pid} is left" for inode in sockets(pid) & set(now) - before]
for problem in problems:
    print("demo-check:", problem, file=sys.stderr)
sys.exit(1 if problems else 0)
'

echo "Running make demo."
code=0
env -u MAKEFLAGS -u MAKELEVEL -u NO_COLOR \
	HOME="$work/home" TMPDIR="$work/tmp" XDG_CACHE_HOME="$cache" \
	GOMODCACHE="$(go env GOMODCACHE)" GOCACHE="$(go env GOCACHE)" GOPATH="$(go env GOPATH)" GOPROXY="$(go env GOPROXY)" \
	python3 -c "$watcher" "$output" "$work/tmp" </dev/null 2>"$work/problems" || code=$?
cat "$output"
cat "$work/problems" >&2
[ "$code" -eq 0 ] || exit 1

headlines "$output" >"$work/headlines"
[ -s "$work/headlines" ] || fail "it printed no headline"
repeated=$(sort "$work/headlines" | uniq -d)
[ -z "$repeated" ] || fail "printed twice: $repeated"
# The headlines number themselves: "== 3/11".
steps=$(sed -n '1s/^== *[0-9]*\/\([0-9]*\) .*/\1/p' "$work/headlines")
seq "$steps" >"$work/numbers"
sed 's/^== *\([0-9]*\)\/.*/\1/' "$work/headlines" | cmp -s - "$work/numbers" ||
	fail "the steps are not 1 to $steps: $(tr '\n' ';' <"$work/headlines")"

leftover=$(find "$work/tmp" -mindepth 1 -maxdepth 1 ! -name 'lambdamesh-ports-*')
[ -z "$leftover" ] || fail "files are left: $leftover"

if $update; then
	mkdir -p "$(dirname "$transcript")"
	sed -E \
		-e 's#^(== .*=) +[0-9.]+ s$#\1    N.N s#' \
		-e "s#$work/tmp#/tmp#g" -e "s#$cache/lambdamesh#~/.cache/lambdamesh#g" -e "s#$PWD#.#g" \
		-e 's#(/build/)[0-9a-f]{12}/#\1CHECKOUT/#' -e 's#(linux-)(amd64|arm64)#\1ARCH#g' -e 's#python3\.[0-9]+#python3#g' \
		-e 's#(127\.0\.0\.1|localhost):[0-9]+#\1:PORT#g' -e 's#process [0-9]+#process PID#g' \
		-e 's#[0-9]+\.[0-9] s( |\.|$)#N.N s\1#g' -e 's#[0-9]+\.[0-9] s([,:])#N.N s\1#g' \
		-e 's#took [0-9]+ updates?#took N updates#' -e 's#^( *)[0-9]+ calls reached#\1N calls reached#' \
		"$output" >"$transcript"
	echo "Wrote $transcript."
fi
[ -f "$transcript" ] || fail "$transcript is missing: scripts/demo-check.sh --update writes it"
headlines "$transcript" | diff - "$work/headlines" ||
	fail "the headlines differ from $transcript (<): scripts/demo-check.sh --update writes it anew"
echo "demo-check: all is well: $steps steps, nothing left behind."
