#!/bin/sh
# Starts a worker of one work pool that takes what waits there and ends, as a job of Slurm (docs/cluster.md).
#   pilot.sh cpu | gpu | train
# Options of sbatch: THINKLESS_SBATCH_CPU, THINKLESS_SBATCH_GPU, THINKLESS_SBATCH_TRAIN.
set -eu
case "${1:-}" in
    cpu) options=${THINKLESS_SBATCH_CPU:---partition=cpu} ;;
    gpu) options=${THINKLESS_SBATCH_GPU:---partition=gpu --gres=gpu:1} ;;
    train) options=${THINKLESS_SBATCH_TRAIN:---partition=gpu --gres=gpu:1} ;;
    *) echo "pilot.sh: got pool '${1:-}', expected cpu, gpu or train" >&2; exit 2 ;;
esac
# Called inside a job, it asks for a new one, which must not take the variables of this one for its own.
for name in $(env | sed -n 's/^\(SLURM_[A-Z_]*\)=.*/\1/p'); do
    [ "$name" = SLURM_CONF ] || unset "$name"
done
log=${THINKLESS_HOME:-.thinkless}/pilots
mkdir -p "$log"
# shellcheck disable=SC2086
exec sbatch --parsable $options --job-name="thinkless-$1" --output="$log/%j.log" \
    --wrap="exec prefect worker start --pool $1 --type process --run-once"
