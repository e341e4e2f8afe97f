// Package wandb writes runs for Weights & Biases without a connection, as
// wandb.init(mode="offline") does in Python, for `wandb sync` to upload later.
//
//	run, err := wandb.Init("logs/run1", wandb.Opts{Project: "cifar10", Config: config})
//	…
//	err = run.Log(map[string]float64{"loss": loss, "accuracy": accuracy}, step)
//	…
//	err = run.Finish(0)
//
// Then `wandb sync logs/run1/wandb/offline-run-*` uploads it (tried with wandb
// 0.31.0). What is logged is handed to the operating system whole, in one write,
// before the method that logs it returns: a killed program loses nothing, and of a
// file cut at any byte wandb uploads all whole records (and says that the last is
// not). If a write fails (a full disk) the method says so, takes off what was
// written, and the run can go on.
//
// A Run may be used by several goroutines at once.
package wandb

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wick-ml/wick/internal/logfile"
	pw "github.com/wick-ml/wick/internal/protowire"
)

// Opts are what Init takes besides the folder; names are wandb.init's. What is
// empty is left to `wandb sync`, except ID, which is drawn at random.
type Opts struct {
	Project string
	Entity  string // the user or team that owns the project
	Name    string // shown for the run
	Group   string // of runs that belong together, such as a sweep's
	Notes   string
	Tags    []string
	Config  []byte // hyperparameters and settings: a JSON object
	ID      string // unique in the project: letters, digits, - and _
}

// Run writes one run.
type Run struct {
	id, dir string
	started time.Time
	now     func() time.Time

	mu    sync.Mutex // guards what follows
	log   store
	count uint64 // records
	step  int    // the last one logged
	last  *row   // the row of that step
}

// row is the last row of the history; what else is logged of its step joins it, as
// `wandb sync` gives each row a step of its own.
type row struct {
	count  uint64            // records before it
	values map[string]string // as JSON
	files  []record          // that it speaks of
	after  []record          // summaries that were set since
}

// Init makes the folder dir/wandb/offline-run-DATE_TIME-ID and in it the run's
// file, and returns the run. (wandb.init)
func Init(dir string, opts ...Opts) (*Run, error) {
	var o Opts
	if len(opts) > 0 {
		o = opts[0]
	}
	if o.ID == "" {
		o.ID = strings.ToLower(rand.Text()[:8])
	}
	return initRun(dir, o, time.Now)
}

func initRun(dir string, o Opts, now func() time.Time) (*Run, error) {
	if strings.Trim(o.ID, letters+"-_") != "" || len(o.ID) > 64 {
		return nil, fmt.Errorf("wandb: got the ID %q, want at most 64 letters, digits, - and _", o.ID)
	}
	config, err := items(o.Config)
	if err != nil {
		return nil, err
	}
	r := &Run{id: o.ID, started: now(), now: now}
	at := r.started
	for range 100 { // a run of the same second and ID has its folder
		r.dir = filepath.Join(dir, "wandb", "offline-run-"+at.Format("20060102_150405")+"-"+o.ID)
		if _, err := os.Lstat(r.dir); err != nil {
			break
		}
		at = at.Add(time.Second)
	}
	if err := os.MkdirAll(filepath.Join(r.dir, "files"), 0o777); err != nil {
		return nil, fmt.Errorf("wandb: %w", err)
	}
	if r.log, err = createStore(filepath.Join(r.dir, "run-"+o.ID+".wandb")); err != nil {
		return nil, fmt.Errorf("wandb: %w", err)
	}

	// The program that wrote the format first, and the oldest that reads it.
	version := pw.String(pw.String(nil, 1, "0.31.0"), 2, "0.22.0")
	run := pw.String(nil, 1, o.ID)
	run = text(run, 2, o.Entity)
	run = text(run, 3, o.Project)
	if len(config) > 0 {
		run = pw.Bytes(run, 4, config)
	}
	run = text(run, 6, o.Group)
	run = text(run, 8, o.Name)
	run = text(run, 9, o.Notes)
	for _, t := range o.Tags {
		run = text(run, 10, t)
	}
	host, err := os.Hostname()
	if err == nil {
		run = text(run, 13, host)
	}
	stamp := pw.Int(pw.Int(nil, 1, r.started.Unix()), 2, int64(r.started.Nanosecond()))
	run = pw.Bytes(run, 17, stamp)
	if err := r.put(record{recordHeader, pw.Bytes(nil, 1, version)}, record{recordRun, run}); err != nil {
		r.log.file.Close()
		return nil, err
	}
	return r, nil
}

