package sched_test

import (
	"encoding/json"
	"fmt"

	"github.com/wick-ml/wick/sched"
)

// The examples' optimizer has rates and nothing else; a program has one of
// package optim.
func newOptimizer(lrs ...float64) *rates { return &rates{lrs} }

func ExampleNewMultiStepLR() {
	optimizer := newOptimizer(0.1)
	scheduler := sched.NewMultiStepLR(optimizer, []int{2, 4}, 0.5)
	for epoch := 1; epoch <= 5; epoch++ {
		scheduler.StepTo(epoch)
		fmt.Print(optimizer.LRs()[0], " ")
		// train for an epoch
	}
	// Output: 0.1 0.05 0.05 0.025 0.025
}

func ExampleNewOneCycleLR() {
	optimizer := newOptimizer(0.1)
	scheduler := sched.NewOneCycleLR(optimizer, 1, 5, sched.OneCycleOpts{PctStart: 0.6, NoMomentum: true})
	for range 5 { // batches
		fmt.Printf("%.4f ", scheduler.LastLR()[0])
		scheduler.Step()
	}
	// Output: 0.0400 0.5200 1.0000 0.5000 0.0000
}

func ExampleNewReduceLROnPlateau() {
	optimizer := newOptimizer(0.1)
	scheduler := sched.NewReduceLROnPlateau(optimizer, sched.Min)
	scheduler.Patience = 1
	for _, loss := range []float64{2.3, 1.9, 1.9, 2.0, 1.8} {
		scheduler.Step(loss)
		fmt.Printf("%.2f ", optimizer.LRs()[0])
	}
	// Output: 0.10 0.10 0.10 0.01 0.01
}

func ExampleNewSequentialLR() {
	optimizer := newOptimizer(0.1)
	scheduler := sched.NewSequentialLR(optimizer, []int{2},
		func(o sched.Optimizer) sched.Scheduler { return sched.NewLinearLR(o, 0.5, 1, 2) },
		func(o sched.Optimizer) sched.Scheduler { return sched.NewCosineAnnealingLR(o, 4) },
	)
	for range 7 {
		fmt.Printf("%.3f ", scheduler.LastLR()[0])
		scheduler.Step()
	}
	// Output: 0.050 0.075 0.100 0.085 0.050 0.015 0.000
}

func ExampleState() {
	optimizer := newOptimizer(0.1)
	scheduler := sched.NewExponentialLR(optimizer, 0.5)
	scheduler.Step()
	saved, err := json.Marshal(scheduler.State())
	if err != nil {
		panic(err)
	}
	fmt.Println(string(saved))

	optimizer = newOptimizer(0.1)
	scheduler = sched.NewExponentialLR(optimizer, 0.5)
	var state sched.State
	if err := json.Unmarshal(saved, &state); err != nil {
		panic(err)
	}
	if err := scheduler.LoadState(state); err != nil {
		panic(err)
	}
	fmt.Println(optimizer.LRs())
	// Output:
	// {"scheduler":"ExponentialLR","epoch":1,"base_lrs":[0.1],"lrs":[0.05]}
	// [0.05]
}
