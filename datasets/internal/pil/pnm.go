package pil

import (
	"bytes"
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
	rest := data[min(at, len(data)):]
	row := 0 // bytes, of a bitmap
	switch {
	case text:
		rest = uncommented(rest)
		if n > len(rest) {
			return nil, errCut
		}
	case kind == 0:
		row = (w + 7) / 8
		if row*h > len(rest) {
			return nil, errCut
		}
	case n*size > len(rest):
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
	at = 0
	for i := range n {
		switch {
		case kind == 0 && text:
			c := 0
			if c, at = pnmDigit(rest, at); c != '0' && c != '1' {
				return nil, errNoBits
			}
			put(i, byte(c-'1'))
		case kind == 0:
			put(i, rest[i/w*row+i%w/8]>>(7-i%w%8)&1-1)
		case text:
			v := 0
			var err error
			if v, at, err = pnmNumber(rest, at); err != nil {
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
	// PIL looks at more of a text than it needs.
	switch {
	case kind == 0 && text:
		for at < len(rest) {
			c := 0
			if c, at = pnmDigit(rest, at); c >= 0 && c != '0' && c != '1' {
				return nil, errNoBits
			}
		}
	case text:
		if last := rest[bytes.LastIndexFunc(rest, func(r rune) bool { return r < 128 && isSpace(byte(r)) })+1:]; len(last) > maxToken {
			return nil, fmt.Errorf("%.11q… where a number belongs", last)
		}
	}
	return out, nil
}

var errNoBits = errors.New("a bitmap's text that is not all 0 and 1")

// uncommented returns text without its comments. As PIL has it, the end of the
// line goes too: a number that a comment interrupts goes on behind it.
func uncommented(text []byte) []byte {
	at := bytes.IndexByte(text, '#')
	if at < 0 {
		return text
	}
	out := make([]byte, at, len(text))
	copy(out, text)
	for ; at < len(text); at++ {
		if text[at] == '#' {
			at = endOfLine(text, at)
			continue
		}
		out = append(out, text[at])
	}
	return out
}

func endOfLine(data []byte, at int) int {
	for at < len(data) && data[at] != '\n' && data[at] != '\r' {
		at++
	}
	return at
}

// maxToken is the length of the longest number that PIL reads.
const maxToken = 10

// pnmNumber reads a number as PIL does, and the one space behind it: with a sign,
// underscores between digits and comments in the middle.
func pnmNumber(data []byte, at int) (v, next int, err error) {
	var token []byte
	for ; at < len(data) && len(token) <= maxToken; at++ {
		switch c := data[at]; {
		case c == '#':
			at = endOfLine(data, at)
		case !isSpace(c):
			token = append(token, c)
		case len(token) > 0:
			return pnmValue(token, at+1)
		}
	}
	if len(token) == 0 {
		return 0, at, errCut
	}
	return pnmValue(token, min(at, len(data)))
}

func pnmValue(token []byte, next int) (v, at int, err error) {
	digits := token
	if digits[0] == '+' || digits[0] == '-' {
		digits = digits[1:]
	}
	ok := len(digits) > 0 && len(token) <= maxToken
	for i, c := range digits {
		switch {
		case c >= '0' && c <= '9' && v <= math.MaxInt32/10-1:
			v = 10*v + int(c-'0')
		case c == '_' && i > 0 && i < len(digits)-1 && digits[i-1] != '_':
		default:
			ok = false
		}
	}
	if !ok || token[0] == '-' && v > 0 {
		return 0, next, fmt.Errorf("%q where a number belongs", token)
	}
	return v, next, nil
}

// pnmDigit returns the next byte that is no space, or -1 at the end.
func pnmDigit(data []byte, at int) (c, next int) {
	for ; at < len(data); at++ {
		if !isSpace(data[at]) {
			return int(data[at]), at + 1
		}
	}
	return -1, at
}
