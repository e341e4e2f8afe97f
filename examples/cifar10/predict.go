package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
)

// predict loads a model, prints the label and the prediction of the test pictures
// opts.from to opts.to, and shows them in one PNG file.
func predict(ctx context.Context, opts options) error {
	model, err := layers.Load[*models.VGG](opts.predict)
	if err != nil {
		return err
	}
	layers.To(model, opts.device)
	layers.Eval(model)
	_, testSet, err := loadData(ctx, &opts)
	if err != nil {
		return err
	}
	if known := model.Classifier.Weight.Size(0); known != len(opts.classes) {
		return fmt.Errorf("%s knows %d classes, the dataset has %d", opts.predict, known, len(opts.classes))
	}
	if opts.to >= testSet.Len() {
		return fmt.Errorf("-to %d: there are %d test pictures, want %d or less", opts.to, testSet.Len(), testSet.Len()-1)
	}
	if err := makeOut(opts.out); err != nil {
		return err
	}
	loader := &datasets.DataLoader{Dataset: datasets.Slice(testSet, opts.from, opts.to+1), BatchSize: opts.batch, Workers: opts.workers, Device: opts.device}

	toPILImage := transforms.ToPILImage()
	var cells []cell
	for images, labels := range autograd.NoGrad(loader.All()) {
		output := model.Forward(images)
		confidence, prediction := output.Softmax(1).Max(1)
		percent := confidence.MulScalar(100).Floats()
		for i, label := range labels.Ints() {
			c := cell{
				picture:   toPILImage(images.Select(0, i)),
				label:     opts.classes[label],
				predicted: opts.classes[prediction.Ints()[i]],
				percent:   percent[i],
			}
			fmt.Fprintf(opts.stdout, "%4d  label %-12s prediction %-12s %5.1f %%%s\n", opts.from+len(cells), c.label, c.predicted, c.percent, c.mark())
			cells = append(cells, c)
		}
	}
	if err := loader.Err(); err != nil {
		return err
	}
	path := filepath.Join(opts.out, "predictions.png")
	if err := writePNG(path, contactSheet(cells)); err != nil {
		return err
	}
	fmt.Fprintln(opts.stdout, "pictures:", path)
	return nil
}

// cell is a picture of the contact sheet with what is written below it.
type cell struct {
	picture          image.Image
	label, predicted string
	percent          float32
}

func (c cell) mark() string {
	if c.label != c.predicted {
		return "  wrong"
	}
	return ""
}

const (
	side    = 128 // of a picture on the sheet, in pixels
	margin  = 8
	caption = 34 // two lines of text
	columns = 5
)

// contactSheet draws the pictures in rows of five, each with its label and
// prediction: green if they agree, red if not.
func contactSheet(cells []cell) image.Image {
	cols := min(columns, len(cells))
	rows := (len(cells) + columns - 1) / columns
	sheet := image.NewRGBA(image.Rect(0, 0, cols*(side+margin)+margin, rows*(side+caption+margin)+margin))
	draw.Draw(sheet, sheet.Bounds(), image.White, image.Point{}, draw.Src)
	for i, c := range cells {
		x, y := margin+i%columns*(side+margin), margin+i/columns*(side+caption+margin)
		draw.NearestNeighbor.Scale(sheet, image.Rect(x, y, x+side, y+side), c.picture, c.picture.Bounds(), draw.Src, nil)
		ink := color.RGBA{0, 110, 40, 255}
		if c.mark() != "" {
			ink = color.RGBA{190, 20, 20, 255}
		}
		write := func(line int, text string, ink color.Color) {
			d := font.Drawer{Dst: sheet, Src: image.NewUniform(ink), Face: basicfont.Face7x13, Dot: fixed.P(x, y+side+13*line+1)}
			d.DrawString(text)
		}
		write(1, c.label, color.Black)
		write(2, fmt.Sprintf("%s %.0f%%", c.predicted, c.percent), ink)
	}
	return sheet
}

func writePNG(path string, img image.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, img), f.Close())
}
