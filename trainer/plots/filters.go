package plots

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"golang.org/x/image/draw"

	"github.com/wick-ml/wick/tensor"
)

// Filters draws the weight [K C R S] of a first convolution, with C of 3 (or 1), as
// K little images in rows. Each has its own scale, on which mid-grey is zero and
// its largest value, of either sign, is full brightness or black.
func Filters(weight *tensor.Tensor, title string) (image.Image, error) {
	shape := weight.Shape()
	if len(shape) != 4 || shape[1] != 3 && shape[1] != 1 {
		return nil, fmt.Errorf("the weight is %v, want [K 3 R S] or [K 1 R S], as that of a first convolution", shape)
	}
	k, channels, r, s := shape[0], shape[1], shape[2], shape[3]
	values := weight.Floats()
	gap := 6
	side := max(1, 48/max(1, r, s)) // of one value, in pixels
	wish := int(math.Ceil(math.Sqrt(2 * float64(max(1, k)))))
	columns := wish
	for c := max(1, wish*3/4); c <= wish*3/2; c++ {
		if k%c == 0 {
			columns = c // full rows, where there are some of about that length
		}
	}
	columns = max(1, min(columns, k, 1000/(side*s+gap)+1))
	rows := (k + columns - 1) / columns
	const top = 62
	sheet := image.NewRGBA(image.Rect(0, 0, max(360, 2*gridMargin+columns*(side*s+gap)), top+gridMargin+rows*(side*r+gap)))
	draw.Draw(sheet, sheet.Bounds(), image.White, image.Point{}, draw.Src)
	words := newWriter(sheet)
	defer words.close()
	room := sheet.Bounds().Dx() - 2*gridMargin
	if title == "" {
		title = "Filters of the first layer"
	}
	words.write(words.head, gridMargin, 27, room, title, ink)
	words.write(words.small, gridMargin, 48, room, fmt.Sprintf("%d filters of %d × %d, each on its own scale; grey is 0", k, r, s), pale)
	for f := range k {
		filter := values[f*channels*r*s : (f+1)*channels*r*s]
		largest := 0.0
		for _, v := range filter {
			if !finite(float64(v)) {
				return nil, fmt.Errorf("filter %d of the weight %v holds %v, want finite values", f, shape, v)
			}
			largest = max(largest, math.Abs(float64(v)))
		}
		if largest == 0 {
			largest = 1
		}
		x0, y0 := gridMargin+f%columns*(side*s+gap), top+f/columns*(side*r+gap)
		for p := range r * s {
			var c [3]byte
			for i := range c {
				c[i] = level(0.5 + 0.5*float64(filter[min(i, channels-1)*r*s+p])/largest)
			}
			x, y := x0+p%s*side, y0+p/s*side
			draw.Draw(sheet, image.Rect(x, y, x+side, y+side), image.NewUniform(color.RGBA{c[0], c[1], c[2], 0xff}), image.Point{}, draw.Src)
		}
	}
	return sheet, nil
}
