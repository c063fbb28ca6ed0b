#!/bin/sh
# The gate of a driver's CI: the image from the last job, the run, what the CI shows of it, the image for the next job.
# It ends as the run does. Settings come as variables, so that nothing of them is read by a shell:
#   DRIVER     an adapter's name or file                        OUT       the directory of the results; out
#   SCENARIOS  files or directories, apart by blanks            IMAGE     the kept image; image.tar.gz
#   GUEST      a guest's name or file; debian12                 BASELINE  the failures that are known; none
#   MAX_TIME   5m, 1h; no limit                                 SELECT    an expression for -k; all
#   WORKERS    trials side by side; 2                           SHARD     K/N; the whole
set -eu
: "${DRIVER:?name the driver, as DRIVER}"
OUT=${OUT:-out} IMAGE=${IMAGE:-image.tar.gz} GUEST=${GUEST:-debian12}

if [ -e "$IMAGE" ]; then
    crashinit image import "$IMAGE" || echo "the kept image is not used, and a new one is built" >&2
fi
set -- --driver "$DRIVER" --guest "$GUEST" --out "$OUT" --force -n "${WORKERS:-2}"
[ -z "${BASELINE:-}" ] || set -- "$@" --baseline "$BASELINE"
[ -z "${MAX_TIME:-}" ] || set -- "$@" --max-time "$MAX_TIME"
[ -z "${SELECT:-}" ] || set -- "$@" -k "$SELECT"
[ -z "${SHARD:-}" ] || set -- "$@" --shard "$SHARD"
status=0
# shellcheck disable=SC2086  # several scenarios are several words
crashinit run ${SCENARIOS:-} "$@" || status=$?

if [ -e "$OUT/results.jsonl" ]; then
    set -- --format summary --format badge --format sarif
    [ -z "${GITHUB_ACTIONS:-}" ] || set -- "$@" --format github
    crashinit report "$OUT" "$@"
    [ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$OUT/summary.md" >> "$GITHUB_STEP_SUMMARY"
    [ -e "$IMAGE" ] || crashinit image export "$GUEST" "$IMAGE" || true
fi
exit "$status"
