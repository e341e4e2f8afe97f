package tensorboard_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/wick-ml/wick/trainer/tensorboard"
)

func ExampleNewWriter() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	w, err := tensorboard.NewWriter(filepath.Join(dir, "run1"))
	if err != nil {
		panic(err)
	}
	for step, loss := range []float64{2.3, 1.9, 1.7} {
		if err := w.AddScalar("loss/train", loss, step); err != nil {
			panic(err)
		}
	}
	fmt.Println(w.Close())
	// Output: <nil>
}
