package trainer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer/plots"
)

// FindLROpts are the options of FindLR. Zero fields mean the default.
type FindLROpts struct {
	From, To float64 // the range of rates; 1e-7 and 10
	Steps    int     // steps in the range, batches; 100
	Dir      string  // a folder for lr-finder.png and lr-finder.svg, drawings of what was found; "" means none
}

// LRPoint is a learning rate and the loss of the step before which it was set,
// smoothed and as it was.
type LRPoint struct{ LR, Loss, Raw float64 }

// FindLR looks for a good learning rate: it trains for some steps, each with a
// higher rate than the one before, until the loss is four times its lowest, and
// returns how the loss went and the rate at which it fell fastest. That is 0 if
// there were too few points to tell or the loss never fell.
//
// It uses Model, Optimizer, Loss (or Module and Forward), Train and Generators of
// config; each batch is a
// step. Afterwards the model, the optimizer, the random
// numbers and the loader are what they were. Groups of parameters keep the ratios
// of their rates; the rates are the first group's.
//
// Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017, in the
// form that fastai gave it.
func FindLR(ctx context.Context, config Config, opts FindLROpts) (points []LRPoint, suggested float64, err error) {
	if opts.From == 0 {
		opts.From = 1e-7
	}
	if opts.To == 0 {
		opts.To = 10
	}
	if opts.Steps == 0 {
		opts.Steps = 100
	}
	if !(opts.From > 0 && opts.To > opts.From && finite(opts.To)) || opts.Steps < 2 {
		return nil, 0, fmt.Errorf("trainer: FindLR from %v to %v in %d steps, want rates above 0 that rise and 2 steps or more", opts.From, opts.To, opts.Steps)
	}
	config.Epochs, config.Dir, config.Resume, config.Scheduler, config.Callbacks, config.Metrics, config.Monitor = 1, "", false, nil, nil, nil, ""
	f := &fit{Run: Run{Config: &config}}
	err = guarded(f.during, func() error {
		points, suggested, err = f.findLR(ctx, opts)
		return err
	})
	return points, suggested, err
}

func (f *fit) findLR(ctx context.Context, opts FindLROpts) (points []LRPoint, suggested float64, err error) {
	config := f.Config
	if err := f.check(); err != nil {
		return nil, 0, err
	}
	restore, err := f.snapshot.inMemory()
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if failed := restore(); failed != nil {
			err = errors.Join(err, failed)
		}
	}()

	base := config.Optimizer.LRs()
	first := base[0]
	f.doing = "train"
	layers.Train(config.Module)
	const keep = 0.98 // of the running mean, at each step
	mean, lowest := 0.0, math.Inf(1)
	for done := false; !done; {
		before := len(points)
		for b := range config.Train.Batches() {
			b = b.Autocast(config.Autocast)
			n := len(points)
			f.at = n
			lr := opts.From * math.Pow(opts.To/opts.From, float64(n)/float64(opts.Steps-1))
			lrs := make([]float64, len(base))
			for i := range lrs {
				lrs[i] = lr
				if first > 0 {
					lrs[i] = lr * base[i] / first
				}
			}
			config.Optimizer.SetLRs(lrs)
			config.Optimizer.ZeroGrad()
			p := f.forward(b)
			f.complete(b, p)
			f.look(b, p)
			loss := p.Loss
			v := loss.Item()
			if !finite(v) && f.nothingCounts() {
				continue
			}
			mean = keep*mean + (1-keep)*v
			smooth := mean / (1 - math.Pow(keep, float64(n+1)))
			if !finite(v) || smooth > 4*lowest {
				done = true
				break
			}
			lowest = min(lowest, smooth)
			points = append(points, LRPoint{lr, smooth, v})
			if done = len(points) == opts.Steps || ctx.Err() != nil; done {
				break
			}
			if f.Scaler == nil {
				loss.Backward()
				config.Optimizer.Step()
				continue
			}
			f.Scaler.Scale(loss).Backward()
			f.Scaler.Step(config.Optimizer)
			f.Scaler.Update()
		}
		if err := config.Train.Err(); err != nil {
			return points, 0, err
		}
		done = done || len(points) == before
	}
	if err := ctx.Err(); err != nil {
		return points, 0, err
	}
	suggested = steepest(points)
	if opts.Dir == "" {
		return points, suggested, nil
	}
	var rates, losses, raw []float64
	for _, p := range points {
		rates, losses, raw = append(rates, p.LR), append(losses, p.Loss), append(raw, p.Raw)
	}
	figure := plots.LRFinder(rates, raw, losses, suggested)
	err = os.MkdirAll(opts.Dir, 0o777)
	for _, ext := range []string{".png", ".svg"} {
		if err == nil {
			err = figure.Save(filepath.Join(opts.Dir, "lr-finder"+ext))
		}
	}
	if err != nil {
		err = fmt.Errorf("trainer: FindLR: %w", err)
	}
	return points, suggested, err
}

// steepest returns the rate at which the loss falls fastest along the logarithm of
// the rate, from some points before to some behind, as single ones are noisy. It
// leaves out the ends, where means are of few steps or the loss jumps.
func steepest(points []LRPoint) float64 {
	const start, end = 10, 5
	wide := max(len(points)/10, 1)
	slope, at := 0.0, 0.0
	for i := max(start, wide); i+max(wide, end) < len(points); i++ {
		from, to := points[i-wide], points[i+wide]
		if s := (to.Loss - from.Loss) / math.Log(to.LR/from.LR); s < slope {
			slope, at = s, points[i].LR
		}
	}
	return at
}

// inMemory notes what the parts are, without a file, and returns what brings it
// back.
func (s *Snapshot) inMemory() (restore func() error, err error) {
	o, ok := s.Optimizer.(saves)
	if !ok {
		return nil, fmt.Errorf("trainer: the optimizer (%T) has no State and LoadState as those of package optim have", s.Optimizer)
	}
	model, kept := map[string]*tensor.Tensor{}, map[string]*tensor.Tensor{}
	for name, t := range layers.StateDict(s.Model) {
		model[name] = t.Detach().Clone()
	}
	state, tensors := o.State()
	for name, t := range tensors {
		kept[name] = t.Detach().Clone()
	}
	type random struct {
		*tensor.Generator
		seed, offset uint64
	}
	var randoms []random
	for _, g := range s.generators() {
		seed, offset := g.State()
		randoms = append(randoms, random{g, seed, offset})
	}
	epoch := s.Train.Epoch()
	return func() error {
		for _, r := range randoms {
			r.SetState(r.seed, r.offset)
		}
		s.Train.SetEpoch(epoch)
		_, err := layers.LoadStateDict(s.Model, maps.All(model))
		return errors.Join(err, o.LoadState(state, maps.All(kept)))
	}, nil
}
