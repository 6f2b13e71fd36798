#!/bin/sh
# Installs what tests/cluster need on Debian, as root; ends with an error where this machine cannot have two nodes.
set -eu
for program in slurmctld slurmd munged ip; do
    command -v "$program" >/dev/null && continue
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends slurm-wlm munge iproute2
    break
done
{ unshare --net --uts --mount true && ip netns add thinkless-try && ip netns del thinkless-try; } || { echo "this user may not make namespaces of network, host name and mounts" >&2; exit 1; }
