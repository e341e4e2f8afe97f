package jpeg

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"testing"
)

type stored struct {
	Name   string
	Own    bool // whether the decoder takes it
	JPEG   []byte
	W, H   int
	SHA256 string // of the pixels, red, green, blue
}

func pil(t testing.TB) []stored {
	b, err := os.ReadFile("testdata/pil.json")
	if err != nil {
		t.Fatal(err)
	}
	var s []stored
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// rgb returns the pixels of a part.
func rgb(im image.Image, r image.Rectangle) (pix []byte) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := color.NRGBAModel.Convert(im.At(x, y)).(color.NRGBA)
			pix = append(pix, c.R, c.G, c.B)
		}
	}
	return pix
}

// Pictures come out bit for bit as PIL decodes them, one after the other in the
// same memory, and a part is what the whole shows there.
func TestPIL(t *testing.T) {
	var d, other Decoder
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range pil(t) {
		t.Run(s.Name, func(t *testing.T) {
			if got := d.Open(s.JPEG); got != s.Own {
				t.Fatalf("Open: got %v, want %v", got, s.Own)
			}
			if !s.Own {
				return
			}
			if d.Width != s.W || d.Height != s.H {
				t.Fatalf("got %d×%d, want %d×%d", d.Width, d.Height, s.W, s.H)
			}
			whole := image.Rect(0, 0, s.W, s.H)
			im, ok := d.Decode(whole)
			if !ok || im.Bounds() != whole {
				t.Fatal("not decoded")
			}
			if sum := sha256.Sum256(rgb(im, whole)); hex.EncodeToString(sum[:]) != s.SHA256 {
				t.Error("the pixels are not PIL's")
			}
			for range 20 {
				x, y := r.IntN(s.W), r.IntN(s.H)
				part := image.Rect(x, y, x+1+r.IntN(s.W-x), y+1+r.IntN(s.H-y))
				if !other.Open(s.JPEG) {
					t.Fatal("not opened again")
				}
				got, ok := other.Decode(part)
				if !ok || got.Bounds() != part || !bytes.Equal(rgb(got, part), rgb(im, part)) {
					t.Fatalf("the part %v differs", part)
				}
			}
		})
	}
}

// What is cut off or damaged in its frame is left to image/jpeg.
func TestDamaged(t *testing.T) {
	for _, s := range pil(t) {
		if !s.Own || s.W != 17 {
			continue
		}
		for n := range s.JPEG {
			var d Decoder
			if d.Open(s.JPEG[:n]) {
				if _, ok := d.Decode(image.Rect(0, 0, d.Width, d.Height)); ok {
					t.Fatalf("%s: the first %d of %d bytes were enough", s.Name, n, len(s.JPEG))
				}
			}
		}
	}
}

// Whatever is decoded is decoded by image/jpeg too, to a picture of the same
// size, so that the data decides what is an error, and not the decoder.
func FuzzDecode(f *testing.F) {
	for i, s := range pil(f) {
		if i%7 == 0 {
			f.Add(s.JPEG)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d Decoder
		if !d.Open(data) || d.Width*d.Height > 1<<20 {
			return
		}
		size := image.Rect(0, 0, d.Width, d.Height)
		im, ok := d.Decode(size)
		if !ok {
			return
		}
		if im.Bounds() != size {
			t.Errorf("got %v, want %v", im.Bounds(), size)
		}
		want, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("image/jpeg says %v", err)
		}
		if want.Bounds() != size {
			t.Errorf("image/jpeg makes %v, want %v", want.Bounds(), size)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	im := image.NewRGBA(image.Rect(0, 0, 500, 375))
	for i := range im.Pix {
		im.Pix[i] = byte(i / 4 % 500 * i / 2000 / 97)
	}
	var w bytes.Buffer
	if err := jpeg.Encode(&w, im, &jpeg.Options{Quality: 90}); err != nil {
		b.Fatal(err)
	}
	var d Decoder
	b.ReportAllocs()
	for b.Loop() {
		if !d.Open(w.Bytes()) {
			b.Fatal("not opened")
		}
		if _, ok := d.Decode(im.Rect); !ok {
			b.Fatal("not decoded")
		}
	}
}
