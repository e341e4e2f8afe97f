package wandb_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/wick-ml/wick/trainer/wandb"
)

func ExampleInit() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	run, err := wandb.Init(filepath.Join(dir, "run1"), wandb.Opts{Project: "cifar10", Config: []byte(`{"lr": 0.001}`)})
	if err != nil {
		panic(err)
	}
	for step, loss := range []float64{2.3, 1.9, 1.7} {
		if err := run.Log(map[string]float64{"loss": loss}, step); err != nil {
			panic(err)
		}
	}
	fmt.Println(run.Finish(0))
	// Output: <nil>
}

func ExampleResume() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	run, err := wandb.Init(dir, wandb.Opts{Project: "cifar10"})
	if err != nil {
		panic(err)
	}
	for step, loss := range []float64{2.3, 1.9, 1.7} {
		if err := run.Log(map[string]float64{"loss": loss}, step); err != nil {
			panic(err)
		}
	}
	// The program is killed here. It is started again from a checkpoint of step 1.
	run, err = wandb.Resume(run.Dir(), 1)
	if err != nil {
		panic(err)
	}
	fmt.Println(run.Log(map[string]float64{"loss": 1.7}, 2), run.Finish(0))
	// Output: <nil> <nil>
}
