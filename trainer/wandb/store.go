package wandb

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/wick-ml/wick/internal/logfile"
)

// store is a run's file: a LevelDB log with a header of wandb's. The file is cut
// into blocks of 32 KB; each record is one piece or several, so that none crosses
// a block's end, and each piece has a checksum, its length and whether it is the
// first, the last, both or neither.
// (https://github.com/google/leveldb/blob/main/doc/log_format.md)
type store struct {
	path string
	file *logfile.File
	used int // bytes of the current block

	// The place where the last row begins, and what was written from there on.
	mark struct {
		size int64
		used int
	}
	since []byte
}

const (
	blockSize  = 32768
	headerSize = 7 // of a piece
)

// magic begins a file: a number and a version.
var magic = []byte{':', 'W', '&', 'B', 0xE1, 0xBE, 0}

func createStore(path string) (store, error) {
	file, err := logfile.Create(path)
	if err != nil {
		return store{}, err
	}
	if err := file.Append(magic); err != nil {
		file.Close()
		return store{}, err
	}
	return store{path: path, file: file, used: len(magic)}, nil
}

// append writes records, all or none.
func (s *store) append(records ...[]byte) error {
	b, used := s.pieces(s.used, records)
	if err := s.file.Append(b); err != nil {
		return err
	}
	s.used = used
	s.since = append(s.since, b...)
	return nil
}

// begin puts the mark at the file's end.
func (s *store) begin() {
	s.mark.size, s.mark.used = s.file.Size(), s.used
	s.since = nil
}

// replace writes records in the place of all behind the mark, all or none.
func (s *store) replace(records ...[]byte) error {
	b, used := s.pieces(s.mark.used, records)
	if err := s.file.Replace(s.mark.size, s.since, b); err != nil {
		return err
	}
	s.used, s.since = used, b
	return nil
}

func (s *store) pieces(used int, records [][]byte) ([]byte, int) {
	var b []byte
	for _, r := range records {
		b, used = pieces(b, used, r)
	}
	return b, used
}

// Which piece of a record a piece is.
const (
	whole  = 1
	first  = 2
	middle = 3
	last   = 4
)

// pieces appends a record to b, where used bytes of the current block are taken,
// and returns b and what is taken then.
func pieces(b []byte, used int, record []byte) ([]byte, int) {
	for begun := false; ; begun = true {
		if blockSize-used < headerSize {
			b = append(b, make([]byte, blockSize-used)...)
			used = 0
		}
		n := min(blockSize-used-headerSize, len(record))
		end := n == len(record)
		kind := byte(middle)
		switch {
		case end && !begun:
			kind = whole
		case end:
			kind = last
		case !begun:
			kind = first
		}
		// wandb's checksum is the IEEE one, not LevelDB's masked Castagnoli.
		sum := crc32.Update(crc32.ChecksumIEEE([]byte{kind}), crc32.IEEETable, record[:n])
		b = binary.LittleEndian.AppendUint32(b, sum)
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
		b = append(append(b, kind), record[:n]...)
		used += headerSize + n
		if record = record[n:]; end {
			return b, used
		}
	}
}

// stored is a record of a file and where it ends there.
type stored struct {
	record []byte
	end    int
}

// read returns the whole records of a file up to the first that is cut or damaged;
// ok is false if it does not begin as a run's file.
func read(b []byte) (out []stored, ok bool) {
	if !bytes.HasPrefix(b, magic) {
		return nil, false
	}
	var record []byte
	for at := len(magic); ; {
		left := blockSize - at%blockSize
		if left < headerSize {
			at += left
			continue
		}
		if at+headerSize > len(b) {
			return out, true
		}
		n, kind := int(binary.LittleEndian.Uint16(b[at+4:])), b[at+6]
		end := at + headerSize + n
		if headerSize+n > left || end > len(b) || binary.LittleEndian.Uint32(b[at:]) != crc32.ChecksumIEEE(b[at+6:end]) ||
			(kind == whole || kind == first) != (record == nil) {
			return out, true
		}
		record = append(append(make([]byte, 0, 1+len(record)+n), record...), b[at+headerSize:end]...)
		if at = end; kind == whole || kind == last {
			out = append(out, stored{record, at})
			record = nil
		}
	}
}
