// Package logfile writes files that grow by whole records and are read while they
// grow, or after the program that wrote them was killed.
package logfile

import (
	"fmt"
	"os"
)

// File is a file that grows by whole records. It is not safe for concurrent use.
type File struct {
	f    *os.File
	size int64 // of the whole records
	err  error // why no record can follow any more
}

// Create makes a new file; one that is there already is an error.
func Create(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	return &File{f: f}, nil
}

// Open goes on with a file after its first size bytes, which end with a whole
// record, and takes off what is behind them.
func Open(path string, size int64) (*File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, err
	}
	return &File{f: f, size: size}, nil
}

// Append adds a record at the end, in one write that is with the operating system
// when Append returns: a killed program loses nothing. If the write fails, on a
// full disk for example, the part that was written is taken off again, so that
// the file ends with a whole record and later records can follow. Errors name the
// file.
func (l *File) Append(record []byte) error {
	if l.err != nil {
		return l.err
	}
	n, err := l.f.Write(record)
	if err == nil {
		l.size += int64(n)
		return nil
	}
	if n > 0 {
		if cut := l.f.Truncate(l.size); cut != nil {
			l.err = fmt.Errorf("%w, and the part of a record that was written cannot be taken off: %w; nothing more is written", err, cut)
			return l.err
		}
	}
	return err
}

// Size returns how long the file is.
func (l *File) Size() int64 { return l.size }

// Replace puts a record in the place of all that is behind the first size bytes,
// which end with a whole record. If that fails, the old records are put back.
func (l *File) Replace(size int64, old, record []byte) error {
	if l.err != nil {
		return l.err
	}
	if err := l.f.Truncate(size); err != nil {
		return err
	}
	l.size = size
	err := l.Append(record)
	if err != nil {
		if again := l.Append(old); again != nil {
			err = fmt.Errorf("%w, and the records before it cannot be put back: %w", err, again)
		}
	}
	return err
}

// Sync asks the operating system to put the file on the disk, which protects it
// from a power failure.
func (l *File) Sync() error { return l.f.Sync() }

// Close closes the file.
func (l *File) Close() error { return l.f.Close() }
