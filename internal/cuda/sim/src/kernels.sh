#!/bin/sh
# kernels.sh OUT.so IN.cu…: compile kernels for the simulated driver. Each kernel is
# declared as extern "C" __global__ void name(…); those whose file uses barriers or
# shuffles run as fibers.
set -e
here=$(cd "$(dirname "$0")" && pwd)
out=$1
shift
objects=
for in in "$@"; do
	object=$out.$(basename "$in" .cu).o
	{
		echo '#include "cuda_sim.h"'
		echo "#line 1 \"$in\""
		sed -E 's/extern +__shared__ +([A-Za-z0-9_ ]+) +([A-Za-z0-9_]+)\[\];/\1* \2 = (\1*)sim::dynamic;/' "$in"
		fibers=false
		grep -qE '__sync|_sync\(' "$in" && fibers=true
		${CXX:-g++} -E -P -x c++ -I"$here" -I"$(dirname "$in")" -D__global__=KERNEL "$in" 2>/dev/null |
			grep -oE 'KERNEL +void +[A-Za-z0-9_]+ *\(' | sed -E 's/.* ([A-Za-z0-9_]+) *\($/\1/' | sort -u |
			while read -r k; do echo "SIM_KERNEL($k, $fibers)"; done
	} | ${CXX:-g++} -std=c++17 -O1 -g -fPIC -ffp-contract=off -Wno-unknown-pragmas -I"$here" -I"$(dirname "$in")" -x c++ -c - -o "$object"
	objects="$objects $object"
done
${CXX:-g++} -shared -o "$out" $objects
rm -f $objects
