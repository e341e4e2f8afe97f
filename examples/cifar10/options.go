package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer"
)

// shapesModel is a small model that suffices for the Shapes dataset.
const shapesModel = `[16,"M",32,"M",64,"M",64,"M",64,"M"]`

// options are the program's settings.
type options struct {
	data, dataset string
	size          int
	download      bool
	model         string
	cfg           models.Cfg
	epochs, batch int
	lr            float64
	milestones    []int
	gamma         float64
	weightDecay   float64
	dropout       float64
	seed          uint64
	workers       int
	device        *tensor.Device
	autocast      tensor.DType
	capture       bool
	limit         int
	accumulate    int
	clip, ema     float64
	patience      int
	timeLimit     time.Duration
	out           string
	resume        string
	newRates      bool // the resumed run has another learning rate or schedule from now on
	tensorBoard   bool
	wandb         bool
	saveSteps     int
	saveEvery     int
	summary       bool
	dryRun        bool
	findLR        bool
	predict       string
	pictures      []string // files to predict instead of test images
	from, to      int
	show          bool
	sweep         string
	jobs          int

	stdout, stderr io.Writer
	settings       map[string]string // all flags, for the run's config.json
	defaults       map[string]string // what they are unless they are given
	classes        []string          // of the dataset, once it is loaded
}

