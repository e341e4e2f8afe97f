// Package tensorboard writes event files, which TensorBoard shows: scalars,
// images, histograms of tensors, text, a model's graph, hyperparameters. Names
// and what is written are those of torch.utils.tensorboard.SummaryWriter.
//
//	w, err := tensorboard.NewWriter("logs/run1")
//	…
//	err = w.AddScalar("loss/train", loss, step)
//	…
//	err = w.Close()
//
// Then `tensorboard --logdir=logs` shows the run, while it is going on too: each
// record is handed to the operating system whole, in one write, before the method
// that adds it returns. A killed program loses nothing that was added; a file cut
// at any byte is read up to its last whole record; [Writer.Flush] protects from a
// power failure too. If a write fails (a full disk) the method says so, takes off
// what was written of the record, and later records can follow.
//
// A tag is a name with slashes ("loss/train"); TensorBoard puts tags with the same
// first part into one section. Bytes in it that are not UTF-8 become U+FFFD. Steps
// are 0 or more. A Writer may be used by several goroutines at once.
package tensorboard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wick-ml/wick/internal/logfile"
	pw "github.com/wick-ml/wick/internal/protowire"
)

// Opts are what NewWriter takes besides the folder.
type Opts struct {
	// PurgeStep is where a run goes on that was stopped after writing more steps
	// than its checkpoint has: TensorBoard forgets what older files of the folder
	// say of this step and those after it. 0 purges nothing. (It needs
	// tensorboard --load_fast=false; the fast loader draws both.)
	PurgeStep int
}

// Writer writes one event file.
type Writer struct {
	path    string
	started time.Time
	now     func() time.Time

	mu   sync.Mutex // guards file
	file *logfile.File
}

// files tells apart the files that a program opens in one second.
var files atomic.Int64

// NewWriter makes the folder dir if it is not there, and a new event file in it;
// TensorBoard reads all event files of a folder as one run, whose name is the
// folder's. (torch.utils.tensorboard.SummaryWriter)
func NewWriter(dir string, opts ...Opts) (*Writer, error) {
	var o Opts
	if len(opts) > 0 {
		o = opts[0]
	}
	if err := checkStep("NewWriter: PurgeStep", o.PurgeStep); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost" // a part of the file's name, which need not be true
	}
	now := time.Now()
	for range 100 { // in a container, a program before may have had the same number in the same second
		name := fmt.Sprintf("events.out.tfevents.%010d.%s.%d.%d", now.Unix(), filepath.Base(host), os.Getpid(), files.Add(1)-1)
		w, err := newWriter(filepath.Join(dir, name), o, time.Now)
		if !errors.Is(err, fs.ErrExist) {
			return w, err
		}
	}
	return nil, fmt.Errorf("tensorboard: no free name for an event file in %s", dir)
}

