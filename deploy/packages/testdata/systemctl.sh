#!/bin/sh
# Stands in for systemctl where no init runs: it knows one unit, starts what that unit
# says as its user and with the rights that it leaves, waits until it is ready, and ends
# it. Its pid is in /package/service.
set -eu
unit=/usr/lib/systemd/system/lambdamesh.service

start() {
	# shellcheck disable=SC2046 # the words of the line
	setsid setpriv --reuid lambdamesh --regid lambdamesh --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
		$(sed -n 's/^ExecStart=//p' $unit) </dev/null >/package/lambdamesh.log 2>&1 &
	echo $! >/package/service
	tries=0
	until curl --silent --fail 127.0.0.1:8513/readyz >/package/ready; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || { cat /package/lambdamesh.log >&2; exit 1; }
		sleep 0.1
	done
}

stop() {
	kill "$(cat /package/service)"
	timeout 30 tail --pid="$(cat /package/service)" -f /dev/null
}

case "$*" in
daemon-reload) ;;
"enable --now lambdamesh") start ;;
"try-restart lambdamesh.service") if [ -e /package/service ]; then stop && start; fi ;;
"disable --now lambdamesh.service") stop ;;
*)
	echo "systemctl $* is not known here" >&2
	exit 1
	;;
esac
