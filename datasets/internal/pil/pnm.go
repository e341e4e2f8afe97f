package pil

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"math"
)

// isPNM knows the six kinds of portable bitmaps, graymaps and pixmaps.
func isPNM(data []byte) bool {
	return len(data) > 2 && data[0] == 'P' && data[1] >= '1' && data[1] <= '6' && isSpace(data[2])
}

func isSpace(c byte) bool { return c == ' ' || c >= 9 && c <= 13 }

// decodePNM reads PBM, PGM and PPM, as numbers in text or as bytes. Gray of more
// than 8 bits is spread over 16 and cut off at 255, as PIL does.
func decodePNM(data []byte, fits func(w, h int) error) (image.Image, error) {
	kind, text := (data[1]-'1')%3, data[1] < '4'
	at := 3
	var head [3]int
	head[2] = 1
	for i := range head {
		if i == 2 && kind == 0 {
			break
		}
		var err error
		if head[i], at, err = pnmNumber(data, at); err != nil {
			return nil, err
		}
	}
	w, h, most := head[0], head[1], head[2]
	if err := fits(w, h); err != nil {
		return nil, err
	}
	if most < 1 || most > 65535 {
		return nil, fmt.Errorf("a largest value of %d, want 1 to 65535", most)
	}
	samples := 1
	if kind == 2 {
		samples = 3
	}
	size := 1
	if most > 255 {
		size = 2
	}
	n := w * h * samples
	rest := data[at:]
	row := 0 // bytes, of a bitmap
	switch {
	case kind == 0 && !text:
		row = (w + 7) / 8
		if row*h > len(rest) {
			return nil, errCut
		}
	case text && n > len(rest), !text && n*size > len(rest):
		return nil, errCut
	}
	scale := func(v int) byte {
		if kind == 1 && most > 255 {
			if most == 65535 && !text {
				return byte(min(v, 255))
			}
			return byte(min(math.RoundToEven(float64(v)/float64(most)*65535), 255))
		}
		return byte(min(math.RoundToEven(float64(v)/float64(most)*255), 255))
	}
	var out image.Image
	var put func(i int, v byte)
	if kind == 2 {
		im := newRGB(w, h)
		out, put = im, func(i int, v byte) { im.Pix[i/3*4+i%3] = v }
	} else {
		im := image.NewGray(image.Rect(0, 0, w, h))
		out, put = im, func(i int, v byte) { im.Pix[i] = v }
	}
	for i := range n {
		switch {
		case kind == 0 && text:
			c := byte(0)
			if c, at = pnmDigit(data, at); c != '0' && c != '1' {
				return nil, errors.New("a bitmap's text that is not all 0 and 1")
			}
			put(i, c-'1')
		case kind == 0:
			put(i, rest[i/w*row+i%w/8]>>(7-i%w%8)&1-1)
		case text:
			v := 0
			var err error
			if v, at, err = pnmNumber(data, at); err != nil {
				return nil, err
			}
			if v > most {
				return nil, fmt.Errorf("the value %d, want at most %d", v, most)
			}
			put(i, scale(v))
		case size == 2:
			put(i, scale(int(binary.BigEndian.Uint16(rest[2*i:]))))
		default:
			put(i, scale(int(rest[i])))
		}
	}
	return out, nil
}

// skipSpace goes over white space and comments.
func skipSpace(data []byte, at int) int {
	for at < len(data) {
		switch {
		case data[at] == '#':
			for at < len(data) && data[at] != '\n' && data[at] != '\r' {
				at++
			}
		case isSpace(data[at]):
			at++
		default:
			return at
		}
	}
	return at
}

// pnmNumber reads a number and the one space behind it.
func pnmNumber(data []byte, at int) (v, next int, err error) {
	at = skipSpace(data, at)
	start := at
	for at < len(data) && data[at] >= '0' && data[at] <= '9' && at-start < 10 {
		v = 10*v + int(data[at]-'0')
		at++
	}
	switch {
	case at == len(data) && at == start:
		return 0, at, errCut
	case at == start, at < len(data) && !isSpace(data[at]), int64(v) > math.MaxInt32:
		return 0, at, fmt.Errorf("%q where a number belongs", data[start:min(at+1, len(data))])
	}
	return v, min(at+1, len(data)), nil
}

func pnmDigit(data []byte, at int) (c byte, next int) {
	at = skipSpace(data, at)
	if at == len(data) {
		return 0, at
	}
	return data[at], at + 1
}
