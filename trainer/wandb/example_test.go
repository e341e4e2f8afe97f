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
