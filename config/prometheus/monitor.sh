#!/bin/sh
# `make monitor`: the demo under a real Prometheus and Alertmanager on loopback, then what it left, until interrupted.
set -eu
sarf=${1:-target/release/sarf}
home=${SARF_HOME:-var}
conf=$(cd "$(dirname "$0")" && pwd)
for tool in prometheus prometheus-alertmanager; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: install Debian's package of that name" >&2; exit 1; }
done
mkdir -p "$home/prometheus" "$home/alertmanager"
# As delivered, and the demo itself while it runs.
sed "s|sarf.rules.yml|$conf/sarf.rules.yml|; s|15s|5s|" "$conf/prometheus.yml" >"$home/prometheus.yml"
cat >>"$home/prometheus.yml" <<EOF
  - job_name: demo
    static_configs:
      - targets: ["127.0.0.1:9466"]
EOF
pids=
trap 'kill $pids 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
prometheus --config.file="$home/prometheus.yml" --storage.tsdb.path="$home/prometheus" --web.listen-address=127.0.0.1:9090 \
  --web.console.templates="$conf/consoles" 2>"$home/prometheus.log" &
pids="$pids $!"
prometheus-alertmanager --config.file="$conf/alertmanager.yml" --storage.path="$home/alertmanager" \
  --web.listen-address=127.0.0.1:9093 --cluster.listen-address= 2>"$home/alertmanager.log" &
pids="$pids $!"
cat <<EOF
the month     http://127.0.0.1:9090/consoles/month.html
Prometheus    http://127.0.0.1:9090/alerts
Alertmanager  http://127.0.0.1:9093
figures       http://127.0.0.1:9465/metrics (of the demo while it runs: 9466)
Ctrl-C ends all of it; logs lie in $home.
EOF
"$sarf" demo --households "${HOUSEHOLDS:-20000}" --metrics-addr 127.0.0.1:9466
"$sarf" --demo serve --listen 127.0.0.1:9464 --pages 127.0.0.1:9465 2>"$home/serve.log" &
pids="$pids $!"
wait
