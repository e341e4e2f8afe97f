// Command tutorial trains VGG16 on CIFAR-10, line for line as PyTorch's tutorials do.
// docs/tutorial.md explains it. examples/cifar10 is the same with everything on.
//
//	go run ./examples/tutorial                    # downloads CIFAR-10 into ./data; 100 epochs
//	go run ./examples/tutorial -shapes -epochs 2  # images drawn in code, no download
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer/plots"
)

var cfg = models.Cfg{64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"}

type VGG struct {
	Features   *layers.Sequential
	Classifier *layers.Linear
	cfg        models.Cfg
}

func NewVGG(cfg models.Cfg) *VGG {
	features, channels := makeLayers(cfg)
	return &VGG{features, layers.NewLinear(channels, 10), cfg}
}

func (m *VGG) Forward(x *tensor.Tensor) *tensor.Tensor {
	out := m.Features.Forward(x)
	out = out.View(out.Size(0), -1)
	return m.Classifier.Forward(out)
}

func makeLayers(cfg models.Cfg) (features *layers.Sequential, channels int) {
	features, channels = layers.NewSequential(), 3
	for _, c := range cfg {
		if c == "M" {
			features.Append(layers.NewMaxPool2d(2, 2))
		} else {
			features.Append(
				layers.NewConv2d(channels, c.(int), 3, layers.ConvOpts{Padding: 1}),
				layers.NewBatchNorm2d(c.(int)),
				layers.ReLU{Inplace: true})
			channels = c.(int)
		}
	}
	features.Append(layers.NewAvgPool2d(1, 1))
	return features, channels
}

// Parts names what the network is made of: parameters, state dict and devices come from it.
func (m *VGG) Parts() []layers.Part {
	return []layers.Part{layers.Child("features", m.Features), layers.Child("classifier", m.Classifier)}
}

// Config is what Save writes beside the weights, and the constructor what Load calls with it.
func (m *VGG) Config() (name string, config []byte) {
	config, _ = json.Marshal(m.cfg)
	return "tutorial.VGG", config
}

func init() {
	layers.Register("tutorial.VGG", func(config []byte, elements int) (layers.Module, error) {
		var cfg models.Cfg
		if err := json.Unmarshal(config, &cfg); err != nil {
			return nil, err
		}
		if err := cfg.Check(32, 32); err != nil { // the file may come from a stranger
			return nil, err
		}
		return NewVGG(cfg), nil
	})
}

func train(model layers.Layer, loader *datasets.DataLoader, criterion layers.CrossEntropyLoss, optimizer optim.Optimizer) (loss, accuracy float64, err error) {
	layers.Train(model)
	correct, total := 0, 0
	for images, labels := range loader.All() {
		optimizer.ZeroGrad()
		output := model.Forward(images)
		batchLoss := criterion.Forward(output, labels)
		batchLoss.Backward()
		optimizer.Step()
		loss += batchLoss.Item()
		_, prediction := output.Max(1)
		correct += tensor.CountEqual(prediction, labels)
		total += labels.Len()
	}
	return loss / float64(loader.Len()), 100 * float64(correct) / float64(total), loader.Err()
}

func test(model layers.Layer, loader *datasets.DataLoader, criterion layers.CrossEntropyLoss) (loss, accuracy float64, err error) {
	layers.Eval(model)
	correct, total := 0, 0
	for images, labels := range autograd.NoGrad(loader.All()) {
		output := model.Forward(images)
		loss += criterion.Forward(output, labels).Item()
		_, prediction := output.Max(1)
		correct += tensor.CountEqual(prediction, labels)
		total += labels.Len()
	}
	return loss / float64(loader.Len()), 100 * float64(correct) / float64(total), loader.Err()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// dataset is a data set whose classes have names.
type dataset interface {
	datasets.Dataset
	Classes() []string
}

// data returns the images to train and to test with.
func data(root string, shapes bool) (trainSet, testSet dataset) {
	augment := transforms.Compose(transforms.RandomHorizontalFlip(0.5), transforms.ToTensor())
	if shapes {
		return datasets.NewShapes(datasets.ShapesOpts{Train: true, Transform: augment}), datasets.NewShapes(datasets.ShapesOpts{})
	}
	trainSet, err := datasets.NewCIFAR10(root, datasets.CIFAR10Opts{Train: true, Download: true, Transform: augment})
	if err != nil {
		check(fmt.Errorf("%w\n(go run ./examples/tutorial -shapes needs no download)", err))
	}
	testSet, err = datasets.NewCIFAR10(root, datasets.CIFAR10Opts{})
	check(err)
	return trainSet, testSet
}

func main() {
	root := flag.String("data", "data", "folder with CIFAR-10; what is missing is downloaded into it")
	epochs := flag.Int("epochs", 100, "passes over the training images")
	shapes := flag.Bool("shapes", false, "train on images drawn in code instead of CIFAR-10")
	limit := flag.Int("limit", 0, "take only the first so many images of each set; 0 means all")
	flag.Parse()

	trainSet, testSet := data(*root, *shapes)
	n, m := trainSet.Len(), testSet.Len()
	if *limit > 0 {
		n, m = min(n, *limit), min(m, *limit)
	}
	device := tensor.BestDevice()
	trainLoader := &datasets.DataLoader{Dataset: datasets.Slice(trainSet, 0, n), BatchSize: 64, Shuffle: true, Workers: 2, Device: device}
	testLoader := &datasets.DataLoader{Dataset: datasets.Slice(testSet, 0, m), BatchSize: 64, Device: device}

	model := NewVGG(cfg)
	layers.To(model, device)
	criterion := layers.CrossEntropyLoss{}
	optimizer := optim.NewAdam(layers.Parameters(model), 0.001)
	scheduler := sched.NewMultiStepLR(optimizer, []int{75, 150}, 0.5)
	var losses []plots.Epoch
	for epoch := 1; epoch <= *epochs; epoch++ {
		scheduler.StepTo(epoch)
		trainLoss, trainAccuracy, err := train(model, trainLoader, criterion, optimizer)
		check(err)
		check(layers.Save("model.safetensors", model))
		testLoss, testAccuracy, err := test(model, testLoader, criterion)
		check(err)
		fmt.Printf("epoch %d/%d: training loss %.3f, %.1f %% right; test loss %.3f, %.1f %% right\n", epoch, *epochs, trainLoss, trainAccuracy, testLoss, testAccuracy)
		losses = append(losses, plots.Epoch{Epoch: epoch, TrainLoss: trainLoss, TestLoss: testLoss, TrainAccuracy: trainAccuracy / 100, TestAccuracy: testAccuracy / 100})
		check(plots.Loss(losses).Save("losses.png"))
	}
	predictions(testSet, m, device)
}

// predictions shows what the saved model makes of the first test images.
func predictions(set dataset, n int, device *tensor.Device) {
	model, err := layers.Load[*VGG]("model.safetensors")
	check(err)
	layers.To(model, device)
	layers.Eval(model)
	toPILImage := transforms.ToPILImage()
	loader := &datasets.DataLoader{Dataset: datasets.Slice(set, 0, min(10, n)), BatchSize: 1, Device: device}
	var shown []plots.Prediction
	for images, labels := range autograd.NoGrad(loader.All()) {
		confidence, prediction := model.Forward(images).Softmax(1).Max(1)
		shown = append(shown, plots.Prediction{
			Image:      toPILImage(images.Select(0, 0)),
			Label:      set.Classes()[labels.Ints()[0]],
			Predicted:  set.Classes()[prediction.Ints()[0]],
			Confidence: confidence.Item(),
		})
		fmt.Println("label", shown[len(shown)-1].Label, "prediction", shown[len(shown)-1].Predicted)
	}
	check(loader.Err())
	check(plots.SavePNG("predictions.png", plots.Grid(shown, plots.GridOpts{})))
}
