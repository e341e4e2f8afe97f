package pil

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"image"
	"io"
	"os"
	"runtime"
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

// rgb returns the colours of an image of Decode.
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
	"png-palette-twice":                   "out of order",
	"png-no-palette":                      "out of order",
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
	"tiff-gray-2-one-plane":               "in planes: true", // PIL reads a byte a pixel, or does not invert
	"tiff-gray-4-one-plane":               "in planes: true",
	"tiff-inverted-1-one-plane":           "in planes: true",
	"tiff-inverted-2-one-plane":           "in planes: true",
	"tiff-inverted-4-one-plane":           "in planes: true",
	"tiff-inverted-8-one-plane":           "in planes: true",
	"tiff-palette-1-one-plane":            "in planes: true",
	"tiff-palette-2-one-plane":            "in planes: true",
	"tiff-palette-4-one-plane":            "in planes: true",
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
				t.Fatalf("got an image of %v, want an error as PIL's %s", im.Bounds(), f.Refused)
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

// Nothing in a file makes it panic, or take more memory than the image may.
func FuzzDecode(f *testing.F) {
	for _, c := range files(f) {
		f.Add(c.File)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		im, err := Decode(data, most(1<<16))
		if err != nil {
			return
		}
		if size := im.Bounds().Size(); im.Bounds().Min != (image.Point{}) || most(1<<16)(size.X, size.Y) != nil {
			t.Errorf("got %v, want at most %d pixels from (0, 0) on", im.Bounds(), 1<<16)
		}
		rgb(t, im)
	})
}

// A small file that says it is a large image takes no memory for it.
func TestAllocation(t *testing.T) {
	large := func(w, h int) error { return nil }
	ihdr := func(w, h uint32) []byte {
		b := []byte("IHDR\x00\x00\x00\x00\x00\x00\x00\x00\x10\x06\x00\x00\x00")
		binary.BigEndian.PutUint32(b[4:], w)
		binary.BigEndian.PutUint32(b[8:], h)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
		return append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), b...)
	}
	le := binary.LittleEndian
	tiff := func(tags ...[2]uint32) []byte {
		b := le.AppendUint16([]byte("II*\x00\x08\x00\x00\x00"), uint16(len(tags)))
		for _, t := range tags {
			b = le.AppendUint32(le.AppendUint32(le.AppendUint16(le.AppendUint16(b, uint16(t[0])), 4), 1), t[1])
		}
		return b
	}
	for name, data := range map[string][]byte{
		"png":            append(ihdr(13000, 13000), "\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e\x00\x00\x00\x00IEND\xae\x42\x60\x82"...),
		"gif":            []byte("GIF89a\x00\x30\x00\x30\x00\x00\x00,\x00\x00\x00\x00\x00\x30\x00\x30\x00\x02\x02D\x01\x00;"),
		"webp":           []byte("RIFF\x2c\x00\x00\x00WEBPVP8 \x20\x00\x00\x00\x30\x02\x00\x9d\x01\x2a\x00\x30\x00\x30" + strings.Repeat("\x47\x08", 11)),
		"gif, canvas":    []byte("GIF89a\x00\x30\x00\x30\x00\x00\x00,\x00\x00\x00\x00\x04\x00\x04\x00\x00\x02\x02D\x01\x00;"),
		"bmp":            []byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\x00\x30\x00\x00\x00\x30\x00\x00\x01\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
		"ppm":            []byte("P6 12000 12000 65535 "),
		"ppm in text":    []byte("P3 12000 12000 65535 1 2 3"),
		"tiff":           tiff([2]uint32{256, 12000}, [2]uint32{257, 12000}, [2]uint32{258, 8}, [2]uint32{273, 8}),
		"tiff, deflate":  tiff([2]uint32{256, 12000}, [2]uint32{257, 12000}, [2]uint32{258, 8}, [2]uint32{259, 8}, [2]uint32{273, 8}, [2]uint32{279, 90}),
		"tiff, LZW":      tiff([2]uint32{256, 12000}, [2]uint32{257, 12000}, [2]uint32{258, 8}, [2]uint32{259, 5}, [2]uint32{273, 8}, [2]uint32{279, 90}),
		"tiff, PackBits": tiff([2]uint32{256, 12000}, [2]uint32{257, 12000}, [2]uint32{258, 8}, [2]uint32{259, 32773}, [2]uint32{273, 8}, [2]uint32{279, 90}),
		"tiff, fax":      tiff([2]uint32{256, 12000}, [2]uint32{257, 12000}, [2]uint32{259, 4}, [2]uint32{273, 8}, [2]uint32{279, 90}),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			im, err := Decode(data, large)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("got an image of %v", im.Bounds())
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
				t.Errorf("it took %d bytes", n)
			}
		})
	}
}