// Resume goes on with a run whose folder is dir (Run.Dir), where a training goes on
// from a checkpoint: what was logged after the given step, and that the run had
// finished, is taken off, so that steps made twice are there once. `wandb sync`
// uploads it as one run. If the folder was uploaded before, it is forgotten that it
// was, and `wandb sync` takes it once more.
func Resume(dir string, step int) (*Run, error) {
	r := &Run{dir: dir, now: time.Now}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("wandb: %w", err)
	}
	for _, e := range entries {
		if id, ok := strings.CutPrefix(e.Name(), "run-"); ok {
			if id, ok := strings.CutSuffix(id, ".wandb"); ok {
				r.id = id
			}
		}
	}
	if r.id == "" {
		return nil, fmt.Errorf("wandb: %s has no file run-….wandb, want the folder of a run", dir)
	}
	path := filepath.Join(dir, "run-"+r.id+".wandb")
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("wandb: %w", err)
	}
	list, ok := read(b)
	if !ok || len(list) < 2 {
		return nil, fmt.Errorf("wandb: %s is no run's file", path)
	}
	size, from := 0, 0    // of what is kept, and of what is before the last row
	var pictures []record // of the row that comes
rows:
	for i, s := range list {
		m, err := s.decode()
		var at int
		switch {
		case err != nil:
		case m.field == recordRun:
			r.started, err = startOf(m.message)
		case m.field == recordFiles:
			pictures = append(pictures, m)
			continue
		case m.field == recordHistory:
			last := &row{count: r.count, files: pictures}
			if at, last.values, err = readRow(m.message); err == nil {
				if at > step {
					break rows
				}
				r.step, r.last, from, pictures = at, last, size, nil
			}
		case m.field == recordSummary && r.last != nil && int(r.last.count)+len(r.last.files)+1 < i: // not the row's own
			r.last.after = append(r.last.after, m)
		case m.field == recordExit:
			break rows
		}
		if err != nil {
			return nil, fmt.Errorf("wandb: %s: record %d: %w", path, i+1, err)
		}
		size, r.count = s.end, uint64(i+1)
	}
	if err := os.Remove(path + ".synced"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("wandb: %w", err)
	}
	file, err := logfile.Open(path, int64(size))
	if err != nil {
		return nil, fmt.Errorf("wandb: %w", err)
	}
	r.log = store{path: path, file: file, used: size % blockSize, since: b[from:size]}
	r.log.mark.size, r.log.mark.used = int64(from), from%blockSize
	return r, nil
}

// decode returns what a Record holds beside its number.
func (s stored) decode() (record, error) {
	fields, err := pw.Fields(s.record)
	for _, f := range fields {
		if f.Bytes != nil {
			return record{f.Number, f.Bytes}, err
		}
	}
	return record{}, err
}

// startOf returns when a RunRecord says that the run started.
func startOf(run []byte) (time.Time, error) {
	fields, err := pw.Fields(run)
	if err != nil {
		return time.Time{}, err
	}
	for _, f := range fields {
		if f.Number == 17 {
			stamp, err := pw.Fields(f.Bytes)
			var at [3]int64 // by the fields' numbers
			for _, f := range stamp {
				if f.Number < len(at) {
					at[f.Number] = int64(f.Uint)
				}
			}
			return time.Unix(at[1], at[2]), err
		}
	}
	return time.Now(), nil
}

