#!/usr/bin/env bash
# Everything here that needs a GPU, the most valuable first, in at most 9 minutes:
#
#   PEER="python examples/dcgan/main.py …" benchmarks/gpu.sh OUT
#
# Run it after `dvc repro extractor` with data.source cifar10. OUT gets a file for each part as it ends;
# a part that fails or takes too long does not stop the others. PEER is a script to compare with
# (benchmarks/README.md); without it, the textbook step alone. On a CPU, `DEVICE=cpu benchmarks/gpu.sh OUT`
# tries the script itself, in small, without the tests; its figures mean nothing.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: benchmarks/gpu.sh OUT}
device=${DEVICE:-cuda}
mkdir -p "$out"
failed=0

part() { # NAME SECONDS COMMAND...: run it for so long at most, keep what it prints
  local name=$1 limit=$2 began=$SECONDS status=0
  shift 2
  [ "$device" = cuda ] || limit=600
  timeout --kill-after=5 "$limit" "$@" > "$out/$name.txt" 2>&1 || status=$?
  [ "$status" = 0 ] || failed=$((failed + 1))
  echo "$name: status $status after $((SECONDS - began)) s" | tee -a "$out/summary.txt"
}

if [ "$device" = cuda ]; then
  size=(--base-channels 64 --steps 50 --rounds 5) roof=(--base-channels 64 --batch 1024) seconds=40 steps=100
  sizes=(64 32) wide=128 narrow=() recipes=()
else
  size=(--base-channels 4 --steps 2 --rounds 1) roof=(--base-channels 4 --batch 16) seconds=1 steps=1
  sizes=(32) wide=8 narrow=(--set network.base_channels=4) recipes=(--recipe recipes/digits.yaml)
fi
peer=(${PEER:+--peer "$PEER"})
run=(python -m benchmarks.speedrun --device "$device" --seconds "$seconds" --seeds 1 --out "$out/speedrun.csv" "${narrow[@]}")

[ "$device" = cpu ] || part tests 100 python -m pytest -q -n 0 -m gpu tests/training/test_gpu.py
for pixels in "${sizes[@]}"; do
  part "throughput-$pixels" 60 python -m benchmarks.throughput --device "$device" --image-size "$pixels" \
    --batch 64 "${size[@]}" "${peer[@]}" --out "$out/throughput-$pixels"
done
part roofline 30 python -m benchmarks.roofline --device "$device" --image-size "${sizes[0]}" "${roof[@]}"
part speedrun 70 "${run[@]}"
part speedrun-wide 70 "${run[@]}" --name "$wide channels" --set network.base_channels="$wide"
part speedrun-residual 70 "${run[@]}" --name residual --set network.architecture=residual
part recipes 80 python -m benchmarks.recipes --device "$device" --steps "$steps" "${recipes[@]}" --out "$out/recipes.csv"
[ "$failed" = 0 ] || { echo "$failed parts failed; their output is in $out" >&2; exit 1; }
