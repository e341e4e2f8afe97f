package main

import (
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"time"
	"syscall"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

func cpu() float64 {
	var r syscall.Rusage
	syscall.Getrusage(0, &r)
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}

func main() {
	tensor.ManualSeed(1)
	m := models.NewVGG(models.Cfgs["VGG16"], 10)
	o := optim.NewAdam(layers.Parameters(m), 0.001)
	var labels []int64
	for i := range 64 {
		labels = append(labels, int64(i%10))
	}
	step := func() {
		s := tensor.NewScope()
		defer s.Close()
		x := tensor.Rand(64, 3, 32, 32).In(s)
		y := tensor.From(labels, 64).In(s)
		o.ZeroGrad()
		layers.CrossEntropyLoss{}.Forward(m.Forward(x), y).Backward()
		o.Step()
	}
	eval := func() {
		s := tensor.NewScope()
		defer s.Close()
		m.Forward(tensor.Rand(64, 3, 32, 32).In(s).NoGrad())
	}
	f := step
	step()
	if os.Args[1] == "eval" {
		layers.Eval(m)
		f = eval
		eval()
	}
	step = f
	step()
	if len(os.Args) > 2 {
		f, _ := os.Create(os.Args[2])
		pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
	}
	var ts, cs []float64
	for range 5 {
		t, c := time.Now(), cpu()
		step()
		ts, cs = append(ts, time.Since(t).Seconds()*1e3), append(cs, (cpu()-c)*1e3)
	}
	slices.Sort(ts)
	slices.Sort(cs)
	fmt.Printf("%s: wall min %.0f median %.0f ms; core min %.0f median %.0f ms\n", os.Args[1], ts[0], ts[2], cs[0], cs[2])
}