// parseFlags reads the command line and checks every value. Asked for help, it
// prints the usage to stdout and returns flag.ErrHelp.
func parseFlags(args []string, stdout, stderr io.Writer) (options, error) {
	o := options{stdout: stdout, stderr: stderr}
	var milestones, device, autocast string
	var deterministic, benchmark bool
	f := flag.NewFlagSet("cifar10", flag.ContinueOnError)
	f.SetOutput(io.Discard) // what does not fit becomes a sentence below
	f.StringVar(&o.data, "data", "data", "folder of the dataset")
	f.StringVar(&o.dataset, "dataset", "cifar10", "cifar10, shapes (drawn in code) or folder (DATA/train/CLASS/* and DATA/test/CLASS/*)")
	f.IntVar(&o.size, "size", 32, "side of the images of -dataset folder, and of those named behind -predict: the shorter side is resized to it, and the square in the middle is taken")
	f.BoolVar(&o.download, "download", false, "download CIFAR-10 if it is not there")
	f.StringVar(&o.model, "model", "", fmt.Sprintf("%s, or a list such as [64,\"M\",128,\"M\"] (default VGG16; for shapes a small list)", strings.Join(models.Names(), ", ")))
	f.IntVar(&o.epochs, "epochs", 100, "times to go through the training images")
	f.IntVar(&o.batch, "batch", 64, "images a step")
	f.Float64Var(&o.lr, "lr", 0.001, "learning rate")
	f.StringVar(&milestones, "milestones", "75,150", "epochs at which the learning rate is multiplied by gamma")
	f.Float64Var(&o.gamma, "gamma", 0.5, "factor of the learning rate at each milestone")
	f.Float64Var(&o.weightDecay, "weight-decay", 0, "weight decay")
	f.Float64Var(&o.dropout, "dropout", 0, "probability of dropout before the classifier")
	f.Uint64Var(&o.seed, "seed", 1, "seed of all random numbers; the same one gives the same run")
	f.IntVar(&o.workers, "workers", runtime.NumCPU(), "goroutines that prepare images")
	f.StringVar(&device, "device", "", "cpu or cuda:N (default: the best there is)")
	f.StringVar(&autocast, "autocast", "float32", "bfloat16 or float16 trains and tests in mixed precision: convolutions and products compute in it; in float16 losses are scaled")
	f.BoolVar(&o.capture, "capture", false, "on a GPU, launch each training step as one CUDA graph; a loss that is not a number then ends the run after the epoch, without saying where it began")
	f.BoolVar(&deterministic, "deterministic", false, "on a GPU, use only algorithms that give the same bits each time")
	f.BoolVar(&benchmark, "benchmark", false, "on a GPU, measure which algorithm is the fastest for each convolution")
	f.IntVar(&o.limit, "limit", 0, "use only the first N training and test images (0: all)")
	f.IntVar(&o.accumulate, "accumulate", 1, "batches whose gradients make one step")
	f.Float64Var(&o.clip, "clip", 0, "largest norm of the gradients (0: no clipping)")
	f.Float64Var(&o.ema, "ema", 0, "decay of an exponential moving average of the weights, to test with (0: none)")
	f.IntVar(&o.patience, "patience", 0, "stop after so many epochs without a better test loss (0: never)")
	f.DurationVar(&o.timeLimit, "time-limit", 0, "stop after this time, such as 8h (0: never)")
	f.StringVar(&o.out, "out", "", "the run's folder (default: logs/ and a name made of time and seed)")
	f.StringVar(&o.resume, "resume", "", "go on with the run in this folder, with its settings unless others are given")
	f.BoolVar(&o.tensorBoard, "tensorboard", true, "write what TensorBoard shows")
	f.BoolVar(&o.wandb, "wandb", true, "write what wandb sync uploads to Weights & Biases")
	f.IntVar(&o.saveSteps, "save-steps", 0, "save a checkpoint every so many steps too (0: after epochs)")
	f.IntVar(&o.saveEvery, "save-every", 0, "keep a checkpoint of its own every so many epochs, the last three of them (0: only the last and the best)")
	f.BoolVar(&o.summary, "summary", false, "do not train: print the model's layers with their shapes, multiply-adds and memory")
	f.BoolVar(&o.dryRun, "dry-run", false, "make one step and test one batch, without files, to see that all fits")
	f.BoolVar(&o.findLR, "find-lr", false, "do not train: look for a good learning rate and draw how the loss went")
	f.StringVar(&o.predict, "predict", "", "do not train: load this model and predict test images, or the image files named behind all flags; for an image instead of a model, the newest one in logs predicts it")
	f.IntVar(&o.from, "from", 0, "first test image to predict")
	f.IntVar(&o.to, "to", 9, "last test image to predict")
	f.BoolVar(&o.show, "show", false, "open the report, or the images, where there is a desktop")
	f.StringVar(&o.sweep, "sweep", "", "train all runs that this file describes, and compare them in -out (default: logs/ and the file's name)")
	f.IntVar(&o.jobs, "jobs", 1, "runs of the sweep at a time")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			f.SetOutput(stdout)
			fmt.Fprintln(stdout, "Usage of cifar10:")
			f.PrintDefaults()
			return o, err
		}
		return o, fmt.Errorf("%w (see -help)", err)
	}
	for f.NArg() > 0 { // images, between flags too
		o.pictures = append(o.pictures, f.Arg(0))
		if err := f.Parse(f.Args()[1:]); err != nil {
			return o, fmt.Errorf("%w (see -help)", err)
		}
	}
	if len(o.pictures) > 0 && o.predict == "" {
		return o, fmt.Errorf("unexpected argument %q; all settings are flags, and images stand behind -predict (see -help)", o.pictures[0])
	}
	if isPicture(o.predict) {
		o.pictures = slices.Insert(o.pictures, 0, o.predict)
		if o.predict = newestModel(); o.predict == "" {
			return o, fmt.Errorf("-predict %s: an image, and there is no logs/*/best.safetensors to predict it with; want -predict MODEL PICTURE", o.pictures[0])
		}
	}
	set := map[string]bool{}
	f.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if run, err := trainer.ReadRunConfig(filepath.Dir(o.predict)); o.predict != "" && err == nil {
		// A model's images are those of its run, unless others are given.
		for _, name := range []string{"dataset", "data", "size"} {
			value, known := run.Settings[name]
			if !known || set[name] || set["dataset"] && run.Settings["dataset"] != o.dataset {
				continue
			}
			if err := f.Set(name, value); err != nil {
				return o, fmt.Errorf("-predict %s: the config.json of its run says %s = %q: %w", o.predict, name, value, err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if set["sweep"] && name != "sweep" && name != "jobs" && name != "out" {
			return o, fmt.Errorf("-sweep and -%s: the settings of a sweep's runs stand in its file", name)
		}
	}
	if set["jobs"] && !set["sweep"] {
		return o, errors.New("-jobs without -sweep, whose runs it counts")
	}
	if set["resume"] {
		if o.resume == "" {
			return o, errors.New("-resume: want a run's folder")
		}
		if set["out"] {
			return o, errors.New("-resume and -out: want one of them, a run goes on in its own folder")
		}
		config, err := trainer.ReadRunConfig(o.resume)
		if _, failed := os.Stat(filepath.Join(o.resume, "last.safetensors")); errors.Is(err, fs.ErrNotExist) && failed == nil {
			fmt.Fprintf(stdout, "note: %s has no config.json; its settings are taken from the command line\n", o.resume)
		} else if errors.As(err, new(*fs.PathError)) {
			return o, fmt.Errorf("-resume %s: no run to go on with: %w", o.resume, err)
		} else if err != nil {
			return o, fmt.Errorf("-resume %s: %w; remove it, and give the run's settings on the command line", o.resume, err)
		}
		for name, value := range config.Settings {
			if set[name] {
				schedule := name == "lr" || name == "milestones" || name == "gamma"
				o.newRates = o.newRates || schedule && f.Lookup(name).Value.String() != value
				continue
			}
			if err := f.Set(name, value); err != nil {
				return o, fmt.Errorf("-resume %s: its config.json says %s = %q: %w", o.resume, name, value, err)
			}
			set[name] = true
		}
		o.out = o.resume
	}
	o.settings, o.defaults = map[string]string{}, map[string]string{}
	f.VisitAll(func(f *flag.Flag) {
		if !slices.Contains(invocation, f.Name) {
			o.settings[f.Name], o.defaults[f.Name] = f.Value.String(), f.DefValue
		}
	})

	for _, c := range []struct {
		ok         bool
		flag, want string
	}{
		{o.dataset == "cifar10" || o.dataset == "shapes" || o.dataset == "folder", "dataset", "cifar10, shapes or folder"},
		{o.size == 32 || (o.dataset == "folder" || len(o.pictures) > 0) && o.size >= 1 && o.size <= 1<<12, "size", fmt.Sprintf("1 to %d with -dataset folder, 32 with others", 1<<12)},
		{o.epochs >= 1, "epochs", "1 or more"},
		{o.batch >= 1, "batch", "1 or more"},
		{finite(o.lr) && o.lr > 0, "lr", "a positive number"},
		{finite(o.gamma) && o.gamma > 0, "gamma", "a positive number"},
		{finite(o.weightDecay) && o.weightDecay >= 0, "weight-decay", "0 or a positive number"},
		{o.dropout >= 0 && o.dropout < 1, "dropout", "0 or more and less than 1"},
		{o.workers >= 1, "workers", "1 or more"},
		{o.limit >= 0, "limit", "0 or more"},
		{o.accumulate >= 1, "accumulate", "1 or more"},
		{finite(o.clip) && o.clip >= 0, "clip", "0 or a positive number"},
		{o.ema >= 0 && o.ema < 1, "ema", "0 or more and less than 1"},
		{o.patience >= 0, "patience", "0 or more"},
		{o.timeLimit >= 0, "time-limit", "0 or more"},
		{o.saveSteps >= 0, "save-steps", "0 or more"},
		{o.saveEvery >= 0, "save-every", "0 or more"},
		{o.jobs >= 1, "jobs", "1 or more"},
		{!set["predict"] || o.predict != "", "predict", "a model, or an image"},
		{!set["sweep"] || o.sweep != "", "sweep", "a file"},
		{o.from >= 0, "from", "0 or more"},
		{o.to >= o.from, "to", fmt.Sprintf("%d (-from) or more", o.from)},
	} {
		if !c.ok {
			return o, fmt.Errorf("-%s %s: want %s", c.flag, f.Lookup(c.flag).Value, c.want)
		}
	}
	for _, s := range strings.Split(milestones, ",") {
		m, err := strconv.Atoi(strings.TrimSpace(s))
		last := 0
		if len(o.milestones) > 0 {
			last = o.milestones[len(o.milestones)-1]
		}
		if err != nil || m <= last {
			return o, fmt.Errorf("-milestones %q: want increasing epochs such as 75,150", milestones)
		}
		o.milestones = append(o.milestones, m)
	}

	if o.model == "" {
		o.model = "VGG16"
		if o.dataset == "shapes" {
			o.model = shapesModel
		}
		o.settings["model"] = o.model
	}
	switch {
	case strings.HasPrefix(o.model, "["):
		if err := json.Unmarshal([]byte(o.model), &o.cfg); err != nil {
			return o, fmt.Errorf("-model %s: want a list such as [64,\"M\",128,\"M\"]: %w", o.model, err)
		}
		if err := tensor.Try(func() { models.NewVGG(o.cfg, 10) }); err != nil {
			return o, fmt.Errorf("-model %s: %w", o.model, err)
		}
	default:
		if o.cfg = models.VGGCfg(o.model); o.cfg == nil {
			return o, fmt.Errorf("-model %s: want one of %s, or a list such as [64,\"M\",128,\"M\"]", o.model, strings.Join(models.Names(), ", "))
		}
	}

	switch autocast {
	case "float32":
	case "bfloat16":
		o.autocast = tensor.BFloat16
	case "float16":
		o.autocast = tensor.Float16
	default:
		return o, fmt.Errorf("-autocast %s: want bfloat16 or float16, or float32 for none", autocast)
	}
	switch {
	case device == "":
		o.device = tensor.BestDevice()
	case device == "cpu":
		o.device = tensor.CPU
	case strings.HasPrefix(device, "cuda"):
		number := strings.TrimPrefix(strings.TrimPrefix(device, "cuda"), ":")
		n, err := strconv.Atoi("0" + number)
		if err != nil {
			return o, fmt.Errorf("-device %s: want cpu or cuda:N", device)
		}
		if o.device, err = tensor.CUDA(n); err != nil {
			return o, fmt.Errorf("-device %s: %w", device, err)
		}
	default:
		return o, fmt.Errorf("-device %s: want cpu or cuda:N", device)
	}
	o.device.SetDeterministic(deterministic)
	o.device.SetBenchmark(benchmark)

	if err := o.cfg.Check(o.size, o.size); err != nil && o.predict == "" {
		return o, fmt.Errorf("-model %s: %w", o.model, err)
	}

	if o.out == "" && (o.predict != "" || o.findLR) {
		o.out = "." // an image is no run
	}
	if o.out == "" && o.sweep != "" {
		base := filepath.Base(o.sweep)
		o.out = filepath.Join("logs", strings.TrimSuffix(base, filepath.Ext(base)))
	}
	if o.out == "" {
		o.out = filepath.Join("logs", fmt.Sprintf("%s-seed%d", time.Now().Format("20060102-150405"), o.seed))
	}
	return o, nil
}

// isPicture says whether a file's name is one of an image.
func isPicture(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif":
		return true
	}
	return false
}

// newestModel is the best model of the newest run in logs, or "".
func newestModel() string {
	paths, _ := filepath.Glob("logs/*/best.safetensors")
	newest, at := "", time.Time{}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(at) {
			newest, at = path, info.ModTime()
		}
	}
	return newest
}

// invocation are the flags that say what to do now; the others describe a run.
var invocation = []string{"out", "resume", "summary", "dry-run", "find-lr", "predict", "from", "to", "show", "sweep", "jobs"}

// makeOut makes the output folder and tries to write there, before the work
// begins that is to be saved.
func makeOut(opts options) error {
	if opts.dryRun || opts.summary {
		return nil
	}
	dir := opts.out
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".try-*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("-out %s: %w", dir, err)
	}
	return nil
}