// readRow returns the step of a HistoryRecord and the values that were logged.
func readRow(history []byte) (step int, values map[string]string, err error) {
	fields, err := pw.Fields(history)
	if err != nil {
		return 0, nil, err
	}
	values = map[string]string{}
	for _, f := range fields {
		inner, err := pw.Fields(f.Bytes)
		if err != nil {
			return 0, nil, err
		}
		var key, value string
		for _, i := range inner {
			switch {
			case f.Number == 2 && i.Number == 1:
				step = int(i.Uint)
			case f.Number == 1 && i.Number == 1:
				key = string(i.Bytes)
			case f.Number == 1 && i.Number == 16:
				value = string(i.Bytes)
			}
		}
		if f.Number == 1 && key != "_runtime" && key != "_step" && key != "_timestamp" {
			values[key] = value
		}
	}
	return step, values, nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// text appends a string that may be left out.
func text(b []byte, field int, s string) []byte {
	if s == "" {
		return b
	}
	return pw.String(b, field, s)
}

// Dir returns the run's folder, which is what `wandb sync` takes.
func (r *Run) Dir() string { return r.dir }

// ID returns the run's identity.
func (r *Run) ID() string { return r.id }

// Numbers of fields in wandb_internal.Record. (wandb/proto/wandb_internal.proto)
const (
	recordHistory = 2
	recordSummary = 3
	recordFiles   = 6
	recordRun     = 17
	recordExit    = 18
	recordHeader  = 21
)

// record is a field of Record and its message.
type record struct {
	field   int
	message []byte
}

// put writes records, all or none. The caller holds mu, or is Init.
func (r *Run) put(records ...record) error {
	if err := r.log.append(numbered(r.count, records)...); err != nil {
		return fmt.Errorf("wandb: %w", err)
	}
	r.count += uint64(len(records))
	return nil
}

// numbered makes Records, which follow count others.
func numbered(count uint64, records []record) [][]byte {
	var list [][]byte
	for i, m := range records {
		list = append(list, pw.Bytes(pw.Uint(nil, 1, count+uint64(i)+1), m.field, m.message))
	}
	return list
}

// item appends a ConfigItem, HistoryItem or SummaryItem, which look alike.
func item(b []byte, key, value string) []byte {
	return pw.Bytes(b, 1, pw.String(pw.String(nil, 1, key), 16, value))
}

// items makes a ConfigRecord of a JSON object.
func items(object []byte) ([]byte, error) {
	if len(object) == 0 {
		return nil, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return nil, fmt.Errorf("wandb: want Config as a JSON object, got %.60q: %w", object, err)
	}
	if members == nil {
		return nil, fmt.Errorf("wandb: want Config as a JSON object, got %.60q", object)
	}
	var b []byte
	for _, key := range slices.Sorted(maps.Keys(members)) {
		var value bytes.Buffer
		if err := json.Compact(&value, members[key]); err != nil {
			return nil, fmt.Errorf("wandb: Config: %s: %w", key, err)
		}
		b = item(b, key, value.String())
	}
	return b, nil
}

// number writes a number as wandb does: JSON, and NaN and infinities as
// JavaScript names them.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// Log adds values to the run's history, and makes them its summary so far. Steps
// are 0 or more and do not go back: a step smaller than the last one is an error.
// What is logged of one step is one row; a value of the same name replaces the one
// before. (wandb.Run.log)
func (r *Run) Log(values map[string]float64, step int) error {
	texts := map[string]string{}
	for key, v := range values {
		texts[key] = number(v)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.checkStep(step); err != nil {
		return err
	}
	return r.row(texts, step)
}

func (r *Run) checkStep(step int) error {
	if step < r.step { // which is 0 or more
		return fmt.Errorf("wandb: %s: got step %d after step %d, want that one or a later one", r.log.path, step, r.step)
	}
	return nil
}

// row writes a row of history, or adds values to the last one.
func (r *Run) row(values map[string]string, step int, files ...record) error {
	next := &row{count: r.count, values: values, files: files}
	again := r.last != nil && r.step == step
	if again {
		next.count, next.after = r.last.count, r.last.after
		next.values = maps.Clone(r.last.values)
		maps.Copy(next.values, values)
		next.files = append(slices.Clone(r.last.files), files...)
	}
	var all []byte
	for _, key := range slices.Sorted(maps.Keys(next.values)) {
		all = item(all, key, next.values[key])
	}
	now := r.now()
	all = item(all, "_runtime", number(now.Sub(r.started).Seconds()))
	all = item(all, "_step", strconv.Itoa(step))
	all = item(all, "_timestamp", number(float64(now.UnixMicro())/1e6))
	var num []byte // 0, the default, is left out
	if step > 0 {
		num = pw.Int(nil, 1, int64(step))
	}
	history := pw.Bytes(all, 2, num)
	records := append(slices.Clone(next.files), record{recordHistory, history}, record{recordSummary, all})
	records = append(records, next.after...)
	list := numbered(next.count, records)
	var err error
	if again {
		err = r.log.replace(list...)
	} else {
		r.log.begin()
		r.last = nil
		err = r.log.append(list...)
	}
	if err != nil {
		return fmt.Errorf("wandb: %w", err)
	}
	r.count, r.step, r.last = next.count+uint64(len(records)), step, next
	return nil
}

// LogImage adds an image, as a PNG file in the run's folder, to the history;
// steps are as in Log. An image without pixels is an error. The
// file's name has _ for what is no letter, digit, - or _ in key.
// (wandb.Run.log with a wandb.Image)
func (r *Run) LogImage(key string, img image.Image, step int) error {
	if img == nil {
		return fmt.Errorf("wandb: LogImage %s: the image is nil", key)
	}
	var b bytes.Buffer
	// Drawings are mostly white, so the fast setting costs little room.
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img); err != nil {
		return fmt.Errorf("wandb: LogImage %s: %w", key, err)
	}
	sum := sha256.Sum256(b.Bytes())
	name := strings.Map(func(c rune) rune {
		if strings.ContainsRune(letters+"-_", c) {
			return c
		}
		return '_'
	}, key)
	name = fmt.Sprintf("%.100s_%d_%x.png", name, step, sum[:10])
	size := img.Bounds().Size()
	rel := path.Join("media", "images", name)
	value, err := json.Marshal(imageFile{"image-file", fmt.Sprintf("%x", sum), b.Len(), rel, "png", size.X, size.Y})
	if err != nil {
		return fmt.Errorf("wandb: LogImage %s: %w", key, err)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.checkStep(step); err != nil {
		return err
	}
	// The file comes first: a record never speaks of one that is not there.
	file := filepath.Join(r.dir, "files", filepath.FromSlash(rel))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return fmt.Errorf("wandb: %w", err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o666); err != nil {
		os.Remove(file)
		return fmt.Errorf("wandb: %w", err)
	}
	const media = 2
	files := pw.Bytes(nil, 1, pw.Uint(pw.String(nil, 1, rel), 3, media))
	return r.row(map[string]string{key: string(value)}, step, record{recordFiles, files})
}

// imageFile is how a row speaks of an image.
type imageFile struct {
	Type   string `json:"_type"`
	SHA256 string `json:"sha256"`
	Size   int    `json:"size"`
	Path   string `json:"path"`
	Format string `json:"format"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

// SetSummary sets values of the run's summary, such as the best accuracy. Log sets
// the values that it is given there too. (wandb.Run.summary)
func (r *Run) SetSummary(values map[string]float64) error {
	var b []byte
	for _, key := range slices.Sorted(maps.Keys(values)) {
		b = item(b, key, number(values[key]))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.put(record{recordSummary, b})
	if err == nil && r.last != nil {
		r.last.after = append(r.last.after, record{recordSummary, b})
	}
	return err
}

// Flush asks the operating system to put what was logged on the disk, which
// protects it from a power failure.
func (r *Run) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.log.file.Sync(); err != nil {
		return fmt.Errorf("wandb: %w", err)
	}
	return nil
}

// Finish notes how the run ended (0 is success) and closes the file. Logging after
// it is an error. A run that was killed before is uploaded all the same.
// (wandb.Run.finish)
func (r *Run) Finish(exitCode int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	exit := pw.Int(nil, 1, int64(exitCode))
	exit = pw.Int(exit, 2, int64(r.now().Sub(r.started).Seconds()))
	err := r.put(record{recordExit, exit})
	if bad := r.log.file.Close(); err == nil && bad != nil {
		err = fmt.Errorf("wandb: %w", bad)
	}
	return err
}
