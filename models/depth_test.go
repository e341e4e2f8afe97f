package models_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/tensor"
)

// A configuration of the wrong depth for a size of images is said before anything is
// computed, and by Forward, with the number of "M"s that would do.
func TestDepth(t *testing.T) {
	for _, tt := range []struct {
		cfg           models.Cfg
		height, width int
		want          string // "" fits
		forward       bool   // Forward says it too; otherwise a pooling that finds nothing does
	}{
		{models.Cfg{8, "M", 8, "M", "M", "M", "M"}, 32, 32, "", true},
		{models.Cfg{8, "M", 8, "M", "M", "M", "M"}, 63, 40, "", true},
		{models.Cfg{8}, 1, 1, "", true},
		{models.Cfg{8, "M", 8, "M"}, 32, 32, `the configuration has 2 "M"s, want 5, which make 1×1 of images of 32×32 pixels; 2 leave 8×8`, true},
		{models.Cfg{8}, 32, 32, `0 "M"s, want 5, which make 1×1 of images of 32×32 pixels; 0 leave 32×32`, true},
		{models.Cfg{8, "M", 8, "M", "M", "M", "M"}, 64, 64, `5 "M"s, want 6, which make 1×1 of images of 64×64 pixels; 5 leave 2×2`, true},
		{models.Cfg{8, "M", "M", "M"}, 4, 4, `3 "M"s, want 2, which make 1×1 of images of 4×4 pixels; 3 leave nothing`, false},
		{models.Cfg{8, "M"}, 8, 2, `1 "M"s, which leave 4×1 of images of 8×2 pixels; no number of them makes 1×1`, true},
		{models.Cfg{8, "X"}, 8, 8, `entry 1 of the configuration is "X"`, false},
		{models.Cfg{}, 8, 8, "configuration", false},
		{models.Cfg{8, "M"}, 0, 2, "images of 0×2 pixels, want 1×1 or more", false},
		{models.Cfg{8, "M"}, 2, -1, "images of 2×-1 pixels, want 1×1 or more", false},
	} {
		err := tt.cfg.Check(tt.height, tt.width)
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%v, %d×%d: got %v, want %q", tt.cfg, tt.height, tt.width, err, tt.want)
		}
		if !tt.forward {
			continue
		}
		err = tensor.Try(func() { models.NewVGG(tt.cfg, 3).Forward(tensor.Zeros(2, 3, tt.height, tt.width)) })
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, %d×%d: Forward: got %v, want %q", tt.cfg, tt.height, tt.width, err, tt.want)
		}
	}
	for _, name := range models.Names() {
		if err := models.VGGCfg(name).Check(32, 32); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func ExampleCfg_Check() {
	cfg := models.Cfg{64, "M", 128, "M"}
	fmt.Println(cfg.Check(4, 4))
	fmt.Println(cfg.Check(32, 32))
	// Output:
	// <nil>
	// models: the configuration has 2 "M"s, want 5, which make 1×1 of images of 32×32 pixels; 2 leave 8×8
}
