package pil

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"errors"
	"image"
	"io"
	"os"
	"strings"
	"testing"
)

// file is one of testdata/make.py's.
type file struct {
	Name          string
	File          []byte
	Width, Height int
	RGB           []byte // packed
	Refused       string // by PIL
}

func files(t testing.TB) (all []file) {
	b, err := os.ReadFile("testdata/pil.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

var errTooLarge = errors.New("too large")

func most(pixels int) func(w, h int) error {
	return func(w, h int) error {
		if w < 1 || h < 1 || w > pixels/h {
			return errTooLarge
		}
		return nil
	}
}

// rgb returns the colours of a picture of Decode.
func rgb(t testing.TB, im image.Image) (pix []byte) {
	switch im := im.(type) {
	case *image.Gray:
		for _, v := range im.Pix {
			pix = append(pix, v, v, v)
		}
	case *image.NRGBA:
		for i := 0; i < len(im.Pix); i += 4 {
			if im.Pix[i+3] != 255 {
				t.Fatalf("pixel %d has the alpha %d, want 255", i/4, im.Pix[i+3])
			}
			pix = append(pix, im.Pix[i:i+3]...)
		}
	default:
		t.Fatalf("got a %T, want *image.Gray or *image.NRGBA", im)
	}
	return pix
}

// notRead are files that PIL reads and this package refuses, with a word of the
// sentence that says why.
var notRead = map[string]string{
	"png-no-end":                          "cut off",
	"tiff-lab":                            "photometric",
	"tiff-ycbcr":                          "photometric",
	"tiff-rgb-16-planar":                  "in planes: true", // PIL takes the low bytes for a second row
	"tiff-cmyk-16-planar":                 "in planes: true",
	"tiff-rgb-16-extra-0-planar-deflate":  "in planes: true",
	"tiff-rgb-16-extra-1-planar-deflate":  "in planes: true",
	"tiff-rgb-16-extra-2-planar":          "in planes: true",
	"tiff-rgb-16-extra-2-planar-deflate":  "in planes: true",
	"tiff-rgb-8-no-extra-planar":          "in planes: true",
	"tiff-rgb-8-no-extra-planar-deflate":  "in planes: true",
	"tiff-gray-extra-0-planar-deflate":    "in planes: true",
	"tiff-gray-extra-2-planar-deflate":    "in planes: true",
	"tiff-palette-extra-2-planar-deflate": "in planes: true",
	"tiff-cmyk-five-planar-deflate":       "in planes: true",
	"tiff-saved-tiff_ccitt-1":             "compression 2,",
	"tiff-saved-jpeg-RGB":                 "compression 7,",
	"tiff-saved-lzma-RGB":                 "compression 34925,",
	"tiff-saved-zstd-RGB":                 "compression 50000,",
}

// Every file has PIL's pixels, or is refused.
func TestPIL(t *testing.T) {
	for _, f := range files(t) {
		t.Run(f.Name, func(t *testing.T) {
			im, err := Decode(f.File, most(1<<20))
			if word := notRead[f.Name]; word != "" {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Fatalf("got the error %v, want one with %q", err, word)
				}
				return
			}
			switch {
			case f.Refused != "" && err == nil:
				t.Fatalf("got a picture of %v, want an error as PIL's %s", im.Bounds(), f.Refused)
			case f.Refused != "":
				return
			case err != nil:
				t.Fatal(err)
			}
			if got, want := im.Bounds(), image.Rect(0, 0, f.Width, f.Height); got != want {
				t.Fatalf("got %v, want %v", got, want)
			}
			z, err := zlib.NewReader(bytes.NewReader(f.RGB))
			if err != nil {
				t.Fatal(err)
			}
			want, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			wrong, worst := 0, 0
			for i, v := range rgb(t, im) {
				if d := int(v) - int(want[i]); d != 0 {
					wrong++
					worst = max(worst, d, -d)
				}
			}
			if wrong > 0 {
				t.Errorf("%d of %d values differ, by up to %d", wrong, len(want), worst)
			}
		})
	}
}
