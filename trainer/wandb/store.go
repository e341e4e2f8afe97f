package wandb

import (
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
}

const (
	blockSize  = 32768
	headerSize = 7 // of a piece
)

func createStore(path string) (store, error) {
	file, err := logfile.Create(path)
	if err != nil {
		return store{}, err
	}
	header := []byte{':', 'W', '&', 'B', 0xE1, 0xBE, 0} // magic number and version
	if err := file.Append(header); err != nil {
		file.Close()
		return store{}, err
	}
	return store{path: path, file: file, used: len(header)}, nil
}

// append writes records, all or none.
func (s *store) append(records ...[]byte) error {
	var b []byte
	used := s.used
	for _, r := range records {
		b, used = pieces(b, used, r)
	}
	if err := s.file.Append(b); err != nil {
		return err
	}
	s.used = used
	return nil
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
