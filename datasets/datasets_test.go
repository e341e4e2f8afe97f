package datasets

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/tensor"
)

func TestShapes(t *testing.T) {
	a := NewShapes(ShapesOpts{})
	if a.Len() != 2000 || len(a.Classes()) != 10 {
		t.Fatalf("got %d images of %d classes, want 2000 of 10", a.Len(), len(a.Classes()))
	}
	count := map[int]int{}
	for i := range a.Len() {
		count[a.Label(i)]++
	}
	for c, n := range count {
		if n != 200 {
			t.Errorf("class %d has %d images, want 200", c, n)
		}
	}
	if !bytes.Equal(a.pixels, NewShapes(ShapesOpts{}).pixels) {
		t.Error("the same seed draws other images")
	}
	if bytes.Equal(a.pixels[:cifarBytes], NewShapes(ShapesOpts{Seed: 1}).pixels[:cifarBytes]) {
		t.Error("another seed draws the same images")
	}
	train := NewShapes(ShapesOpts{Train: true})
	if train.Len() != 10000 || bytes.Equal(a.pixels[:cifarBytes], train.pixels[:cifarBytes]) {
		t.Error("want 10000 training images, none of them the test images")
	}
	// The images are bright in the shape and darker around it: the corners
	// are never in it, and the image's brightest part is.
	for i := range 200 {
		px := a.pixels[i*cifarBytes:]
		light := func(x, y int) float64 {
			at := y*32 + x
			return luminance([3]float64{float64(px[at]), float64(px[1024+at]), float64(px[2048+at])})
		}
		var all []float64
		for k := range 1024 {
			all = append(all, light(k%32, k/32))
		}
		slices.Sort(all)
		corners := (light(0, 0) + light(31, 0) + light(0, 31) + light(31, 31)) / 4
		if top := all[len(all)-50]; top < corners+20 {
			t.Errorf("image %d, a %s: its bright part is %.0f, its corners %.0f", i, a.Classes()[a.Label(i)], top, corners)
		}
	}
}

// Inside of each shape the distance is negative, far outside positive, and it
// changes by no more than the way that is gone.
func TestShapeDistances(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range shapeKinds {
		inside := 0
		for range 20000 {
			p := point{4*r.Float64() - 2, 4*r.Float64() - 2}
			q := point{p.x + 0.1*r.NormFloat64(), p.y + 0.1*r.NormFloat64()}
			dp, dq := s.distance(p), s.distance(q)
			if math.Abs(dp-dq) > p.minus(q).length()+1e-9 {
				t.Fatalf("%s: the distance goes from %v to %v within %v", s.name, dp, dq, p.minus(q).length())
			}
			if p.length() > 1.2 && dp < 0 {
				t.Fatalf("%s: %v is inside, want nothing more than 1.2 from the middle", s.name, p)
			}
			if dp < 0 {
				inside++
			}
		}
		if area := float64(inside) / 20000 * 16; area < 0.7 || area > 3 {
			t.Errorf("%s covers %v, want about as much as the others", s.name, area)
		}
	}
}

