package jpeg

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// stored is what testdata/make.py wrote.
type stored struct {
	Cases []struct {
		Name, JPEG string
		W, H       int    // 0 where PIL refuses
		Pixels     string // first digits of the SHA-256 of red, green, blue
		Error      string // is in ours, where PIL has pixels
	}
	Bases   []string
	Damaged []mutation
}

// mutation is damage to a base, and the pixels that PIL makes, none where it
// refuses.
type mutation struct {
	Base, At, Gone int
	With, Pixels   string
}

func pil(t testing.TB) (s stored) {
	f, err := os.Open("testdata/pil.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
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

// decode returns the size and the pixels of all of an image.
func decode(d *Decoder, data []byte) (w, h int, pix []byte, err error) {
	if err := d.Open(data); err != nil {
		return 0, 0, nil, err
	}
	whole := image.Rect(0, 0, d.Width, d.Height)
	im, err := d.Decode(whole)
	if err != nil {
		return 0, 0, nil, err
	}
	return d.Width, d.Height, rgb(im, whole), nil
}

func digits(pix []byte) string {
	sum := sha256.Sum256(pix)
	return hex.EncodeToString(sum[:8])
}

// Images come out bit for bit as PIL decodes them, one after the other in the
// same memory, and a part is what the whole shows there. What PIL refuses is
// refused.
func TestPIL(t *testing.T) {
	var d, other Decoder
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range pil(t).Cases {
		t.Run(s.Name, func(t *testing.T) {
			data := unhex(t, s.JPEG)
			w, h, pix, err := decode(&d, data)
			if s.W == 0 || s.Error != "" {
				if err == nil || !strings.Contains(err.Error(), s.Error) {
					t.Fatalf("got %d×%d pixels and the error %v, want one with %q", w, h, err, s.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if w != s.W || h != s.H {
				t.Fatalf("got %d×%d, want %d×%d", w, h, s.W, s.H)
			}
			if digits(pix) != s.Pixels {
				t.Error("the pixels are not PIL's")
			}
			for range 20 {
				x, y := r.IntN(w), r.IntN(h)
				part := image.Rect(x, y, x+1+r.IntN(w-x), y+1+r.IntN(h-y))
				if err := other.Open(data); err != nil {
					t.Fatal(err)
				}
				got, err := other.Decode(part)
				if err != nil || got.Bounds() != part {
					t.Fatalf("the part %v: got %v, %v", part, got.Bounds(), err)
				}
				for y := part.Min.Y; y < part.Max.Y; y++ {
					row := image.Rect(part.Min.X, y, part.Max.X, y+1)
					if at := 3 * (y*w + part.Min.X); !bytes.Equal(rgb(got, row), pix[at:at+3*part.Dx()]) {
						t.Fatalf("the part %v differs in row %d", part, y)
					}
				}
			}
		})
	}
}

// Damaged data makes PIL's pixels or is an error, but nothing else; and the
// image that is decoded next is what it always is.
func TestDamaged(t *testing.T) {
	s := pil(t)
	var d Decoder
	good := make([][]byte, len(s.Bases))
	bases := make([][]byte, len(s.Bases))
	for i, b := range s.Bases {
		bases[i] = unhex(t, b)
		var fresh Decoder
		var err error
		if _, _, good[i], err = decode(&fresh, bases[i]); err != nil {
			t.Fatal(err)
		}
	}
	equal, refused := 0, 0
	for i, m := range s.Damaged {
		base := bases[m.Base]
		data := append(append(base[:m.At:m.At], unhex(t, m.With)...), base[min(m.At+m.Gone, len(base)):]...)
		_, _, pix, err := decode(&d, data)
		switch {
		case err == nil && digits(pix) != m.Pixels:
			t.Errorf("damage %d (%+v): the pixels are not PIL's", i, m)
		case err == nil:
			equal++
		case m.Pixels != "":
			refused++
		}
		next := i % len(bases)
		if _, _, pix, err := decode(&d, bases[next]); err != nil || !bytes.Equal(pix, good[next]) {
			t.Fatalf("damage %d (%+v): image %d is another one after it (%v)", i, m, next, err)
		}
	}
	if equal < 620 || refused > 5 {
		t.Errorf("%d damaged images are PIL's, and %d are refused that PIL takes, want at least 620 and at most 5", equal, refused)
	}
}

// damage changes some bytes.
func damage(r *rand.Rand, data []byte) []byte {
	data = bytes.Clone(data)
	at := 2 + r.IntN(len(data)-2)
	switch r.IntN(5) {
	case 0:
		copy(data[at:], bytes.Repeat([]byte{0xfe}, 20))
	case 1:
		data[at] ^= 1 << r.IntN(8)
	case 2:
		data = data[:at]
	case 3:
		data = append(data[:at], data[min(at+1+r.IntN(9), len(data)):]...)
	default:
		for range 1 + r.IntN(10) {
			data[2+r.IntN(len(data)-2)] = byte(r.Uint32())
		}
	}
	return data
}

// A decoder that has met thousands of damaged images decodes as a new one.
func TestAfterDamage(t *testing.T) {
	var d Decoder
	r := rand.New(rand.NewPCG(3, 4))
	bases := pil(t).Bases
	for i := range 4000 {
		base := unhex(t, bases[r.IntN(len(bases))])
		bad := damage(r, base)
		var fresh Decoder
		for _, data := range [][]byte{bad, base} {
			w, h, pix, err := decode(&d, data)
			w1, h1, want, err1 := decode(&fresh, data)
			if w != w1 || h != h1 || !bytes.Equal(pix, want) || fmt.Sprint(err) != fmt.Sprint(err1) {
				t.Fatalf("image %d: the decoder has kept something: %v and %v", i, err, err1)
			}
		}
	}
}

// What is cut off is refused, wherever.
func TestCut(t *testing.T) {
	for i, b := range pil(t).Bases[:6] {
		data := unhex(t, b)
		var d Decoder
		for n := range data {
			if _, _, _, err := decode(&d, data[:n]); err == nil {
				t.Fatalf("image %d: the first %d of %d bytes were enough", i, n, len(data))
			}
		}
	}
}

// Small files do not take long, nor much memory.
func TestBombs(t *testing.T) {
	base := unhex(t, pil(t).Bases[3])
	last := bytes.LastIndex(base, []byte{0xff, sos})
	scan := base[last : len(base)-2]
	var d Decoder
	data := append(append(base[:last:last], bytes.Repeat(scan, 100)...), 0xff, eoi)
	if _, _, _, err := decode(&d, data); err == nil || !strings.Contains(err.Error(), "more than 100 scans") {
		t.Errorf("110 scans: got %v", err)
	}
	at := bytes.Index(base, []byte{0xff, 0xc2})
	data = bytes.Clone(base)
	copy(data[at+5:], []byte{0xf0, 0, 0xf0, 0})
	if err := d.Open(data); err == nil || !strings.Contains(err.Error(), "61440×61440 pixels in") {
		t.Errorf("a large image in few bytes: got %v", err)
	}
}

// A second image of the same data would be of what is behind it.
func TestTwice(t *testing.T) {
	var d Decoder
	if im, err := d.Decode(image.Rect(0, 0, 1, 1)); err == nil {
		t.Errorf("got %v of nothing", im.Bounds())
	}
	for _, b := range pil(t).Bases {
		if _, _, _, err := decode(&d, unhex(t, b)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Decode(image.Rect(0, 0, 1, 1)); err == nil || !strings.Contains(err.Error(), "decoded before") {
			t.Errorf("got %v, want an error", err)
		}
	}
}

// Both transforms are one where no number is too large for the fast one.
func TestTransforms(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 20000 {
		var in [64]int32
		left, set := int64(exact), uint64(1)
		for range 1 + r.IntN(64) {
			k := r.IntN(64)
			left += abs(in[k])
			in[k] = int32(r.Int64N(2*left+1) - left)
			if r.IntN(2) == 0 {
				in[k] /= 16
			}
			left -= abs(in[k])
			set |= 1 << k
		}
		var a, b [64]byte
		idct(a[:], 8, &in, set)
		idct16(b[:], 8, &in, set)
		if a != b {
			t.Fatalf("block %d: %v: got %v and %v", i, in, a, b)
		}
	}
}

// Whatever a file says, decoding ends without a panic, in memory that its size
// bounds, a decoder that was used before decodes as a new one, and a part is the
// whole's.
func FuzzDecode(f *testing.F) {
	s := pil(f)
	for i, c := range s.Cases {
		if i%9 == 0 {
			f.Add(unhex(f, c.JPEG))
		}
	}
	for _, b := range s.Bases {
		f.Add(unhex(f, b))
	}
	used := new(Decoder)
	f.Fuzz(func(t *testing.T, data []byte) {
		var d Decoder
		if d.Open(data) != nil || d.Width*d.Height > 1<<20 {
			return
		}
		w, h, want, err := decode(&d, data)
		memory := 0
		for i := range d.pix {
			memory += cap(d.pix[i]) + 2*cap(d.keep[i])
		}
		// Three bytes for each sample of at most 8 blocks a byte, which MCUs of 4×4 may surround.
		if most := 3 * 64 * 16 * 8 * (len(data) + 1); memory > most {
			t.Errorf("%d bytes of samples for a file of %d, want at most %d", memory, len(data), most)
		}
		if w1, h1, pix, err1 := decode(used, data); w != w1 || h != h1 || !bytes.Equal(pix, want) || fmt.Sprint(err) != fmt.Sprint(err1) {
			t.Errorf("another image from a used decoder: %v and %v", err, err1)
		}
		if err != nil {
			return
		}
		if err := used.Open(data); err != nil {
			t.Fatal(err)
		}
		part := image.Rect(w/3, h/2, w, h)
		im, err := used.Decode(part)
		if err != nil {
			t.Fatal(err)
		}
		for y := part.Min.Y; y < h; y++ {
			row := image.Rect(part.Min.X, y, w, y+1)
			if at := 3 * (y*w + part.Min.X); !bytes.Equal(rgb(im, row), want[at:at+3*part.Dx()]) {
				t.Fatalf("the part %v differs in row %d", part, y)
			}
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
		if err := d.Open(w.Bytes()); err != nil {
			b.Fatal(err)
		}
		if _, err := d.Decode(im.Rect); err != nil {
			b.Fatal(err)
		}
	}
}