func newWriter(path string, o Opts, now func() time.Time) (*Writer, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	file, err := logfile.Create(path)
	if err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	w := &Writer{path: path, started: now(), now: now, file: file}
	err = w.add(0, pw.String(nil, eventFileVersion, "brain.Event:2"))
	if err == nil && o.PurgeStep > 0 {
		const start = 1
		err = w.add(o.PurgeStep, pw.Bytes(nil, eventSessionLog, pw.Uint(nil, 1, start)))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return w, nil
}

// Path returns the event file's name.
func (w *Writer) Path() string { return w.path }

// Numbers of fields in tensorboard.Event and tensorboard.Summary.Value.
// (tensorboard/compat/proto/event.proto and summary.proto)
const (
	eventWallTime    = 1
	eventStep        = 2
	eventFileVersion = 3
	eventGraphDef    = 4
	eventSummary     = 5
	eventSessionLog  = 7

	valueTag      = 1
	valueSimple   = 2
	valueImage    = 4
	valueHisto    = 5
	valueTensor   = 8
	valueMetadata = 9
)

// Types of a TensorProto.
const (
	dtFloat  = 1
	dtString = 7
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked returns the checksum that a record carries. (tensorflow/core/lib/hash/crc32c.h)
func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// frame returns a record of the event: length, checksum of the length, event,
// checksum of the event. (tensorflow/core/lib/io/record_writer.cc)
func frame(event []byte) []byte {
	b := make([]byte, 0, len(event)+16)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(event)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, event...)
	return binary.LittleEndian.AppendUint32(b, masked(event))
}

// add writes events of a step, each with one of the given contents, all or none.
func (w *Writer) add(step int, contents ...[]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var records []byte
	for _, content := range contents {
		event := pw.Double(nil, eventWallTime, seconds(w.now()))
		if step != 0 {
			event = pw.Int(event, eventStep, int64(step))
		}
		records = append(records, frame(append(event, content...))...)
	}
	if err := w.file.Append(records); err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	return nil
}

// seconds returns a time as the formats have it.
func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// summary makes an event's content of a value with a tag; value holds fields with
// numbers from 2 on.
func summary(tag string, value []byte) []byte {
	return pw.Bytes(nil, eventSummary, pw.Bytes(nil, 1, append(pw.String(nil, valueTag, tag), value...)))
}

// pluginValue makes the fields of a value that a plug-in of TensorBoard shows.
func pluginValue(tensor []byte, plugin string, content []byte) []byte {
	data := pw.String(nil, 1, plugin)
	if len(content) > 0 {
		data = pw.Bytes(data, 2, content)
	}
	return pw.Bytes(pw.Bytes(nil, valueTensor, tensor), valueMetadata, pw.Bytes(nil, 1, data))
}

func checkStep(what string, step int) error {
	if step < 0 {
		return fmt.Errorf("tensorboard: %s: got step %d, want 0 or more", what, step)
	}
	return nil
}

// AddScalar adds a point to a curve. It is kept as float32; NaN and infinities are
// marked in TensorBoard.
func (w *Writer) AddScalar(tag string, value float64, step int) error {
	if err := checkStep("AddScalar "+tag, step); err != nil {
		return err
	}
	return w.add(step, summary(tag, pw.Float(nil, valueSimple, float32(value))))
}

// AddImage adds an image, as PNG. An image without pixels is an error.
func (w *Writer) AddImage(tag string, img image.Image, step int) error {
	if err := checkStep("AddImage "+tag, step); err != nil {
		return err
	}
	if img == nil {
		return fmt.Errorf("tensorboard: AddImage %s: the image is nil", tag)
	}
	var b bytes.Buffer
	// Drawings are mostly white, so the fast setting costs little room.
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img); err != nil {
		return fmt.Errorf("tensorboard: AddImage %s: %w", tag, err)
	}
	size := img.Bounds().Size()
	v := pw.Int(nil, 1, int64(size.Y))
	v = pw.Int(v, 2, int64(size.X))
	v = pw.Uint(v, 3, channels(img))
	v = pw.Bytes(v, 4, b.Bytes())
	return w.add(step, summary(tag, pw.Bytes(nil, valueImage, v)))
}

// channels returns what TensorBoard calls the color space: 1 for gray, 3 for RGB,
// 4 for RGBA.
func channels(img image.Image) uint64 {
	switch m := img.(type) {
	case *image.Gray, *image.Gray16:
		return 1
	case interface{ Opaque() bool }:
		if m.Opaque() {
			return 3
		}
	}
	return 4
}

// AddText adds a text, which TensorBoard shows as Markdown.
func (w *Writer) AddText(tag, text string, step int) error {
	if err := checkStep("AddText "+tag, step); err != nil {
		return err
	}
	shape := pw.Bytes(nil, 2, pw.Int(nil, 1, 1)) // [1]
	t := pw.Uint(nil, 1, dtString)
	t = pw.Bytes(t, 2, shape)
	t = pw.String(t, 8, text)
	return w.add(step, summary(tag+"/text_summary", pluginValue(t, "text", nil)))
}

// Flush asks the operating system to put what was added on the disk.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	return nil
}

// Close closes the file. Adding after it is an error, and so is closing again.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	return nil
}
