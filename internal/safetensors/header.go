package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// marshalHeader writes the JSON header, padded with spaces to a multiple of 8
// bytes, so that the elements behind it are aligned.
func marshalHeader(metadata map[string]string, infos []Info) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	put := func(s string) error {
		if !utf8.ValidString(s) {
			return fmt.Errorf("the metadata %s is not valid UTF-8", short(s))
		}
		if b.Len()+len(s) > MaxHeader {
			return fmt.Errorf("the header would have more bytes than the format takes (%d)", MaxHeader)
		}
		if err := enc.Encode(s); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // Encode ends its line
		return nil
	}
	b.WriteByte('{')
	if len(metadata) > 0 {
		b.WriteString(`"` + metadataKey + `":{`)
		for i, k := range slices.Sorted(maps.Keys(metadata)) {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := put(k); err != nil {
				return nil, err
			}
			b.WriteByte(':')
			if err := put(metadata[k]); err != nil {
				return nil, err
			}
		}
		b.WriteByte('}')
	}
	for i, t := range infos {
		if i > 0 || len(metadata) > 0 {
			b.WriteByte(',')
		}
		if err := put(t.Name); err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `:{"dtype":"%s","shape":[`, t.DType)
		for i, d := range t.Shape {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Itoa(d))
		}
		fmt.Fprintf(&b, `],"data_offsets":[%d,%d]}`, t.begin, t.begin+t.Size)
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > MaxHeader {
		return nil, fmt.Errorf("the header would have more bytes than the format takes (%d)", MaxHeader)
	}
	return b.Bytes(), nil
}

// parser reads a header token by token: json.Unmarshal would let duplicate keys
// and keys in another case pass.
type parser struct {
	dec    *json.Decoder
	tensor string // being read
}

func (p *parser) fail(format string, args ...any) error {
	return &Error{Tensor: p.tensor, Offset: 8 + p.dec.InputOffset(), Err: fmt.Errorf(format, args...)}
}

// parseHeader reads a header: the tensors in the order of their data, which has
// size bytes, and the metadata.
func parseHeader(header []byte, size int64) (infos []Info, metadata map[string]string, err error) {
	p := &parser{dec: json.NewDecoder(bytes.NewReader(header))}
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, p.fail("the header does not begin with {")
	}
	if !utf8.Valid(header) {
		return nil, nil, p.fail("the header is not valid UTF-8")
	}
	p.dec.UseNumber()
	seen := map[string]bool{}
	err = p.object(func(key string) (err error) {
		if seen[key] {
			return p.fail("the header has the key %s twice", short(key))
		}
		seen[key] = true
		if key == metadataKey {
			metadata, err = p.metadata()
			return err
		}
		p.tensor = key
		t, err := p.info()
		p.tensor = ""
		t.Name = key
		infos = append(infos, t)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	// The format pads with spaces; other writers' newlines and tabs do no harm.
	if rest := header[p.dec.InputOffset():]; len(bytes.Trim(rest, " \t\r\n")) > 0 {
		return nil, nil, p.fail("the header goes on after its closing }")
	}
	slices.SortFunc(infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Name, b.Name))
	})
	var end int64
	for _, t := range infos {
		if t.begin != end {
			what := "leaves a hole before itself"
			if t.begin < end {
				what = "overlaps another tensor"
			}
			return nil, nil, &Error{Tensor: t.Name, Offset: -1, Err: fmt.Errorf("the data [%d %d] %s: the data before it ends at %d", t.begin, t.begin+t.Size, what, end)}
		}
		end += t.Size // cannot overflow: it is what data_offsets says
		if end > size {
			return nil, nil, &Error{Tensor: t.Name, Offset: -1, Err: fmt.Errorf("the data [%d %d] ends behind the file, which has %d bytes of data: it is cut short", t.begin, end, size)}
		}
	}
	if end != size {
		return nil, nil, &Error{Offset: -1, Err: fmt.Errorf("the tensors take %d bytes, and the file has %d bytes of data", end, size)}
	}
	return infos, metadata, nil
}

// token returns the next token.
func (p *parser) token() (json.Token, error) {
	t, err := p.dec.Token()
	if err != nil {
		return nil, p.fail("the header is not JSON: %w", err)
	}
	return t, nil
}

// delim wants a certain delimiter next.
func (p *parser) delim(want json.Delim) error {
	t, err := p.token()
	if err == nil && t != want {
		return p.fail("got %s, want %q", tokenString(t), want.String())
	}
	return err
}

func tokenString(t json.Token) string { return short(fmt.Sprint(t)) }

// object reads an object and calls f after each of its keys, to read the value.
func (p *parser) object(f func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	for p.dec.More() {
		t, err := p.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return p.fail("got %s, want a key", tokenString(t))
		}
		if err := f(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

func (p *parser) text() (string, error) {
	t, err := p.token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", p.fail("got %s, want a string", tokenString(t))
	}
	return s, nil
}

func (p *parser) metadata() (map[string]string, error) {
	m := map[string]string{}
	return m, p.object(func(key string) error {
		if _, ok := m[key]; ok {
			return p.fail("the metadata has the key %s twice", short(key))
		}
		s, err := p.text()
		m[key] = s
		return err
	})
}

// numbers reads a list of numbers from 0 to max.
func (p *parser) numbers(max int64) ([]int64, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	list := []int64{}
	for p.dec.More() {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		n, ok := t.(json.Number)
		if !ok {
			return nil, p.fail("got %s, want a number", tokenString(t))
		}
		v, err := strconv.ParseUint(n.String(), 10, 63)
		if err != nil || int64(v) > max {
			return nil, p.fail("got %s, want a whole number from 0 to %d", short(n.String()), max)
		}
		list = append(list, int64(v))
	}
	return list, p.delim(']')
}

// info reads a tensor's entry.
func (p *parser) info() (t Info, err error) {
	var dtype, shape, offsets bool
	var end int64
	err = p.object(func(key string) error {
		var err error
		var twice bool
		switch key {
		case "dtype":
			twice, dtype = dtype, true
			var s string
			s, err = p.text()
			t.DType = DType(s)
		case "shape":
			twice, shape = shape, true
			var list []int64
			list, err = p.numbers(math.MaxInt)
			t.Shape = make([]int, len(list))
			for i, n := range list {
				t.Shape[i] = int(n)
			}
		case "data_offsets":
			twice, offsets = offsets, true
			var list []int64
			list, err = p.numbers(math.MaxInt64)
			if err == nil && len(list) != 2 {
				err = p.fail("got %d data_offsets, want 2", len(list))
			}
			if err == nil {
				t.begin, end = list[0], list[1]
			}
		default:
			err = p.fail("got the key %s, want dtype, shape or data_offsets", short(key))
		}
		if twice {
			err = p.fail("the key %s comes twice", short(key))
		}
		return err
	})
	if err != nil {
		return t, err
	}
	if !dtype || !shape || !offsets {
		return t, p.fail("dtype, shape or data_offsets is missing")
	}
	t.Size, err = byteSize(t.DType, t.Shape)
	if err != nil {
		return t, p.fail("%w", err)
	}
	if end < t.begin || end-t.begin != t.Size {
		return t, p.fail("the data [%d %d] does not fit %s of shape %s, which takes %d bytes", t.begin, end, t.DType, shapeString(t.Shape), t.Size)
	}
	return t, nil
}
