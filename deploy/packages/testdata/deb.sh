#!/bin/sh
# Installs, uses, removes and purges the package, for real and as root, on a copy of this
# machine: what is written goes to a layer in memory above its files, the network is a
# loopback of its own, and all that was started ends with the script. Nothing is left.
#
#   unshare --mount --net --pid --fork --kill-child deb.sh DEB CONSUL PAGE
#
# PAGE has the commands of the install page, a line each; the last one purges. No init
# runs here: systemctl.sh does in its place what the unit says.
#
# Prints a line for each thing that holds; the first that does not is the end.
set -eu
deb=$1
consul=$2
page=$3

if [ "${4-}" != inside ]; then
	ip link set lo up
	mount -t tmpfs layer /mnt
	mkdir /mnt/upper /mnt/work /mnt/root
	mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
	mount --rbind /dev /mnt/root/dev
	mount -t proc proc /mnt/root/proc
	mount -t tmpfs tmp /mnt/root/run
	mkdir /mnt/root/package
	cp "$deb" /mnt/root/package/lambdamesh.deb
	cp "$consul" /mnt/root/package/consul
	cp "$0" /mnt/root/package/deb.sh
	cp "$page" /mnt/root/package/page
	cp "${0%/*}/systemctl.sh" /mnt/root/package/systemctl
	printf '#!/bin/sh\nexec "$@"\n' >/mnt/root/package/sudo
	chmod +x /mnt/root/package/systemctl /mnt/root/package/sudo
	exec chroot /mnt/root sh /package/deb.sh /package/lambdamesh.deb /package/consul /package/page inside
fi

fail() {
	echo "$*" >&2
	exit 1
}

holds() { # WHAT COMMAND...
	what=$1
	shift
	"$@" >/package/holds.log 2>&1 || { cat /package/holds.log >&2; fail "does not hold: $what"; }
	echo "$what"
}

not() { ! "$@"; }

is() { # FILE WANT: mode, owner and group
	[ "$(stat -c '%a %U:%G' "$1")" = "$2" ] || fail "$1 is $(stat -c '%a %U:%G' "$1")"
}

# as_service COMMAND...: with the rights that the unit leaves, in place of the shell.
as_service() {
	exec setpriv --reuid lambdamesh --regid lambdamesh --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
}

# until_holds WHAT COMMAND...: waits until it holds, at most 20 s.
until_holds() {
	what=$1
	shift
	tries=0
	until "$@" >/package/holds.log 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || { cat /package/holds.log /package/*mesh.log >&2; fail "does not come to hold: $what"; }
		sleep 0.1
	done
	echo "$what"
}

get() { curl --silent --show-error --fail "http://127.0.0.1:$1"; }

listens() { grep -q " 0100007F:$(printf %04X "$1") 00000000:0000 0A " /proc/net/tcp; }

unset TMPDIR
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
unit=/usr/lib/systemd/system/lambdamesh.service

holds "it installs" dpkg --install "$deb"
holds "the program is root's" is /usr/bin/lambdamesh "755 root:root"
holds "the folder is for its group alone" is /etc/lambdamesh "750 root:lambdamesh"
holds "so is the configuration" is /etc/lambdamesh/config.yaml "640 root:lambdamesh"
holds "its user can not log in" grep -q '^lambdamesh:.*:/nonexistent:/usr/sbin/nologin$' /etc/passwd
holds "the configuration is accepted, as that user" sh -c "exec setpriv --reuid lambdamesh --regid lambdamesh --clear-groups lambdamesh config check --config /etc/lambdamesh/config.yaml"
holds "another user may not read it" not setpriv --reuid 65534 --regid 65534 --clear-groups cat /etc/lambdamesh/config.yaml
# A deb of systemd 252 knows all that stands in it; a word that it does not know is said.
holds "the unit is well formed" sh -c "out=\$(systemd-analyze verify $unit 2>&1 | grep lambdamesh); echo \"\$out\"; [ -z \"\$out\" ]"
# 0 is no exposure and 10 is all of it. What is left: the network, and AF_UNIX.
holds "its exposure is at most 1.2" systemd-analyze security --offline=true --threshold=12 --no-pager $unit

setpriv --reuid 65534 --regid 65534 --clear-groups /package/consul agent -dev -log-level error >/package/consul.log 2>&1 &
until_holds "a Consul runs" get 8500/v1/catalog/nodes
# shellcheck disable=SC2046 # the words of the line
as_service $(sed -n 's/^ExecStart=//p' $unit) >/package/lambdamesh.log 2>&1 &
service=$!
until_holds "ExecStart's line is ready, as its user" get 8513/readyz
holds "it has no capability" grep -q '^CapBnd:.0*$' /proc/$service/status
holds "it has metrics" sh -c 'curl -s 127.0.0.1:8513/metrics | grep -q ^lambdamesh_xds_streams'
holds "it waits for Envoys" listens 8512
kill -HUP $service
until_holds "it reads its configuration again" grep "the configuration file was read again" /package/lambdamesh.log
kill -TERM $service
wait $service || fail "it ends with $?: $(cat /package/lambdamesh.log)"
echo "it ends with 0 at SIGTERM"

echo secret >/etc/lambdamesh/token
holds "it is removed" dpkg --remove lambdamesh
holds "the program and the unit are gone" not test -e /usr/bin/lambdamesh -o -e $unit
holds "the configuration stays" test -f /etc/lambdamesh/config.yaml -a -f /etc/lambdamesh/token
holds "it installs again" dpkg --install "$deb"
holds "over itself too, as at an upgrade" dpkg --install "$deb"
holds "it is purged" dpkg --purge lambdamesh
gone() {
	not sh -c 'ls -d /etc/lambdamesh /usr/share/doc/lambdamesh /usr/bin/lambdamesh 2>/dev/null || getent passwd lambdamesh || getent group lambdamesh || dpkg --status lambdamesh'
}
holds "nothing is left" gone

# The page, with systemd running as far as the package can see.
export PATH=/package:$PATH
mkdir -p /run/systemd/system
cd /package
cp "$deb" "$(sed -n 's/.*dpkg --install //p' page)"
echo secret >token
sed '$d' page >commands
holds "the page's commands work" sh -eu commands
cp /package/holds.log /package/page.log
holds "and lead to a service that is ready" grep -qx ok /package/page.log
holds "its token is for its group alone" is /etc/lambdamesh/token "640 root:lambdamesh"
before=$(cat /package/service)
holds "an upgrade" dpkg --install "$deb"
holds "starts a running service again" not [ "$before" = "$(cat /package/service)" ]
holds "and keeps what was changed in the configuration" grep -q '^consul-token-file' /etc/lambdamesh/config.yaml
holds "the page's last command works" sh -eux -c "$(tail -n 1 page)"
holds "the service has ended" not test -e "/proc/$(cat /package/service)"
holds "nothing is left" gone
