package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/jsonfloat"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer"
)

// TestMain runs the program itself where a test starts it as a process.
func TestMain(m *testing.M) {
	if os.Getenv("WICK_TEST_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// smallCfg fits images of 32×32.
const smallCfg = `[4,"M",4,"M",4,"M",4,"M",4,"M"]`

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, b, 0o644))
}

func picture(t *testing.T, shade uint8) []byte {
	t.Helper()
	im := image.NewRGBA(image.Rect(0, 0, 40, 36))
	for i := range im.Pix {
		im.Pix[i] = shade
	}
	im.Set(3, 4, color.White)
	var b bytes.Buffer
	must(t, png.Encode(&b, im))
	return b.Bytes()
}

// writeFolder makes a dataset of images in folders: two classes, three
// images each for training and for testing.
func writeFolder(t *testing.T, dir string) {
	t.Helper()
	for _, part := range []string{"train", "test"} {
		for c, class := range []string{"cat", "dog"} {
			for i, name := range []string{"0.png", "1.png", "2.png"} {
				write(t, filepath.Join(dir, part, class, name), picture(t, uint8(100*c+i)))
			}
		}
	}
}

// records returns n images in CIFAR-10's binary layout.
func records(n int) []byte {
	b := make([]byte, 3073*n)
	for i := range n {
		b[3073*i] = byte(i % 10)
	}
	return b
}

// writeCIFAR makes a CIFAR-10 in the binary layout, four images a file.
func writeCIFAR(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"} {
		write(t, filepath.Join(dir, "cifar-10-batches-bin", name+".bin"), records(4))
	}
}

func targz(t *testing.T, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	must(t, tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 1}))
	_, err := tw.Write([]byte("x"))
	must(t, err)
	must(t, tw.Close())
	must(t, zw.Close())
	return b.Bytes()
}

// files lists all files and folders below dir.
func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	}))
	return paths
}

// prepare makes data sets, good and bad, and model files in the current folder.
func prepare(t *testing.T) {
	t.Helper()
	writeFolder(t, "images")
	writeFolder(t, "broken")
	write(t, "broken/train/dog/1.png", []byte("\x89PNG\r\n\x1a\nand no more"))
	write(t, "broken/test/dog/1.png", []byte("not an image"))
	writeFolder(t, "noclass")
	must(t, os.RemoveAll("noclass/test/dog"))
	writeFolder(t, "bare")
	must(t, os.RemoveAll("bare/train/dog"))
	must(t, os.Mkdir("bare/train/dog", 0o755))
	must(t, os.Mkdir("empty", 0o755))
	must(t, os.MkdirAll("hollow/cifar-10-batches-bin", 0o755))
	write(t, "text/notes.txt", []byte("not a dataset"))

	writeCIFAR(t, "cifar")
	writeCIFAR(t, "label")
	bad := records(4)
	bad[2*3073] = 77
	write(t, "label/cifar-10-batches-bin/data_batch_3.bin", bad)
	writeCIFAR(t, "cut")
	write(t, "cut/cifar-10-batches-bin/data_batch_2.bin", records(4)[:10000])
	write(t, "pickled/cifar-10-batches-py/data_batch_1", []byte("cos\nsystem\n(S'true'\ntR."))
	write(t, "zero/cifar-10-batches-py/data_batch_1", nil)
	write(t, "absolute/cifar-10-python.tar.gz", targz(t, "/etc/wick-test"))
	write(t, "outside/cifar-10-python.tar.gz", targz(t, "../../wick-test"))
	write(t, "noarchive/cifar-10-python.tar.gz", []byte("<html>503</html>"))

	cfg := models.Cfg{4, "M", 4, "M", 4, "M", 4, "M", 4, "M"}
	must(t, layers.Save("two.safetensors", models.NewVGG(cfg, 2)))
	must(t, layers.Save("three.safetensors", models.NewVGG(cfg, 3)))
	must(t, layers.Save("chain.safetensors", layers.NewSequential(layers.NewLinear(2, 2))))
	must(t, layers.SaveStateDict("weights.safetensors", models.NewVGG(cfg, 2)))
	good, err := os.ReadFile("two.safetensors")
	must(t, err)
	write(t, "short.safetensors", good[:len(good)-100])
	flipped := bytes.Clone(good)
	flipped[len(good)-50] ^= 4
	write(t, "flipped.safetensors", flipped)
	write(t, "text.safetensors", []byte("these are not weights, but words"))
	write(t, "nothing.safetensors", nil)
	write(t, "file", []byte("a file where a folder is wanted"))

	// Runs that were stopped after a step.
	for _, dir := range []string{"begun", "torn", "garbled", "foreign"} {
		var stderr bytes.Buffer
		if code := program(t.Context(), []string{"-dataset", "folder", "-data", "images", "-model", smallCfg, "-batch", "2", "-workers", "1", "-time-limit", "1ns", "-out", dir}, io.Discard, &stderr); code != 0 {
			t.Fatal(&stderr)
		}
	}
	last, err := os.ReadFile("torn/last.safetensors")
	must(t, err)
	write(t, "torn/last.safetensors", last[:len(last)-100])
	write(t, "garbled/config.json", []byte("{"))
	config, err := os.ReadFile("foreign/config.json")
	must(t, err)
	write(t, "foreign/config.json", bytes.Replace(config, []byte(`"gamma": "0.5"`), []byte(`"hidden": "7"`), 1))
}

