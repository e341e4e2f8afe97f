package jpeg

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	soi = 0xd8
	eoi = 0xd9
	sos = 0xda
)

var errCut = errors.New("the file is cut off")

// marker reads the next marker, and whatever stands before it.
func (d *Decoder) marker() (byte, bool) {
	for d.at+1 < len(d.data) {
		d.at++
		if m := d.data[d.at]; d.data[d.at-1] == 0xff && m != 0 && m != 0xff {
			d.at++
			return m, true
		}
	}
	d.at = len(d.data)
	return 0, false
}

// segments reads all until a scan begins (sos) or the image ends (eoi).
func (d *Decoder) segments() (marker byte, err error) {
	for {
		marker, ok := d.marker()
		if !ok {
			return 0, errCut
		}
		switch {
		case marker == eoi:
			return eoi, nil
		case marker >= 0xd0 && marker <= 0xd7, marker == 1 && len(d.scan) > 0:
			continue // nothing belongs to it; PIL refuses a 1 (TEM) before the scan
		case marker == soi:
			return 0, errors.New("JPEG in which another begins (SOI) before it ends")
		case marker < 0xc0, marker == 0xc8, marker == 0xde, marker == 0xdf, marker > 0xef && marker < 0xfe:
			return 0, fmt.Errorf("JPEG with the marker %#x, which means nothing", marker)
		}
		n, skipped := 2, marker == 0xdc || marker >= 0xe0
		if d.at+2 <= len(d.data) {
			n = int(binary.BigEndian.Uint16(d.data[d.at:]))
		}
		switch {
		case skipped:
			n = max(n, 2)
		case n < 2 || d.at+n > len(d.data):
			return 0, fmt.Errorf("JPEG whose marker %#x has %d bytes, want at least 2 and at most the %d that there are", marker, n, len(d.data)-d.at)
		}
		if d.at+n > len(d.data) {
			return 0, errCut
		}
		seg := d.data[d.at+2 : d.at+n]
		d.at += n
		switch marker {
		case 0xc4:
			err = d.huffmans(seg)
		case 0xcc:
			err = errors.New("JPEG with arithmetic coding (DAC), want Huffman codes")
		case sos:
			return sos, d.header(seg)
		case 0xdb:
			err = d.quants(seg)
		case 0xdd:
			if len(seg) != 2 {
				return 0, fmt.Errorf("JPEG with a restart interval (DRI) of %d bytes, want 2", len(seg))
			}
			d.every = int(binary.BigEndian.Uint16(seg))
		case 0xe0:
			d.jfif = d.jfif || len(seg) >= 14 && string(seg[:5]) == "JFIF\x00"
		case 0xee:
			if len(seg) >= 12 && string(seg[:5]) == "Adobe" {
				d.adobe = int(seg[11])
			}
		default:
			if marker < 0xd0 {
				err = d.frame(marker, seg)
			}
		}
		if err != nil {
			return 0, err
		}
	}
}

func (d *Decoder) quants(seg []byte) error {
	for len(seg) > 0 {
		size := 1 + seg[0]>>4
		size = min(size, 2)
		if seg[0]&15 > 3 || len(seg) < 1+64*int(size) {
			return fmt.Errorf("JPEG with a quantization table (DQT) %d of %d bytes, want 0 to 3 and %d", seg[0]&15, len(seg)-1, 64*size)
		}
		q := &d.quant[seg[0]&15]
		q.given = true
		for i := range 64 {
			if size == 1 {
				q.values[zigzag[i]] = int32(seg[1+i])
			} else {
				q.values[zigzag[i]] = int32(binary.BigEndian.Uint16(seg[1+2*i:]))
			}
		}
		seg = seg[1+64*int(size):]
	}
	return nil
}

func (d *Decoder) frame(marker byte, seg []byte) error {
	switch {
	case marker == 0xc3:
		return errors.New("lossless JPEG (SOF3), want a sequential or progressive one (SOF0, SOF1 or SOF2)")
	case marker > 0xc8:
		return fmt.Errorf("JPEG with arithmetic coding (SOF%d), want Huffman codes (SOF0, SOF1 or SOF2)", marker-0xc0)
	case marker > 0xc2:
		return fmt.Errorf("hierarchical JPEG (SOF%d), want a sequential or progressive one (SOF0, SOF1 or SOF2)", marker-0xc0)
	case len(d.comps) > 0:
		return errors.New("JPEG of two frames (SOF), want one")
	case len(seg) < 6 || len(seg) != 6+3*int(seg[5]):
		return fmt.Errorf("JPEG whose frame (SOF) has %d bytes, want 6 and 3 for each component", len(seg))
	case seg[0] != 8:
		return fmt.Errorf("JPEG of %d bits a sample, want 8", seg[0])
	}
	d.progressive = marker == 0xc2
	d.Height, d.Width = int(binary.BigEndian.Uint16(seg[1:])), int(binary.BigEndian.Uint16(seg[3:]))
	if d.Height == 0 || d.Width == 0 {
		return fmt.Errorf("JPEG of %d×%d pixels, want at least 1×1, and not in DNL", d.Width, d.Height)
	}
	n := int(seg[5])
	if n != 1 && n != 3 && n != 4 {
		return fmt.Errorf("JPEG of %d components, want 1, 3 or 4", n)
	}
	d.comps = d.memory[:n]
	for i := range d.comps {
		s := seg[6+3*i:]
		d.comps[i] = component{id: int(s[0]), h: int(s[1] >> 4), v: int(s[1] & 15), table: int(s[2])}
	}
	return nil
}

