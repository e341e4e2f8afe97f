#!/usr/bin/env bash
# All that has to be seen on a real GPU, in one call of less than ten minutes: the
# conformance suite and the tests of the devices, training against PyTorch's numbers
# and the CPU's, and bench beside the machine's PyTorch. It goes on where something
# fails, gives each part its time, the most important first, and writes report.md,
# log.txt and bench's JSON to a folder.
#
#	bench/gpu.sh [FOLDER]        run all; the folder is $OUT or ./gpu-report otherwise
#	bench/gpu.sh build FOLDER    build the programs for a machine without Go
#
# A machine without Go needs this tree and the programs, which lie in .gpu or in the
# folder that WICK_GPU_BIN names:
#
#	eval "$(go run ./cmd/cudaenv)"; bench/gpu.sh build .gpu    # here
#	bench/gpu.sh "$OUT"                                        # there
#
# Of the environment: WICK_GPU_PYTHON is an interpreter with torch and the libraries
# of CUDA (python3), WICK_GPU_SECONDS the time for all parts (570), WICK_GPU_PARTS the
# parts to run, by name (all). WICK_GPU_SMALL=1 runs all of it small on the simulated
# driver, to see that it works: WICK_GPU_SIM is the driver's folder, which without it
# is built.
set -uo pipefail
cd "$(dirname "$0")/.."

python=${WICK_GPU_PYTHON:-python3}
small=${WICK_GPU_SMALL:-}

# build FOLDER builds the programs.
build() {
  local dir=$1
  local failed=0
  for package in internal/cuda tensor models datasets trainer; do
    [ -e "$package/cuda_test.go" ] || continue
    go test -c -tags cuda -ldflags='-s -w' -o "$dir/$(basename "$package").test" "./$package" || failed=1
  done
  for program in bench examples/cifar10 cmd/wick; do
    [ -d "$program" ] || continue
    go build -tags cuda -ldflags='-s -w' -o "$dir/$(basename "$program")" "./$program" || failed=1
  done
  return $failed
}

# With "build" they are packed, small enough to be carried.
programs=$(mktemp -d) tables=$(mktemp)
trap 'rm -rf "$programs" "$tables"' EXIT
if [ "${1:-}" = build ]; then
  [ $# = 2 ] || { echo "usage: bench/gpu.sh build FOLDER"; exit 2; }
  build "$programs" && mkdir -p "$2" && tar -C "$programs" -czf "$2/programs.tar.gz" . && du -h "$2/programs.tar.gz"
  exit
fi

out=${1:-${OUT:-gpu-report}}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit
bin=$programs
end=$((SECONDS + ${WICK_GPU_SECONDS:-570}))
report=$out/report.md log=$out/log.txt
: >"$log"
failures=0

say() { printf '%s\n' "$*" | tee -a "$report"; }

# chosen NAME tells whether a part is to run.
chosen() { [ -z "${WICK_GPU_PARTS:-}" ] || [[ " $WICK_GPU_PARTS " == *" $1 "* ]]; }

# limited SECONDS COMMAND... runs a command for so long at most, and not beyond the end of all.
limited() {
  local most=$1
  shift
  [ $most -le $((end - SECONDS)) ] || most=$((end - SECONDS))
  [ $most -ge 5 ] || { echo "no time is left"; return 124; }
  timeout -k 5 "$most" "$@"
}

# outcome STATUS names how a command ended.
outcome() {
  case $1 in
    0) echo pass ;;
    124 | 137) echo "FAIL (out of time)" ;;
    *) echo "FAIL (exit $1)" ;;
  esac
}

# note NAME STATUS SECONDS writes a line of the table of parts.
note() {
  [ "$2" = 0 ] || failures=$((failures + 1))
  say "| $1 | $(outcome "$2") | $3 s |${4:+ $4}"
}

# culprit FILE prints the test that ended a run or lost the device, if one did.
culprit() {
  awk '
    /^ *=== RUN / { run = $3 }
    /^ *--- FAIL: / { failed = $3 }
    /is lost to this process/ { if (!lost) lost = run }
    /^(panic: |fatal error: |SIG[A-Z]+: )/ { print failed ? failed : run; found = 1; exit }
    END { if (!found && lost) print lost }' "$1"
}