// noGPU is why there is no GPU of an index, which depends on how the tests are built
// and where they run; "" if there is one.
func noGPU(index int) string {
	if _, err := tensor.CUDA(index); err != nil {
		return err.Error()
	}
	return ""
}

// What is wrong is one sentence on stderr and an exit code, before anything is
// written.
func TestWrongUse(t *testing.T) {
	t.Chdir(t.TempDir())
	prepare(t)
	folder := []string{"-dataset", "folder", "-data", "images", "-model", smallCfg, "-epochs", "1", "-batch", "2", "-workers", "1"}
	and := func(args ...string) []string { return append(folder[:len(folder):len(folder)], args...) }

	for _, c := range []struct {
		name    string
		args    []string
		want    []string
		started bool // it may have begun to train or predict, and made its folder
		begun   bool // the arguments name the folder
	}{
		{name: "unknown flag", args: []string{"-learning-rate", "1"}, want: []string{"flag provided but not defined: -learning-rate", "-help"}},
		{name: "flag without value", args: []string{"-lr"}, want: []string{"flag needs an argument: -lr"}},
		{name: "not a number", args: []string{"-epochs", "ten"}, want: []string{`invalid value "ten" for flag -epochs`}},
		{name: "stray argument", args: []string{"train"}, want: []string{`unexpected argument "train"`, "flags"}},
		{name: "model", args: []string{"-model", "VGG17"}, want: []string{"-model VGG17", "VGG11", "VGG16"}},
		{name: "model list", args: []string{"-model", `[64,"M"`}, want: []string{`-model [64,"M"`, "want a list"}},
		{name: "model entry", args: []string{"-model", `[64,"N"]`}, want: []string{`-model [64,"N"]`, `entry 1 of the configuration is "N"`}},
		{name: "model without layers", args: []string{"-model", "[]"}, want: []string{"-model []", "0 entries"}},
		{name: "dataset", args: []string{"-dataset", "mnist"}, want: []string{"-dataset mnist", "cifar10, shapes or folder"}},
		{name: "batch 0", args: []string{"-batch", "0"}, want: []string{"-batch 0: want 1 or more"}},
		{name: "batch -3", args: []string{"-batch", "-3"}, want: []string{"-batch -3: want 1 or more"}},
		{name: "lr nan", args: []string{"-lr", "nan"}, want: []string{"-lr NaN: want a positive number"}},
		{name: "lr inf", args: []string{"-lr", "inf"}, want: []string{"-lr +Inf: want a positive number"}},
		{name: "lr -1", args: []string{"-lr", "-1"}, want: []string{"-lr -1: want a positive number"}},
		{name: "lr 0", args: []string{"-lr", "0"}, want: []string{"-lr 0: want a positive number"}},
		{name: "epochs 0", args: []string{"-epochs", "0"}, want: []string{"-epochs 0: want 1 or more"}},
		{name: "gamma 0", args: []string{"-gamma", "0"}, want: []string{"-gamma 0: want a positive number"}},
		{name: "weight decay", args: []string{"-weight-decay", "-0.1"}, want: []string{"-weight-decay -0.1: want 0 or a positive number"}},
		{name: "autocast", args: []string{"-autocast", "int8"}, want: []string{"-autocast int8: want bfloat16 or float16, or float32 for none"}},
		{name: "dropout 1", args: []string{"-dropout", "1"}, want: []string{"-dropout 1: want 0 or more and less than 1"}},
		{name: "dropout nan", args: []string{"-dropout", "nan"}, want: []string{"-dropout NaN"}},
		{name: "milestones", args: []string{"-milestones", "x"}, want: []string{`-milestones "x": want increasing epochs such as 75,150`}},
		{name: "milestones backwards", args: []string{"-milestones", "150,75"}, want: []string{`-milestones "150,75"`}},
		{name: "milestone twice", args: []string{"-milestones", "75,75"}, want: []string{`-milestones "75,75"`}},
		{name: "milestone 0", args: []string{"-milestones", "0"}, want: []string{`-milestones "0"`}},
		{name: "workers 0", args: []string{"-workers", "0"}, want: []string{"-workers 0: want 1 or more"}},
		{name: "limit", args: []string{"-limit", "-1"}, want: []string{"-limit -1: want 0 or more"}},
		{name: "from", args: []string{"-from", "-1"}, want: []string{"-from -1: want 0 or more"}},
		{name: "from after to", args: []string{"-from", "5", "-to", "3"}, want: []string{"-to 3: want 5 (-from) or more"}},
		{name: "seed", args: []string{"-seed", "-1"}, want: []string{`invalid value "-1" for flag -seed`}},
		{name: "device", args: []string{"-device", "tpu"}, want: []string{"-device tpu: want cpu or cuda:N"}},
		{name: "device number", args: []string{"-device", "cuda:-1"}, want: []string{"-device cuda:-1: want cpu or cuda:N"}},
		{name: "device name", args: []string{"-device", "cudax"}, want: []string{"-device cudax: want cpu or cuda:N"}},
		{name: "cuda", args: []string{"-device", "cuda:99"}, want: []string{"-device cuda:99", noGPU(99)}},
		{name: "no cuda", args: []string{"-device", "cuda"}, want: []string{"-device cuda: " + noGPU(0)}},

		{name: "missing folder", args: []string{"-data", "nowhere"}, want: []string{"no CIFAR-10 in nowhere", "-download fetches it"}},
		{name: "empty folder", args: []string{"-data", "empty"}, want: []string{"no CIFAR-10 in empty"}},
		{name: "not a dataset", args: []string{"-data", "text"}, want: []string{"no CIFAR-10 in text"}},
		{name: "no folder", args: []string{"-data", "file"}, want: []string{"file"}},
		{name: "no batches", args: []string{"-data", "hollow"}, want: []string{"hollow/cifar-10-batches-bin/data_batch_1.bin", "is missing"}},
		{name: "malformed batch", args: []string{"-data", "label"}, want: []string{"label/cifar-10-batches-bin/data_batch_3.bin", "record 2", "label 77, want 0 to 9"}},
		{name: "truncated batch", args: []string{"-data", "cut"}, want: []string{"data_batch_2.bin", "record 3", "has 781 bytes, want 3073"}},
		{name: "pickled code", args: []string{"-data", "pickled"}, want: []string{"data_batch_1", `names "os.system"`}},
		{name: "empty batch", args: []string{"-data", "zero"}, want: []string{"zero/cifar-10-batches-py/data_batch_1"}},
		{name: "absolute entry", args: []string{"-data", "absolute"}, want: []string{"cifar-10-python.tar.gz", `"/etc/wick-test"`, "leads out of the folder"}},
		{name: "entry outside", args: []string{"-data", "outside"}, want: []string{"cifar-10-python.tar.gz", `"../../wick-test"`, "leads out of the folder"}},
		{name: "not an archive", args: []string{"-data", "noarchive"}, want: []string{"cifar-10-python.tar.gz", "not a gzip file"}},
		{name: "folder missing", args: and("-data", "nowhere"), want: []string{"nowhere/train"}},
		{name: "folder empty", args: and("-data", "empty"), want: []string{"empty/train"}},
		{name: "class without images", args: and("-data", "bare"), want: []string{"in bare/train/dog, want at least one a class"}},
		{name: "classes differ", args: and("-data", "noclass"), want: []string{`["cat" "dog"]`, `["cat"]`, "want the same"}},

		{name: "broken image", args: and("-data", "broken"), want: []string{"example 4", "broken/train/dog/1.png"}, started: true},
		{name: "broken image to predict", args: and("-data", "broken", "-predict", "two.safetensors", "-to", "5"), want: []string{"example 4", "broken/test/dog/1.png"}, started: true},
		{name: "images too large for the model", args: and("-model", "[4]"), want: []string{`-model [4]: models: the configuration has 0 "M"s, want 5`, "32×32"}},
		{name: "images too small for the model", args: and("-size", "16"), want: []string{`the configuration has 5 "M"s, want 4`, "16×16"}},
		{name: "size 0", args: and("-size", "0"), want: []string{"-size 0: want 1 to 4096"}},
		{name: "size of images drawn", args: []string{"-dataset", "shapes", "-size", "64"}, want: []string{"-size 64: want 1 to 4096 with -dataset folder, 32 with others"}},
		{name: "no model", args: and("-predict", ""), want: []string{"-predict : want a model, or an image"}},
		{name: "image too large for the model", args: and("-predict", "two.safetensors", "-size", "64", "images/test/dog/1.png"), want: []string{`two.safetensors: models: the configuration has 5 "M"s, want 6`, "-size"}},
		{name: "images too large for the loaded model", args: and("-predict", "two.safetensors", "-size", "64", "-to", "1"), want: []string{`two.safetensors: models: the configuration has 5 "M"s, want 6`, "-size"}},
		{name: "image without -predict", args: and("cat.jpg"), want: []string{`unexpected argument "cat.jpg"`, "-predict"}},
		{name: "image without a model", args: and("-predict", "cat.jpg"), want: []string{"-predict cat.jpg: an image", "want -predict MODEL PICTURE"}},
		{name: "no such image", args: and("-predict", "two.safetensors", "nowhere.jpg"), want: []string{"nowhere.jpg"}, started: true},
		{name: "text as an image", args: and("-predict", "two.safetensors", "text.safetensors"), want: []string{"text.safetensors"}, started: true},

		{name: "no model file", args: and("-predict", "nowhere.safetensors"), want: []string{"nowhere.safetensors"}},
		{name: "folder as a model", args: and("-predict", "images"), want: []string{"images"}},
		{name: "another architecture", args: and("-predict", "chain.safetensors"), want: []string{"chain.safetensors", `"Sequential"`, "*models.VGG"}},
		{name: "weights without a model", args: and("-predict", "weights.safetensors"), want: []string{"weights.safetensors", "without a model"}},
		{name: "truncated model", args: and("-predict", "short.safetensors"), want: []string{"short.safetensors"}},
		{name: "flipped bit", args: and("-predict", "flipped.safetensors"), want: []string{"flipped.safetensors", "the data is damaged"}},
		{name: "not a model", args: and("-predict", "text.safetensors"), want: []string{"text.safetensors"}},
		{name: "empty model file", args: and("-predict", "nothing.safetensors"), want: []string{"nothing.safetensors"}},
		{name: "other number of classes", args: and("-predict", "three.safetensors", "-to", "1"), want: []string{"three.safetensors knows 3 classes, the dataset has 2"}},
		{name: "past the end", args: and("-predict", "two.safetensors", "-to", "6"), want: []string{"-to 6: there are 6 test images, want 5 or less"}},
		{name: "past the limit", args: and("-predict", "two.safetensors", "-limit", "3", "-to", "3"), want: []string{"-to 3: there are 3 test images"}},

		{name: "accumulate 0", args: []string{"-accumulate", "0"}, want: []string{"-accumulate 0: want 1 or more"}},
		{name: "clip", args: []string{"-clip", "-1"}, want: []string{"-clip -1: want 0 or a positive number"}},
		{name: "ema", args: []string{"-ema", "1"}, want: []string{"-ema 1: want 0 or more and less than 1"}},
		{name: "time limit", args: []string{"-time-limit", "8"}, want: []string{`invalid value "8" for flag -time-limit`}},
		{name: "patience", args: []string{"-patience", "-1"}, want: []string{"-patience -1: want 0 or more"}},

		{name: "resume nothing", args: []string{"-resume", "nowhere"}, want: []string{"-resume nowhere: no run to go on with", "nowhere/config.json"}},
		{name: "resume no name", args: []string{"-resume", ""}, want: []string{"-resume: want a run's folder"}},
		{name: "resume a file", args: []string{"-resume", "file"}, want: []string{"-resume file: no run to go on with"}},
		{name: "resume and out", args: []string{"-resume", "begun", "-out", "other"}, want: []string{"-resume and -out"}},
		{name: "resume with broken settings", args: []string{"-resume", "garbled"}, want: []string{"garbled/config.json is damaged"}},
		{name: "resume with settings of another program", args: []string{"-resume", "foreign"}, want: []string{"-resume foreign", `hidden = "7"`}},
		{name: "resume with another model", args: []string{"-resume", "begun", "-model", `[8,"M",8,"M",8,"M",8,"M",8,"M"]`}, want: []string{"begun/last.safetensors", "VGG"}, started: true, begun: true},
		{name: "resume with another dataset", args: []string{"-resume", "begun", "-dataset", "shapes"}, want: []string{"begun/last.safetensors", "classes"}, started: true, begun: true},
		{name: "resume with other images", args: []string{"-resume", "begun", "-limit", "4"}, want: []string{"begun/last.safetensors"}, started: true, begun: true},
		{name: "resume with another batch size", args: []string{"-resume", "begun", "-batch", "3"}, want: []string{"begun/last.safetensors"}, started: true, begun: true},
		{name: "resume a cut checkpoint", args: []string{"-resume", "torn"}, want: []string{"torn/last.safetensors"}, started: true, begun: true},
		{name: "a run's folder again", args: and("-out", "begun"), want: []string{"begun holds a run already", "resume"}, started: true, begun: true},

		{name: "out below a file", args: and("-out", "file/run"), want: []string{"-out file/run"}},
		{name: "out is a file", args: and("-out", "file"), want: []string{"-out file"}},
		{name: "out to predict", args: and("-predict", "two.safetensors", "-to", "1", "-out", "file"), want: []string{"-out file"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "no cuda" && noGPU(0) == "" {
				t.Skip("this machine has a GPU")
			}
			before := files(t, ".")
			var stdout, stderr bytes.Buffer
			args := c.args
			if c.started && !c.begun {
				args = append(args[:len(args):len(args)], "-out", t.TempDir())
			}
			if code := program(t.Context(), args, &stdout, &stderr); code != 1 {
				t.Errorf("exit code: got %d, want 1", code)
			}
			got := filepath.ToSlash(stderr.String())
			if strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "cifar10: ") || len(got) > 600 {
				t.Errorf("got %q, want one sentence after \"cifar10: \"", got)
			}
			for _, w := range c.want {
				if !strings.Contains(got, w) {
					t.Errorf("got %q, want %q in it", got, w)
				}
			}
			if !c.started && stdout.Len() > 0 {
				t.Errorf("wrote to stdout: %q", &stdout)
			}
			if diff := cmp.Diff(before, files(t, ".")); diff != "" {
				t.Errorf("files and folders (-before +after):\n%s", diff)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Chdir(t.TempDir())
	var stdout, stderr bytes.Buffer
	if code := program(t.Context(), []string{"-help"}, &stdout, &stderr); code != 0 {
		t.Errorf("exit code: got %d, want 0", code)
	}
	for _, w := range []string{"Usage of cifar10:", "-epochs int", "-predict string", "(default 64)"} {
		if !strings.Contains(stdout.String(), w) {
			t.Errorf("got %q, want %q in it", &stdout, w)
		}
	}
	if stderr.Len() > 0 || len(files(t, ".")) != 1 {
		t.Errorf("wrote %q to stderr and the files %q, want nothing", &stderr, files(t, "."))
	}
}

// The program trains, saves, tests, and predicts with what it has saved; an
// interrupt ends it with a sentence.
func TestTrainAndPredict(t *testing.T) {
	t.Chdir(t.TempDir())
	prepare(t)
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"train", []string{"-dataset", "folder", "-data", "images", "-model", smallCfg, "-epochs", "2", "-batch", "4", "-out", "run", "-dropout", "0.1", "-weight-decay", "0.1", "-milestones", "2"},
			[]string{"6 training and 6 test images, 2 classes, on ", "run in run", "train  epoch 1/2  2/2", "test   epoch 2/2  2/2", "best: ", "run/best.safetensors", "report: run/report.html"}},
		{"predict", []string{"-dataset", "folder", "-data", "images", "-predict", "run/best.safetensors", "-from", "1", "-to", "5", "-out", "run"},
			[]string{"   1  label cat", "   5  label dog", "images: run/predictions.png"}},
		{"predict an image of one's own", []string{"-predict", "run/best.safetensors", "images/test/dog/1.png", "images/test/cat/0.png", "-out", "own"},
			[]string{"run/best.safetensors: 2 classes, images of 32×32 pixels", "images/test/dog/1.png  ", "images/test/cat/0.png  ", "cat ", "dog ", " %", "images: own/predictions.png"}},
		{"an image, between flags", []string{"-predict", "run/best.safetensors", "-device", "cpu", "images/test/dog/1.png", "-out", "own"}, []string{"images/test/dog/1.png  "}},
		{"larger images", []string{"-dataset", "folder", "-data", "images", "-size", "64", "-model", `[4,"M",4,"M",4,"M",4,"M",4,"M",4,"M"]`, "-epochs", "1", "-batch", "4", "-out", "logs/large"}, []string{"run in logs/large"}},
		{"an image for the newest model", []string{"-predict", "images/test/dog/1.png"}, []string{"logs/large/best.safetensors: 2 classes, images of 64×64 pixels", "images: predictions.png"}},
		{"predict without -out", []string{"-dataset", "folder", "-data", "images", "-size", "64", "-predict", "logs/large/best.safetensors", "-to", "1"}, []string{"images: predictions.png"}},
		{"predict test images of the model's run", []string{"-predict", "logs/large/best.safetensors", "-to", "1"}, []string{"   1  label cat", "images: predictions.png"}},
		{"a gray image", []string{"-predict", "run/best.safetensors", "gray.png", "-out", "own"}, []string{"gray.png  "}},
		{"an image for a model without its run", []string{"-predict", "alone.safetensors", "-size", "64", "gray.png", "-out", "own"}, []string{"alone.safetensors: 2 classes, images of 64×64 pixels"}},
		{"shapes' own model", []string{"-dataset", "shapes", "-limit", "20", "-batch", "10", "-epochs", "1", "-time-limit", "1ns", "-out", "fourth"},
			[]string{"stopped: the time limit of 1ns is reached; -resume fourth goes on from here"}},
		{"shapes' own model again", []string{"-resume", "fourth", "-time-limit", "0"}, []string{"resuming fourth", "test   epoch 1/1  2/2"}},
		{"summary", []string{"-dataset", "shapes", "-batch", "1", "-summary"}, []string{"features.0", "multiply-adds", "98,570 parameters"}},
		{"dry run", []string{"-dataset", "shapes", "-dry-run"}, []string{"98570 parameters\n", "dry run: one step and one test batch went through"}},
		{"learning-rate finder", []string{"-dataset", "folder", "-data", "images", "-model", smallCfg, "-batch", "3", "-find-lr", "-out", "rates"}, []string{"image: rates/lr-finder.png"}},
		{"a batch larger than all", []string{"-data", "cifar", "-model", smallCfg, "-epochs", "1", "-batch", "9223372036854775807", "-limit", "3", "-out", "second"},
			[]string{"note: 20 images from", "3 training and 3 test images, 10 classes", "test   epoch 1/1"}},
	} {
		if c.name == "a gray image" { // the large model is there by now
			var b bytes.Buffer
			must(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, 40, 50))))
			write(t, "gray.png", b.Bytes())
			model, err := os.ReadFile("logs/large/best.safetensors")
			must(t, err)
			write(t, "alone.safetensors", model)
		}
		var stdout, stderr bytes.Buffer
		if code := program(t.Context(), c.args, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Fatalf("%s: got exit code %d and %q, want 0 and nothing", c.name, code, &stderr)
		}
		for _, w := range c.want {
			if !strings.Contains(stdout.String(), w) {
				t.Errorf("%s: got %q, want %q in it", c.name, &stdout, w)
			}
		}
	}
	if runs, err := os.ReadDir("logs"); err != nil || len(runs) != 1 {
		t.Errorf("logs has %d folders (%v), want the one run's", len(runs), err)
	}
	f, err := os.Open("run/predictions.png")
	must(t, err)
	defer f.Close()
	if sheet, err := png.Decode(f); err != nil || sheet.Bounds().Dx() < 5*128 {
		t.Errorf("the contact sheet: %v, want a row of five images", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code := program(ctx, []string{"-dataset", "folder", "-data", "images", "-model", smallCfg, "-out", "third"}, &stdout, &stderr)
	if got, want := stderr.String(), "cifar10: interrupted; -resume third goes on from here\n"; code != 130 || got != want {
		t.Errorf("interrupted: got exit code %d and %q, want 130 and %q", code, got, want)
	}
}

// Mixed precision in float16, and what is for GPUs, which the CPU takes too.
func TestMixedPrecision(t *testing.T) {
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	args := []string{"-dataset", "shapes", "-limit", "64", "-batch", "16", "-epochs", "1", "-model", smallCfg, "-device", "cpu",
		"-autocast", "float16", "-capture", "-deterministic", "-benchmark", "-out", filepath.Join(dir, "run")}
	if code := program(t.Context(), args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code: got %d, want 0: %s", code, &stderr)
	}
	if want := "Capture: the steps are computed operation by operation: with Autocast in float16"; !strings.Contains(stdout.String(), want) {
		t.Errorf("got %q, want %q in it", &stdout, want)
	}
	m, err := trainer.ReadMetrics(filepath.Join(dir, "run"))
	if err != nil || len(m) != 1 || !(m[0].Scale > 0) {
		t.Errorf("metrics.jsonl: got %+v (%v), want an epoch with a scale", m, err)
	}
	c, err := trainer.ReadRunConfig(filepath.Join(dir, "run"))
	if err != nil || c.Autocast != "float16" || c.Settings["capture"] != "true" || c.Settings["benchmark"] != "true" || c.Settings["deterministic"] != "true" {
		t.Errorf("config.json: got autocast %q and settings %v (%v)", c.Autocast, c.Settings, err)
	}
}

// Where steps are captured the loss is looked at after each epoch.
func TestStopAfterEpoch(t *testing.T) {
	stop := stopAfterEpoch()
	if err := stop.Epoch(nil, &trainer.Metrics{Epoch: 2, TrainLoss: 0.5}); err != nil {
		t.Errorf("got error %v for a finite loss, want none", err)
	}
	err := stop.Epoch(nil, &trainer.Metrics{Epoch: 3, TrainLoss: jsonfloat.Float(math.NaN())})
	if want := "epoch 3: the training loss is NaN; -resume with -capture=false says where it begins"; !errors.Is(err, trainer.ErrNotFinite) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
}