// header reads that of a scan.
func (d *Decoder) header(seg []byte) error {
	n := 0
	if len(seg) > 0 {
		n = int(seg[0])
	}
	if len(d.comps) == 0 || n < 1 || n > 4 || len(seg) != 4+2*n {
		return fmt.Errorf("JPEG whose scan (SOS) has %d components in %d bytes, want those of a frame (SOF), at most 4, in 4 and 2 for each", n, len(seg))
	}
	var chosen [4]*component
	for i := range n {
		id := int(seg[1+2*i])
		for k := range d.comps {
			// The second condition is libjpeg's, for files whose components have one number.
			if c := &d.comps[k]; c.id == id && chosen[k] == nil {
				chosen[i] = c
				break
			}
		}
		if chosen[i] == nil {
			return fmt.Errorf("JPEG whose scan (SOS) has the component %d, which the frame (SOF) has not", id)
		}
		for _, c := range chosen[:i] {
			if c == chosen[i] {
				return fmt.Errorf("JPEG whose scan (SOS) has the component %d twice", id)
			}
		}
		chosen[i].tables = [2]int{int(seg[2+2*i] >> 4), int(seg[2+2*i] & 15)}
	}
	d.scanned = chosen
	d.scan = d.scanned[:n]
	d.from, d.to = int(seg[1+2*n]), int(seg[2+2*n])
	d.high, d.low = int(seg[3+2*n]>>4), int(seg[3+2*n]&15)
	return nil
}

// begin makes ready for the data of a scan.
func (d *Decoder) begin() error {
	blocks := 0
	for _, c := range d.scan {
		blocks += c.h * c.v
	}
	if len(d.scan) > 1 && blocks > 10 {
		return fmt.Errorf("JPEG with a scan of %d blocks at a time, want at most 10", blocks)
	}
	for _, c := range d.scan {
		if !c.latched {
			if c.table > 3 || !d.quant[c.table].given {
				return fmt.Errorf("JPEG that uses the quantization table %d, which it does not define", c.table)
			}
			c.quant, c.latched = d.quant[c.table].values, true
		}
		c.last, c.scale = 0, &ones
		if !d.progressive && len(d.scan) == len(d.comps) {
			c.scale = &c.quant
		}
	}
	if !d.progressive {
		// Tables of the standard are those that a sequential file leaves out.
		for class := range d.specs {
			for i := range 2 {
				if !d.specs[class][i].given {
					d.specs[class][i] = standards[class][i]
				}
			}
		}
	}
	for _, c := range d.scan {
		var err error
		if !d.progressive || d.from == 0 && d.high == 0 {
			if c.dc, err = d.table(0, c.tables[0]); err != nil {
				return err
			}
		}
		if !d.progressive || d.from > 0 {
			if c.ac, err = d.table(1, c.tables[1]); err != nil {
				return err
			}
		}
	}
	d.acc, d.n, d.past = 0, 0, 0
	d.togo, d.restarts, d.run, d.short = d.every, 0, 0, false
	return nil
}

// doubt refuses what libjpeg decodes in one way or another, by how much of the
// file lies behind it.
func (d *Decoder) doubt() error {
	if d.unclear && !d.progressive && d.every == 0 {
		return errors.New("JPEG with ff ff 00 in its data, where ff 00 or a marker belongs")
	}
	return nil
}

// mcu reads the restart marker before the next blocks, if there is to be one.
func (d *Decoder) mcu() error {
	if d.every == 0 {
		return nil
	}
	if d.togo == 0 {
		return d.restart()
	}
	d.togo--
	return nil
}

// restart looks for the marker that is next. Where another is found, it does what
// libjpeg does (jpeg_resync_to_restart): one that was to come before is left out;
// for one that is to come soon, or is none of a restart, what is between is taken
// to be missing, and the marker waits.
func (d *Decoder) restart() error {
	d.acc, d.n, d.past = 0, 0, 0
	d.togo, d.run = d.every-1, 0
	for _, c := range d.scan {
		c.last = 0
	}
	want := d.restarts & 7
	d.restarts++
	for {
		m, ok := d.marker()
		if !ok {
			return errCut
		}
		off := (int(m) - want) & 7
		switch {
		case m < 0xc0, m >= 0xd0 && m <= 0xd7 && off >= 6:
			continue
		case m < 0xd0 || m > 0xd7 || off == 1 || off == 2:
			d.at -= 2
		default:
			d.short = false
		}
		return nil
	}
}