func TestPictures(t *testing.T) {
	px := make([]byte, 2*1*2*3)
	for i := range px {
		px[i] = byte(10 * i)
	}
	p, err := NewImages(px, 1, 2, 3, []uint8{1, 0}, []string{"a", "b"}, transforms.Resize(2))
	if err != nil {
		t.Fatal(err)
	}
	x, y, err := p.Get(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	// What Resize leaves an image is made a tensor.
	want := []float32{60, 70, 80, 90, 100, 110}
	for i := range want {
		want[i] /= 255
	}
	if !x.Shape().Equal(tensor.Shape{1, 2, 3}) || !slices.Equal(x.Floats(), want) || y.Item() != 0 {
		t.Errorf("got %v %v", x.Floats(), y.Item())
	}
	if _, _, err := p.Get(2, nil); err == nil || !strings.Contains(err.Error(), "example 2 of 2") {
		t.Errorf("got %v", err)
	}
	p.transform = transforms.RandomCrop(9, 0)
	if _, _, err := p.Get(0, nil); err == nil || !strings.Contains(err.Error(), "RandomCrop") {
		t.Errorf("got %v, want the crop's error", err)
	}
	for want, f := range map[string]func() error{
		"12 bytes for 2 images of 3×2×3, want 36": func() error {
			_, err := NewImages(px, 3, 2, 3, []uint8{1, 0}, []string{"a", "b"}, nil)
			return err
		},
		"image 0 has the label 1, want 0 to 0": func() error {
			_, err := NewImages(px, 1, 2, 3, []uint8{1, 0}, []string{"a"}, nil)
			return err
		},
		"want 1.8446744073709552e+19": func() error { // as a product of ints it is 0
			_, err := NewImages(nil, 1, 1<<30, 1<<30, make([]uint8, 16), []string{"a"}, nil)
			return err
		},
		"want 1 or 3 channels": func() error {
			_, err := NewImages(px, 2, 2, 3, []uint8{1}, []string{"a", "b"}, nil)
			return err
		},
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// An index that no example has is named where there is no error to return.
func TestIndices(t *testing.T) {
	p, err := NewImages(make([]byte, 2), 1, 1, 1, []uint8{0, 0}, []string{"a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFiles(t, filepath.Join(dir, "a"), map[string][]byte{"1.png": onePixel(t), "2.png": onePixel(t)})
	f, err := NewImageFolder(dir, ImageFolderOpts{})
	if err != nil {
		t.Fatal(err)
	}
	s, c := &Subset{f, []int{1, 0}}, Concat{Slice(f, 0, 1), Slice(f, 1, 2)}
	for _, i := range []int{-1, 2, math.MinInt, math.MaxInt} {
		for name, get := range map[string]func(){
			"Images.Label": func() { p.Label(i) }, "Images.Image": func() { p.Image(i) },
			"ImageFolder.Label": func() { f.Label(i) }, "ImageFolder.Path": func() { f.Path(i) },
			"Subset.Path": func() { s.Path(i) }, "Concat.Path": func() { c.Path(i) },
		} {
			want := fmt.Sprintf("%s: example %d of 2, want 0 to 1", name, i)
			if err := tensor.Try(get); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		}
		for _, d := range []Dataset{p, f, s, c} {
			if _, _, err := d.Get(i, nil); err == nil || !strings.Contains(err.Error(), "of 2, want 0 to 1") {
				t.Errorf("%T: got %v", d, err)
			}
		}
	}
	if n := new(Tensors).Len(); n != 0 {
		t.Errorf("no tensors have %d rows", n)
	}
	if _, err := NewTensors(nil, tensor.Ones(1)); err == nil || !strings.Contains(err.Error(), "a tensor is nil") {
		t.Errorf("got %v", err)
	}
}

func TestSlice(t *testing.T) {
	s := Slice(numbers{n: 10}, 3, 6)
	if diff := cmp.Diff([]int{3, 4, 5}, s.Indices); diff != "" {
		t.Error(diff)
	}
	if got := Slice(numbers{n: 10}, 10, 10).Len(); got != 0 {
		t.Errorf("an empty slice has %d examples", got)
	}
	for _, r := range [][2]int{{-1, 2}, {3, 2}, {0, 11}} {
		err := tensor.Try(func() { Slice(numbers{n: 10}, r[0], r[1]) })
		if err == nil || !strings.Contains(err.Error(), "of a data set of 10") {
			t.Errorf("Slice%v: got %v, want an error", r, err)
		}
	}
}

func TestSubsets(t *testing.T) {
	label := func(d Dataset, i int) int {
		_, y, err := d.Get(i, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		return int(y.Item())
	}
	parts, err := RandomSplit(numbers{n: 10}, []int{7, 0, 3}, 1)
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, p := range parts {
		for i := range p.Len() {
			all = append(all, label(p, i))
		}
	}
	if slices.IsSorted(all) {
		t.Error("the split is in order, want a random one")
	}
	slices.Sort(all)
	if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(all, want) {
		t.Errorf("got %v, want each example once", all)
	}
	again, err := RandomSplit(numbers{n: 10}, []int{7, 0, 3}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(parts[0].Indices, again[0].Indices); diff != "" {
		t.Errorf("the same seed splits differently:\n%s", diff)
	}
	if _, err := RandomSplit(numbers{n: 10}, []int{5, 6}, 1); err == nil || !strings.Contains(err.Error(), "add up to 11, want 10") {
		t.Errorf("got %v", err)
	}
	if _, err := RandomSplit(numbers{n: 10}, []int{-1, 11}, 1); err == nil {
		t.Error("a negative length: got no error")
	}
	for want, lengths := range map[string][]int{
		"add up to more than an int holds, want 10": {math.MaxInt, math.MaxInt, 12},
		"want none below 0":                         {-math.MaxInt, 10},
	} {
		if _, err := RandomSplit(numbers{n: 10}, lengths, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("lengths %v: got %v, want %q in it", lengths, err, want)
		}
	}
	for want, d := range map[string]Dataset{"the data set is nil": nil, "has the length -3": numbers{n: -3}, "holds itself": concatInItself(), "want 0 to 1073741824": numbers{n: math.MaxInt}} {
		if _, err := RandomSplit(d, []int{math.MaxInt}, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("RandomSplit: got %v, want %q in it", err, want)
		}
		if err := tensor.Try(func() { Slice(d, 0, 0) }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Slice: got %v, want %q in it", err, want)
		}
	}
	both := Concat{numbers{n: 2}, numbers{}, filed{numbers{n: 3}}}
	var got []int
	for i := range both.Len() {
		got = append(got, label(both, i))
	}
	if want := []int{0, 1, 0, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if both.Path(4) != "dir/2.png" || both.Path(1) != "" {
		t.Errorf("got the paths %q and %q", both.Path(4), both.Path(1))
	}
	if _, _, err := both.Get(5, nil); err == nil {
		t.Error("past the end: got no error")
	}
	x, y := tensor.Arange(0, 6, 1).View(3, 2), tensor.From([]int{5, 6, 7})
	d, err := NewTensors(x, y)
	if err != nil {
		t.Fatal(err)
	}
	row, l, err := d.Get(2, nil)
	if err != nil || !slices.Equal(row.Ints(), []int64{4, 5}) || l.Item() != 7 || d.Len() != 3 {
		t.Errorf("got %v %v %v", row, l, err)
	}
	if _, err := NewTensors(x, tensor.Zeros(2)); err == nil || !strings.Contains(err.Error(), "[3 2] and [2]") {
		t.Errorf("got %v", err)
	}
}

// webp2x1 is a lossless WebP of a red and a blue pixel, made with Pillow.
var webp2x1 = []byte("\x52\x49\x46\x46\x1e\x00\x00\x00\x57\x45\x42\x50\x56\x50\x38\x4c\x11\x00\x00\x00\x2f\x01\x00\x00\x00\x0f\x10\xf3\xbf\xff\xf3\x1f\x0e\x32\xa2\xff\x01\x00")

func TestImageFolder(t *testing.T) {
	dir := t.TempDir()
	im := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	im.SetNRGBA(0, 0, color.NRGBA{255, 0, 0, 255})
	im.SetNRGBA(1, 0, color.NRGBA{0, 0, 255, 255})
	encode := func(f func(w *bytes.Buffer) error) []byte {
		var w bytes.Buffer
		if err := f(&w); err != nil {
			t.Fatal(err)
		}
		return w.Bytes()
	}
	gray := image.NewGray(image.Rect(0, 0, 2, 1))
	gray.Pix[1] = 255
	writeFiles(t, filepath.Join(dir, "zebra"), map[string][]byte{
		"b.PNG":     encode(func(w *bytes.Buffer) error { return png.Encode(w, im) }),
		"a.jpeg":    encode(func(w *bytes.Buffer) error { return jpeg.Encode(w, im, nil) }),
		"c.gif":     encode(func(w *bytes.Buffer) error { return gif.Encode(w, im, nil) }),
		"notes.txt": []byte("not an image"),
	})
	writeFiles(t, filepath.Join(dir, "ant", "deeper"), map[string][]byte{
		"gray.png": encode(func(w *bytes.Buffer) error { return png.Encode(w, gray) }),
		"x.webp":   webp2x1,
	})
	writeFiles(t, dir, map[string][]byte{"readme.png": {}})
	f, err := NewImageFolder(dir, ImageFolderOpts{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ant", "zebra"}, f.Classes()); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
	var names []string
	for i := range f.Len() {
		rel, err := filepath.Rel(dir, f.Path(i))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprint(filepath.ToSlash(rel), f.Label(i)))
	}
	if diff := cmp.Diff([]string{"ant/deeper/gray.png0", "ant/deeper/x.webp0", "zebra/a.jpeg1", "zebra/b.PNG1", "zebra/c.gif1"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for i, want := range [][]float32{{0, 1, 0, 1, 0, 1}, {1, 0, 0, 0, 0, 1}, nil, {1, 0, 0, 0, 0, 1}, {1, 0, 0, 0, 0, 1}} {
		x, y, err := f.Get(i, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !x.Shape().Equal(tensor.Shape{3, 1, 2}) || want != nil && !slices.Equal(x.Floats(), want) || y.Item() != float64(f.Label(i)) {
			t.Errorf("%s: got %v %v, label %v, want %v", f.Path(i), x.Shape(), x.Floats(), y.Item(), want)
		}
	}
}

func TestImageFolderErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewImageFolder(filepath.Join(dir, "none"), ImageFolderOpts{}); err == nil {
		t.Error("a missing folder: got no error")
	}
	if _, err := NewImageFolder(dir, ImageFolderOpts{}); err == nil || !strings.Contains(err.Error(), "has no folder") {
		t.Errorf("got %v", err)
	}
	writeFiles(t, filepath.Join(dir, "cat"), map[string][]byte{"notes.txt": nil})
	if _, err := NewImageFolder(dir, ImageFolderOpts{}); err == nil || !strings.Contains(err.Error(), "no image (.jpg, .jpeg, .png, .ppm, .bmp, .pgm, .tif, .tiff, .webp, .gif) in "+filepath.Join(dir, "cat")) {
		t.Errorf("got %v", err)
	}
	// An image that says it has 65,535 × 65,535 pixels is refused unread.
	var w bytes.Buffer
	if err := gif.Encode(&w, image.NewGray(image.Rect(0, 0, 1, 1)), nil); err != nil {
		t.Fatal(err)
	}
	bomb := w.Bytes()
	copy(bomb[6:10], "\xff\xff\xff\xff")
	good := new(bytes.Buffer)
	if err := png.Encode(good, image.NewGray(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, filepath.Join(dir, "cat"), map[string][]byte{"1.gif": bomb, "2.png": []byte("junk"), "3.png": good.Bytes()[:45], "4.png": good.Bytes(), "5.png": nil})
	f, err := NewImageFolder(dir, ImageFolderOpts{Transform: transforms.Compose(transforms.ToTensor(), transforms.CenterCrop(1), transforms.Resize(1))})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.Path(4)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"an image of 65535×65535 pixels", "begins with \"junk\"", "cut off", "put Resize before ToTensor", "no such file"} {
		_, _, err := f.Get(i, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), f.Path(i)) != 1 {
			t.Errorf("%s: got %v, want %q in it", f.Path(i), err, want)
		}
	}
	l := &DataLoader{Dataset: f, BatchSize: 2}
	for range l.All() {
		t.Error("got a batch")
	}
	if want := fmt.Sprintf("example 0: %s: GIF: an image", f.Path(0)); l.Err() == nil || !strings.Contains(l.Err().Error(), want) {
		t.Errorf("got %v, want %q in it", l.Err(), want)
	}
	small, err := NewImageFolder(dir, ImageFolderOpts{MaxPixels: 599})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := small.Image(3); err == nil || !strings.Contains(err.Error(), "at most 599") {
		t.Errorf("got %v", err)
	}
}

// With transforms that a folder does in one pass, its examples and batches are
// what the transforms make of its images one by one, and its errors too name
// the file.
func TestImageFolderFused(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{}
	for i := range 12 {
		r := image.Rect(0, 0, 40+7*i, 70-3*i)
		im, gray := image.NewNRGBA(r), image.NewGray(r)
		for k := range im.Pix {
			im.Pix[k] = byte(k*k/(i+50)) | byte(k%4/3*255)
		}
		for k := range gray.Pix {
			gray.Pix[k] = byte(k * k / (i + 50))
		}
		var w bytes.Buffer
		var err error
		switch i % 4 {
		case 0:
			err = png.Encode(&w, im)
		case 1:
			err = jpeg.Encode(&w, gray, nil)
		default:
			err = jpeg.Encode(&w, im, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		files[fmt.Sprintf("%02d.%s", i, []string{"png", "jpg"}[min(i%4, 1)])] = w.Bytes()
	}
	writeFiles(t, filepath.Join(dir, "a"), files)
	tr := transforms.Compose(transforms.Resize(36), transforms.RandomCrop(32, 0), transforms.RandomHorizontalFlip(0.5), transforms.ToTensor())
	f, err := NewImageFolder(dir, ImageFolderOpts{Transform: tr})
	if err != nil {
		t.Fatal(err)
	}
	if fill, l := f.fuse(); fill == nil || l.shape != [3]int{3, 32, 32} {
		t.Fatal("the fast way is not taken")
	}
	for i := range f.Len() {
		im, err := f.Image(i)
		if err != nil {
			t.Fatal(err)
		}
		x, y, err := f.Get(i, rand.New(rand.NewPCG(uint64(i), 0)))
		if err != nil {
			t.Fatal(err)
		}
		want, err := apply(tr, transforms.Sample{Image: inColour(im)}, rand.New(rand.NewPCG(uint64(i), 0)))
		if err != nil {
			t.Fatal(err)
		}
		if !x.Shape().Equal(want.Shape()) || !slices.Equal(x.Floats(), want.Floats()) {
			t.Errorf("%s: the numbers differ", f.Path(i))
		}
		friends.Release(x)
		friends.Release(y)
		friends.Release(want)
	}
	var batches [2][]float32
	for k, workers := range []int{1, 3} {
		l := &DataLoader{Dataset: f, BatchSize: 5, Shuffle: true, Seed: 3, Workers: workers}
		for x := range l.All() {
			batches[k] = append(batches[k], x.Floats()...)
		}
		if l.Err() != nil {
			t.Fatal(l.Err())
		}
	}
	if len(batches[0]) != 12*3*32*32 || !slices.Equal(batches[0], batches[1]) {
		t.Error("the batches depend on the number of workers")
	}
	// A JPEG that is cut off, and an image that is too small for its crop.
	cut := filepath.Join(dir, "a", "02.jpg")
	if err := os.WriteFile(cut, files["02.jpg"][:len(files["02.jpg"])-40], 0o600); err != nil {
		t.Fatal(err)
	}
	large, err := NewImageFolder(dir, ImageFolderOpts{Transform: transforms.Compose(transforms.RandomCrop(64, 0), transforms.ToTensor())})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		set  *ImageFolder
		i    int
		want string
	}{{f, 2, "the file is cut off"}, {large, 0, "crop of 64×64 from an image of 70×40"}} {
		l := &DataLoader{Dataset: Slice(tt.set, tt.i, tt.i+1), BatchSize: 1}
		for range l.All() {
			t.Error("got a batch")
		}
		if err := l.Err(); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), tt.set.Path(tt.i)) != 1 || !strings.Contains(err.Error(), "example 0") {
			t.Errorf("got %v, want %q and the file's name in it", err, tt.want)
		}
	}
}

// A damaged JPEG does not change the image that is read after it, and what is
// read does not depend on the number of workers.
func TestDamagedJPEG(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	im := image.NewRGBA(image.Rect(0, 0, 32, 32))
	for i := range im.Pix {
		im.Pix[i] = byte(r.Uint32())
	}
	var w bytes.Buffer
	if err := jpeg.Encode(&w, im, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		data := bytes.Clone(w.Bytes())
		if i%2 == 0 {
			at := len(data)/2 + 5*i
			copy(data[at:at+20], bytes.Repeat([]byte{0xfe}, 20))
		}
		if err := os.WriteFile(filepath.Join(dir, "a", fmt.Sprintf("%02d.jpg", i)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := NewImageFolder(dir, ImageFolderOpts{})
	if err != nil {
		t.Fatal(err)
	}
	var seen [2][]float32
	for k, workers := range []int{1, 4} {
		l := &DataLoader{Dataset: f, BatchSize: 1, Workers: workers}
		for x := range l.All() {
			seen[k] = append(seen[k], x.Floats()...)
		}
		if l.Err() != nil {
			t.Fatal(l.Err())
		}
	}
	const size = 3 * 32 * 32
	if len(seen[0]) != 40*size || !slices.Equal(seen[0], seen[1]) {
		t.Error("the images depend on the number of workers")
	}
	for i := 3; i < 40; i += 2 {
		if !slices.Equal(seen[0][i*size:(i+1)*size], seen[0][size:2*size]) {
			t.Errorf("image %d, which is whole, is not image 1", i)
		}
	}
}