# tests NAME SECONDS FOLDER PATTERN [WITHOUT] runs a package's tests in its folder. A
# test that ends the program, or loses the device, is left out and the rest runs again;
# with the second of a family, all of it is.
tests() {
  local name=$1 most=$2 folder=$3 pattern=$4 skip=${5:-}
  local program=$bin/$(basename "$folder").test
  chosen "$name" && [ -x "$program" ] || return 0
  local began=$SECONDS file status=0 bad=() test family families=''
  file=$(mktemp)
  for _ in {1..10}; do
    (cd "$folder" && limited "$most" "$program" -test.v -test.short="${short:-false}" -test.run "$pattern" -test.skip "${skip:-^$}") >"$file" 2>&1
    status=$?
    { echo "=== $name${skip:+, without $skip}"; cat "$file"; } >>"$log"
    test=$(culprit "$file")
    [ -n "$test" ] && [ $status != 0 ] && [ $status != 124 ] || break
    bad+=("$test")
    family=$(cut -d/ -f1-2 <<<"$test")
    [[ " $families " != *" $family "* ]] || test=$family
    families+=" $family"
    skip+="${skip:+|}^$(sed -e 's/[][\.*^$()+?{}|]/\\&/g' -e 's:/:$/^:g' <<<"$test")\$"
  done
  [ ${#bad[@]} = 0 ] || status=1
  note "$name" $status $((SECONDS - began)) "$(grep -c '^--- PASS' "$file") tests passed, $(grep -cE '^ *--- PASS' "$file") with their parts, $(grep -cE '^ *--- FAIL' "$file") failed, $(grep -cE '^ *--- SKIP' "$file") were skipped |"
  for test in "${bad[@]}"; do say "|   | $test ended the program or lost the device | | |"; done
  grep -E '^ *--- FAIL' "$file" | sed 's/^ */|   | /; s/$/ | | |/' | head -40 | tee -a "$report"
  rm -f "$file"
}

# measured NAME SECONDS FLAGS... runs bench and puts its table below.
measured() {
  local name=$1 most=$2
  shift 2
  chosen "$name" || return 0
  local began=$SECONDS file status
  file=$(mktemp)
  limited "$most" "$bin/bench" -python "$python" -device cuda "${benchflags[@]}" -json "$out/$name.json" "$@" >"$file" 2>&1
  status=$?
  { echo "=== $name: bench -device cuda $*"; cat "$file"; } >>"$log"
  note "$name" $status $((SECONDS - began)) "$(grep -c 'failed: ' "$file") rows failed |"
  { printf '\n%s: `bench -device cuda %s`\n\n```\n' "$name" "$*"; cat "$file"; echo '```'; } >>"$tables"
  rm -f "$file"
}

# says NAME SECONDS STATUS SENTENCE COMMAND... wants a command to end in a way and to say something.
says() {
  local name=$1 most=$2 want=$3 sentence=$4
  shift 4
  chosen "$name" || return 0
  local began=$SECONDS file status
  file=$(mktemp)
  limited "$most" "$@" >"$file" 2>&1
  status=$?
  { echo "=== $name: $*"; cat "$file"; } >>"$log"
  if [ $status = "$want" ] && grep -qE -- "$sentence" "$file"; then status=0; else status=$((status ? status : 1)); fi
  note "$name" $status $((SECONDS - began)) "$(tail -n 1 "$file" | tr '|\r' '/ ' | cut -c 1-200) |"
  rm -f "$file"
}

# The programs, and what they find their libraries with.
if command -v go >/dev/null && [ -z "${WICK_GPU_BIN:-}" ]; then
  build "$bin" >>"$log" 2>&1 || failures=$((failures + 1))
elif ! tar -C "$bin" -xzf "${WICK_GPU_BIN:-.gpu}/programs.tar.gz"; then
  echo "there is no ${WICK_GPU_BIN:-.gpu}/programs.tar.gz; bench/gpu.sh build makes it where Go is"
  exit 1
fi
benchflags=()
more=(-rounds 7)
epoch=50000 steps=10000 pictures=2000
if [ -n "$small" ]; then
  if [ -z "${WICK_GPU_SIM:-}" ]; then
    WICK_GPU_SIM=$(WICK_SIM_BUILD=1 "$bin/cuda.test") || { echo "$WICK_GPU_SIM"; exit 1; }
  fi
  export LD_LIBRARY_PATH=$WICK_GPU_SIM WICK_SIM_KERNELS=$WICK_GPU_SIM/kernels.so
  benchflags=(-tiny -torch-device cpu)
  more=(-rounds 1)
  epoch=20 steps=30 pictures=32
else
  libraries=$("$python" -c '
import glob, os
try:
    import nvidia
    roots = list(nvidia.__path__)
except ImportError:
    roots = []
names = ["libcudnn.so.*", "libcublas.so.*", "libnvrtc.so.*", "libcudart.so.*"]
print(":".join(sorted({os.path.dirname(f) for r in roots for n in names for f in glob.glob(os.path.join(r, "**", n), recursive=True)})))')
  [ ! -d /usr/local/nvidia/lib64 ] || libraries+=:/usr/local/nvidia/lib64
  export WICK_GPU=1 LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
export WICK_GPU_STEPS=${WICK_GPU_STEPS:-$steps}

: >"$report"
say "# Wick on a GPU"
say ""
say "$(date -u '+%Y-%m-%d %H:%M UTC'), $(uname -srm), $(nproc) cores; $(git rev-parse --short HEAD 2>/dev/null || echo 'no git')${small:+; small, on the simulated driver}"
say ""
say '```'
nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.max.sm,temperature.gpu,mig.mode.current --format=csv 2>&1 | tee -a "$report"
"$python" -c 'import torch; print("torch", torch.__version__, "CUDA", torch.version.cuda, "cuDNN", torch.backends.cudnn.version())' 2>&1 | tail -n 1 | tee -a "$report"
say "LD_LIBRARY_PATH=$LD_LIBRARY_PATH"
[ ! -x "$bin/wick" ] || limited 20 "$bin/wick" doctor 2>&1 | tee -a "$report"
say '```'
say ""
say "| part | result | time | |"
say "|---|---|---|---|"

tests conformance 100 internal/cuda '^Test' '^Test(Training|Losses|FullCard|LargeViews)'
measured bench-steps 110 "${more[@]}" -run '^vgg16/train(-bf16)?/64|^host/'
tests training 100 internal/cuda '^Test(Training|Losses)'
tests pytorch 60 models '^Test(VGG16|Autocast)'
tests tensor 100 tensor '^Test'
tests trainer 30 trainer '^TestCUDA'
tests loader 30 datasets '^TestLoader.*(GPU|Captured)'
says example 60 0 'epoch|report' "$bin/cifar10" -device cuda -dataset shapes -epochs 1 -limit "$pictures" -out "$(mktemp -d)/run"
tests full-card 30 internal/cuda '^TestFullCard$'
says no-such-gpu 20 1 'there is no device 77; this machine has [0-9]+, counted from 0' "$bin/cifar10" -device cuda:77
says no-such-device 20 1 '-device nonsense: want cpu or cuda:N' "$bin/cifar10" -device nonsense
measured bench-rest 170 "${more[@]}" -run '^(vgg16/evaluate|vgg16/train/(1|8|256)|block|conv|gemm|linear|batchnorm|relu|maxpool|softmax|crossentropy|add|sum|adam)'
measured bench-epoch 60 -rounds 1 -epoch "$epoch" -run '^epoch'
[ -n "$small" ] || measured bench-compiled 130 -rounds 5 -compile -run '^vgg16/train(-bf16)?/64/captured'

cat "$tables" >>"$report"
sed -n '/^bench-/,$p' "$tables" | tail -n 60
say ""
say "$failures parts failed; $SECONDS s in all"
[ $failures = 0 ]
