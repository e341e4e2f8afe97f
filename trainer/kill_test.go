package trainer

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wick-ml/wick/layers"
)

// weights is a model of a few hundred kilobytes, all of whose numbers are n.
func weights(n float64) *layers.Linear {
	m := layers.NewLinear(400, 500)
	for _, p := range layers.NamedParameters(m) {
		p.Fill(n)
	}
	return m
}

func init() {
	// The child saves one checkpoint after the other, last and best and single
	// epochs, until it is killed.
	children["save"] = func(dir string) error {
		fmt.Println("saving")
		for n := 1; ; n++ {
			if err := saveStep(dir, n); err != nil {
				return err
			}
		}
	}
}

func saveStep(dir string, n int) error {
	s := &Snapshot{Model: weights(float64(n))}
	if err := s.saveAll(Position{Step: n}, epochPath(dir, n), filepath.Join(dir, bestFile), filepath.Join(dir, lastFile)); err != nil {
		return err
	}
	return prune(dir, 2)
}

// child starts the test binary as a child; kill ends it.
func child(t *testing.T, what, dir string) (cmd *exec.Cmd, output *bufio.Reader) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WICK_TRAINER_CHILD="+what, "WICK_TRAINER_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

// Whenever a save is killed, every checkpoint that is there is whole, the last one
// does not go back, and the next start removes what is left over.
// WICK_KILLS=200 kills 200 times.
func TestKilledSaves(t *testing.T) {
	kills := 30
	if s := os.Getenv("WICK_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	// A child lives for a few saves, however long they take here.
	start := time.Now()
	if err := saveStep(t.TempDir(), 1); err != nil {
		t.Fatal(err)
	}
	life := max(25*time.Millisecond, 4*time.Since(start))
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	leftovers, loaded := 0, 0
	for kill := range kills {
		cmd, out := child(t, "save", dir)
		if line, err := out.ReadString('\n'); err != nil || line != "saving\n" {
			t.Fatalf("the child said %q (%v)", line, err)
		}
		time.Sleep(time.Duration(r.Int64N(int64(life))))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // says that it was killed

		steps := map[string]int{}
		for _, name := range ls(t, dir) {
			if strings.HasSuffix(name, ".tmp") {
				leftovers++
				continue
			}
			m := weights(0)
			at, err := (&Snapshot{Model: m}).Load(filepath.Join(dir, name))
			if err != nil {
				t.Fatalf("kill %d: %v", kill, err)
			}
			for path, p := range layers.NamedParameters(m) {
				if got := [2]float64{p.Amin().Item(), p.Amax().Item()}; got != [2]float64{float64(at.Step), float64(at.Step)} {
					t.Fatalf("kill %d: %s: %s is %v to %v, want %d", kill, name, path, got[0], got[1], at.Step)
				}
			}
			steps[name] = at.Step
			loaded++
		}
		if best, last := steps[bestFile], steps[lastFile]; best != last && best != last+1 && last != 0 && best > 1 {
			t.Errorf("kill %d: best is of step %d, last of %d", kill, best, last)
		}
		if err := removeLeftovers(dir); err != nil {
			t.Fatal(err)
		}
		for _, name := range ls(t, dir) {
			if strings.HasSuffix(name, ".tmp") {
				t.Errorf("kill %d: %s is left", kill, name)
			}
		}
	}
	t.Logf("%d kills: %d checkpoints loaded, %d leftovers removed", kills, loaded, leftovers)
	if runtime.GOOS == "linux" && leftovers == 0 {
		t.Errorf("no save of %d was killed under way", kills)
	}
	if loaded == 0 {
		t.Error("no checkpoint was loaded")
	}
}

// A whole run that is killed again and again comes to the end with the same bits.
func TestKilledRun(t *testing.T) {
	want := settings[0].config(t)
	if _, err := Fit(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(3, 4))
	for range 8 {
		cmd, out := child(t, "train", dir)
		if line, err := out.ReadString('\n'); err != nil || line != "training\n" {
			t.Fatalf("the child said %q (%v)", line, err)
		}
		time.Sleep(time.Duration(r.Int64N(int64(40 * time.Millisecond))))
		_ = cmd.Process.Kill() // it may be over
		_ = cmd.Wait()
	}
	c := settings[0].config(t)
	c.Dir, c.Resume = dir, true
	result, err := Fit(t.Context(), c)
	if err != nil || len(result.History) != epochs {
		t.Fatalf("got %d epochs, error %v, want %d", len(result.History), err, epochs)
	}
	a, b := bits(want), bits(c)
	for name := range a {
		if a[name] != b[name] {
			t.Errorf("%s differs", name)
		}
	}
	records, err := os.ReadFile(filepath.Join(dir, csvFile))
	if lines := strings.Count(string(records), "\n"); err != nil || lines != 1+epochs {
		t.Errorf("metrics.csv has %d lines (%v), want %d", lines, err, 1+epochs)
	}
	for _, name := range ls(t, dir) {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s is left", name)
		}
	}
}

func init() {
	children["train"] = func(dir string) error {
		fmt.Println("training")
		t := &testing.T{}
		c := settings[0].config(t)
		c.Dir, c.Resume, c.SaveSteps = dir, true, 1
		c.Callbacks = []Callback{{Name: "slow", Step: func(*Run) error { time.Sleep(time.Millisecond); return nil }}}
		_, err := Fit(context.Background(), c)
		return err
	}
}
