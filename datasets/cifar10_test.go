package datasets

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/datasets/internal/pickle"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/tensor"
)

const cifar10Archive = "cifar-10-python.tar.gz"

// openCIFAR is NewCIFAR10 with another fetch.
func openCIFAR(ctx context.Context, root string, opts CIFAR10Opts, f *fetch) (*labelled, error) {
	return cifar10.published("CIFAR10Opts", opts.Train).open(ctx, root, opts.Download, f)
}

// testPixels are the bytes of image i of a batch.
func testPixels(batch, i int) []byte {
	b := make([]byte, cifarBytes)
	r := rand.New(rand.NewPCG(uint64(batch), uint64(i)))
	for k := range b {
		b[k] = byte(r.UintN(256))
	}
	return b
}

func testLabel(batch, i int) byte { return byte((3*batch + i) % 10) }

// testBatch pickles n images with the instructions of the published batches.
func testBatch(batch, n int) []byte {
	w := new(bytes.Buffer)
	str := func(s string) { w.WriteByte('U'); w.WriteByte(byte(len(s))); w.WriteString(s) }
	w.WriteString("\x80\x02}q\x01(")
	str("batch_label")
	str("training batch 1 of 5")
	str("labels")
	w.WriteString("](")
	for i := range n {
		w.Write([]byte{'K', testLabel(batch, i)})
	}
	w.WriteByte('e')
	str("data")
	w.WriteString("cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01")
	w.Write([]byte{'M', byte(n), byte(n >> 8), 'M', 0, 12, 0x86})
	w.WriteString("cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T")
	w.Write(binary.LittleEndian.AppendUint32(nil, uint32(n*cifarBytes)))
	for i := range n {
		w.Write(testPixels(batch, i))
	}
	w.WriteString("tb")
	str("filenames")
	w.WriteString("](")
	for i := range n {
		str(fmt.Sprintf("x_s_%06d.png", i))
	}
	w.WriteString("eu.")
	return w.Bytes()
}

func testMeta() []byte {
	w := new(bytes.Buffer)
	w.WriteString("\x80\x02}(U\x0blabel_names](")
	for _, c := range cifar10.classes {
		fmt.Fprintf(w, "U%c%s", len(c), c)
	}
	w.WriteString("eu.")
	return w.Bytes()
}

// testFiles are the Python layout's files with 4, 5, 6, 7, 8 and 3 images.
func testFiles() map[string][]byte {
	files := map[string][]byte{"batches.meta": testMeta(), "test_batch": testBatch(6, 3)}
	for b := 1; b <= 5; b++ {
		files[fmt.Sprint("data_batch_", b)] = testBatch(b, 3+b)
	}
	return files
}

func writeFiles(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func targz(t testing.TB, entries ...tar.Header) []byte {
	var w bytes.Buffer
	zw := gzip.NewWriter(&w)
	tw := tar.NewWriter(zw)
	for _, h := range entries {
		body := h.PAXRecords["body"]
		h.PAXRecords = nil
		h.Mode = 0o644
		h.Size = int64(len(body))
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

func entry(name string, body []byte) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"body": string(body)}}
}

func testArchive(t testing.TB) []byte {
	entries := []tar.Header{{Name: cifar10.py + "/", Typeflag: tar.TypeDir}}
	for _, name := range []string{"batches.meta", "data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"} {
		entries = append(entries, entry(cifar10.py+"/"+name, testFiles()[name]))
	}
	return targz(t, entries...)
}

// checkTrain compares a training set with what testFiles holds.
func checkTrain(t *testing.T, c *CIFAR10) {
	t.Helper()
	if c.Len() != 4+5+6+7+8 {
		t.Fatalf("got %d images, want 30", c.Len())
	}
	if diff := cmp.Diff(cifar10.classes, c.Classes()); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
	at := 0
	for b := 1; b <= 5; b++ {
		for i := range 3 + b {
			x, y, err := c.Get(at, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := y.Item(), float64(testLabel(b, i)); got != want || y.DType() != tensor.Int64 || y.Dim() != 0 {
				t.Fatalf("image %d: got the label %s %v %v, want int64 [] %v", at, y.DType(), y.Shape(), got, want)
			}
			if !x.Shape().Equal(tensor.Shape{3, 32, 32}) {
				t.Fatalf("image %d: got %v", at, x.Shape())
			}
			for k, v := range testPixels(b, i) {
				if got, want := x.Floats()[k], float32(v)/255; got != want {
					t.Fatalf("image %d, byte %d: got %v, want %v", at, k, got, want)
				}
				if k > 40 {
					break
				}
			}
			at++
		}
	}
}

func TestCIFAR10Layouts(t *testing.T) {
	t.Run("python", func(t *testing.T) {
		root := t.TempDir()
		writeFiles(t, filepath.Join(root, cifar10.py), testFiles())
		c, err := NewCIFAR10(root, CIFAR10Opts{Train: true})
		if err != nil {
			t.Fatal(err)
		}
		checkTrain(t, c)
		if want := "30 images from " + filepath.Join(root, cifar10.py) + ", where the MD5 sums of data_batch_1, "; !strings.HasPrefix(c.Note(), want) {
			t.Errorf("note: got %q, want %q…", c.Note(), want)
		}
		test, err := NewCIFAR10(root, CIFAR10Opts{})
		if err != nil {
			t.Fatal(err)
		}
		if test.Len() != 3 || test.Label(1) != int(testLabel(6, 1)) {
			t.Errorf("test images: got %d, label %d", test.Len(), test.Label(1))
		}
	})
	t.Run("binary", func(t *testing.T) {
		root := t.TempDir()
		files := map[string][]byte{"batches.meta.txt": []byte(strings.Join(cifar10.classes, "\n") + "\n\n")}
		for b := 1; b <= 5; b++ {
			var w []byte
			for i := range 3 + b {
				w = append(append(w, testLabel(b, i)), testPixels(b, i)...)
			}
			files[fmt.Sprintf("data_batch_%d.bin", b)] = w
		}
		writeFiles(t, filepath.Join(root, cifar10.bin), files)
		c, err := NewCIFAR10(root, CIFAR10Opts{Train: true})
		if err != nil {
			t.Fatal(err)
		}
		checkTrain(t, c)
		if !strings.Contains(c.Note(), "no published sums") {
			t.Errorf("note: got %q", c.Note())
		}
	})
	t.Run("archive", func(t *testing.T) {
		root := t.TempDir()
		writeFiles(t, root, map[string][]byte{cifar10Archive: testArchive(t)})
		writeFiles(t, filepath.Join(root, ".cifar-10.unpacking"), map[string][]byte{"left by a killed program": nil})
		c, err := NewCIFAR10(root, CIFAR10Opts{Train: true})
		if err != nil {
			t.Fatal(err)
		}
		checkTrain(t, c)
		if want := "from " + filepath.Join(root, cifar10.py) + ","; !strings.Contains(c.Note(), want) {
			t.Errorf("note: got %q, want %q in it", c.Note(), want)
		}
		wantDir(t, root, cifar10.py, cifar10Archive)
		// The second time the folder is read.
		if err := os.Remove(filepath.Join(root, cifar10Archive)); err != nil {
			t.Fatal(err)
		}
		if c, err = NewCIFAR10(root, CIFAR10Opts{Train: true, Download: true}); err != nil {
			t.Fatal(err)
		}
		checkTrain(t, c)
	})
}

// wantDir checks that dir holds these names and no others.
func wantDir(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("files in %s (-want +got):\n%s", dir, diff)
	}
}

func TestCIFAR10Errors(t *testing.T) {
	good := testFiles()
	for _, tt := range []struct {
		name  string
		files map[string][]byte
		want  []string
	}{
		{"missing file", map[string][]byte{"data_batch_3": nil}, []string{"data_batch_3", "is missing; remove its folder, "}},
		{"cut off", map[string][]byte{"data_batch_2": good["data_batch_2"][:9000]}, []string{"data_batch_2", "opcode 'T' at offset", "wants 15360 bytes"}},
		{"label", map[string][]byte{"data_batch_4": bytes.Replace(good["data_batch_4"], []byte{'K', testLabel(4, 2)}, []byte{'K', 12}, 1)},
			[]string{"data_batch_4", "record 2: label 12, want 0 to 9"}},
		{"labels", map[string][]byte{"data_batch_1": bytes.Replace(good["data_batch_1"], []byte{'K', testLabel(1, 0), 'K', testLabel(1, 1)}, []byte{'K', 1}, 1)},
			[]string{"data_batch_1", "3 labels for 4 images"}},
		{"a list", map[string][]byte{"data_batch_1": []byte("].")}, []string{"a pickled list, want a dict"}},
		{"no data", map[string][]byte{"data_batch_1": []byte("}.")}, []string{`"data" is nothing, want a uint8 array of shape [n 3072]`}},
		{"empty", map[string][]byte{"data_batch_1": {}}, []string{"data_batch_1", "ends before"}},
		{"code", map[string][]byte{"data_batch_1": []byte("cos\nsystem\n(S'true'\ntR.")}, []string{`names "os.system"`}},
		{"names", map[string][]byte{"batches.meta": []byte("}(U\x0blabel_names](U\x01aeu.")}, []string{"batches.meta", "1 class names, want 10"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			files := testFiles()
			for name, b := range tt.files {
				if files[name] = b; b == nil {
					delete(files, name)
				}
			}
			writeFiles(t, filepath.Join(root, cifar10.py), files)
			_, err := NewCIFAR10(root, CIFAR10Opts{Train: true})
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range append(tt.want, "; remove its folder, "+filepath.Join(root, cifar10.py)+", to have it unpacked or downloaded again") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if tt.name == "code" {
				var e *pickle.Error
				if !errors.As(err, &e) {
					t.Errorf("got %v, want a *pickle.Error", err)
				}
			}
		})
	}
	t.Run("binary", func(t *testing.T) {
		root := t.TempDir()
		rec := append([]byte{3}, testPixels(0, 0)...)
		bad := append([]byte{11}, testPixels(0, 0)...)
		for want, file := range map[string][]byte{
			"record 1 at offset 3073 has 100 bytes, want 3073":     append(bytes.Clone(rec), rec[:100]...),
			"record 1 at offset 3073: label 11, want 0 to 9":       append(bytes.Clone(rec), bad...),
			"test_batch.bin: record 0 at offset 0 has 1 bytes, wa": {1},
		} {
			writeFiles(t, filepath.Join(root, cifar10.bin), map[string][]byte{"test_batch.bin": file})
			if _, err := NewCIFAR10(root, CIFAR10Opts{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		}
	})
	t.Run("nothing there", func(t *testing.T) {
		root := filepath.Join(t.TempDir(), "data")
		_, err := NewCIFAR10(root, CIFAR10Opts{})
		if !errors.Is(err, ErrNotDownloaded) || !strings.Contains(err.Error(), "CIFAR10Opts.Download fetches it") {
			t.Errorf("got %v, want what to do", err)
		}
		if exists(root) {
			t.Error("the folder was made")
		}
	})
}

func TestCIFAR10BadArchive(t *testing.T) {
	whole := testArchive(t)
	for _, tt := range []struct {
		name    string
		archive []byte
		want    string
	}{
		{"not gzip", []byte("<html>"), "not a gzip file but a web page"},
		{"text", []byte("no archive"), "not a gzip file: gzip: invalid header"},
		{"empty", []byte{}, "the file is empty"},
		{"cut off", whole[:len(whole)/2], "unexpected EOF"},
		{"damaged", append(bytes.Clone(whole[:len(whole)-8]), 1, 2, 3, 4, 5, 6, 7, 8), "gzip: invalid checksum"},
		{"parent", targz(t, entry("../evil", nil)), `entry 1, "../evil": a name that leads out`},
		{"parent inside", targz(t, entry(cifar10.py+"/../../evil", nil)), "leads out"},
		{"absolute", targz(t, entry("/evil", nil)), "leads out"},
		{"backslash", targz(t, entry(`..\evil`, nil)), "leads out"},
		{"deep folder", targz(t, entry(strings.Repeat("a/", 5000)+"b", nil)), "a name of 10001 bytes, want at most 255"},
		{"symbolic link", targz(t, tar.Header{Name: cifar10.py, Typeflag: tar.TypeSymlink, Linkname: "/etc"}), `a link to "/etc"`},
		{"hard link", targz(t, tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}), `a link to "/etc/passwd"`},
		{"device", targz(t, tar.Header{Name: "a", Typeflag: tar.TypeChar}), "tar type"},
		{"twice", targz(t, entry("a", nil), entry("a", nil)), "file exists"},
		{"other folder", targz(t, entry("cifar-100-python/train", nil)), "holds no folder " + cifar10.py},
		{"bad batch", targz(t, entry(cifar10.py+"/test_batch", []byte("junk"))), "opcode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			root := filepath.Join(dir, "data")
			writeFiles(t, root, map[string][]byte{cifar10Archive: tt.archive})
			_, err := NewCIFAR10(root, CIFAR10Opts{})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), cifar10Archive) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
			if !strings.Contains(err.Error(), "remove that file, or have it fetched again with CIFAR10Opts.Download") || strings.Count(err.Error(), "datasets:") != 1 {
				t.Errorf("got %v, want what to do", err)
			}
			wantDir(t, root, cifar10Archive)
			wantDir(t, dir, "data")

			// With a download, another one takes its place, and that is said.
			s := &server{content: whole}
			d, err := openCIFAR(t.Context(), root, CIFAR10Opts{Download: true}, testFetch(root, s.start(t), whole))
			if err != nil {
				t.Fatal(err)
			}
			if len(d.labels) != 3 || !strings.Contains(d.note, "was damaged and was fetched again: ") || !strings.Contains(d.note, tt.want) {
				t.Errorf("got %d images and the note %q, want 3 and that it was fetched again", len(d.labels), d.note)
			}
			wantDir(t, root, cifar10.py, cifar10Archive)
			if got, err := os.ReadFile(filepath.Join(root, cifar10Archive)); err != nil || !bytes.Equal(got, whole) {
				t.Errorf("the archive is not the new one: %v", err)
			}
		})
	}
	// Where that fails, both are told, and the old file stays.
	root := t.TempDir()
	writeFiles(t, root, map[string][]byte{cifar10Archive: {}})
	s := &server{handle: func(n int, w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }}
	_, err := openCIFAR(t.Context(), root, CIFAR10Opts{Download: true}, testFetch(root, s.start(t), whole))
	if err == nil || !strings.Contains(err.Error(), "404 Not Found") || !strings.Contains(err.Error(), cifar10Archive+": the file is empty") {
		t.Errorf("got %v, want why it was fetched and why that failed", err)
	}
	wantDir(t, root, cifar10Archive)
	// One that is whole and holds no CIFAR-10 is not fetched again and again.
	other := targz(t, entry("a", nil))
	root = t.TempDir()
	writeFiles(t, root, map[string][]byte{cifar10Archive: other})
	s = &server{content: other}
	_, err = openCIFAR(t.Context(), root, CIFAR10Opts{Download: true}, testFetch(root, s.start(t), other))
	if err == nil || !strings.Contains(err.Error(), "holds no folder") || s.requests.Load() != 0 {
		t.Errorf("got %v after %d requests, want none", err, s.requests.Load())
	}
}

// Folders and files that are in the way are named.
func TestCIFAR10Places(t *testing.T) {
	root := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(root, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, download := range []bool{false, true} {
		if _, err := NewCIFAR10(root, CIFAR10Opts{Download: download}); err == nil || errors.Is(err, ErrNotDownloaded) || !strings.Contains(err.Error(), root) {
			t.Errorf("a file for a folder: got %v", err)
		}
	}
	root = t.TempDir()
	if err := os.Mkdir(filepath.Join(root, cifar10Archive), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := NewCIFAR10(root, CIFAR10Opts{Download: true}); err == nil || !strings.Contains(err.Error(), cifar10Archive+" is no regular file") {
		t.Errorf("a folder for the archive: got %v", err)
	}
	root = t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, cifar10.py, "test_batch"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := NewCIFAR10(root, CIFAR10Opts{}); err == nil || !strings.Contains(err.Error(), "test_batch: no regular file") {
		t.Errorf("a folder for a batch: got %v", err)
	}
}

func TestCIFAR10Permissions(t *testing.T) {
	if os.Geteuid() <= 0 {
		t.Skip("root and Windows know no such permissions")
	}
	dir := t.TempDir()
	for name, c := range map[string]struct {
		mode os.FileMode
		want string
	}{
		"unreadable": {0, "cannot be read: permission denied"},
		"read-only":  {0o500, "nothing can be written in "},
	} {
		root := filepath.Join(dir, name)
		writeFiles(t, root, nil)
		if name == "read-only" {
			writeFiles(t, root, map[string][]byte{cifar10Archive: testArchive(t)})
		}
		if err := os.Chmod(root, c.mode); err != nil {
			t.Fatal(err)
		}
		for _, download := range []bool{false, true} {
			if _, err := NewCIFAR10(root, CIFAR10Opts{Download: download}); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), root) || !errors.Is(err, os.ErrPermission) {
				t.Errorf("%s, download %v: got %v, want %q in it", name, download, err, c.want)
			}
		}
		if err := os.Chmod(root, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	if _, err := NewCIFAR10(filepath.Join(dir, "new"), CIFAR10Opts{Download: true}); err == nil || !strings.Contains(err.Error(), "cannot be made: ") {
		t.Errorf("a folder in a read-only one: got %v", err)
	}
}

// A zip bomb stops at the bound.
func TestUnpackBound(t *testing.T) {
	var w bytes.Buffer
	zw, err := gzip.NewWriterLevel(&w, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(zw)
	if err := tw.WriteHeader(&tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: maxUnpacked + 1}); err != nil {
		t.Fatal(err)
	}
	zw.Close()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := unpackFrom(t.Context(), &w, root); err == nil || !strings.Contains(err.Error(), "unpacks to more than") {
		t.Errorf("got %v, want a bound", err)
	}
	wantDir(t, root.Name())
}

// server serves content in the way that each test wants.
type server struct {
	content  []byte
	etag     string
	requests atomic.Int32
	ranges   []string
	mu       sync.Mutex
	handle   func(n int, w http.ResponseWriter, r *http.Request) bool // true: answered
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(s.requests.Add(1))
	s.mu.Lock()
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	s.mu.Unlock()
	if s.handle != nil && s.handle(n, w, r) {
		return
	}
	if s.etag != "" {
		w.Header().Set("ETag", s.etag)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content))
}

// cut sends the first n bytes of the content and breaks the connection.
func (s *server) cut(w http.ResponseWriter, n int) {
	w.Header().Set("ETag", s.etag)
	w.Header().Set("Content-Length", fmt.Sprint(len(s.content)))
	w.Write(s.content[:n])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func (s *server) start(t *testing.T) string {
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv.URL + "/cifar-10-python.tar.gz"
}

// testFetch is a fetch of the archive with short waits.
func testFetch(root, url string, content []byte) *fetch {
	sum := md5.Sum(content)
	return &fetch{url: url, path: filepath.Join(root, cifar10Archive), md5: hex.EncodeToString(sum[:]), limit: 1 << 20,
		tries: 3, pause: time.Millisecond, stall: 5 * time.Second}
}

func TestDownload(t *testing.T) {
	content := testArchive(t)
	for _, tt := range []struct {
		name     string
		etag     string
		handle   func(s *server, n int, w http.ResponseWriter, r *http.Request) bool
		requests int
		ranges   string // of the last request
		want     string // part of the error
	}{
		{name: "at once", etag: `"v1"`, requests: 1},
		{name: "without an etag", requests: 1},
		{name: "broken twice", etag: `"v1"`, requests: 3, ranges: "bytes=5000-", handle: func(s *server, n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				s.cut(w, 3000)
			}
			if n == 2 {
				if got := r.Header.Get("If-Range"); got != `"v1"` {
					panic("If-Range is " + got)
				}
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 3000-%d/%d", len(content)-1, len(content)))
				w.Header().Set("Content-Length", fmt.Sprint(len(content)-3000))
				w.WriteHeader(http.StatusPartialContent)
				w.Write(content[3000:5000])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			return false
		}},
		{name: "changed in between", etag: `"v2"`, requests: 2, ranges: "bytes=3000-", handle: func(s *server, n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				w.Header().Set("ETag", `"v1"`)
				w.Header().Set("Content-Length", fmt.Sprint(len(content)))
				w.Write(make([]byte, 3000))
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			return false
		}},
		{name: "wrong range", etag: `"v1"`, requests: 3, handle: func(s *server, n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				s.cut(w, 3000)
			}
			if n == 2 {
				w.Header().Set("Content-Range", "bytes 0-99/100")
				w.WriteHeader(http.StatusPartialContent)
			}
			return n == 2
		}},
		{name: "busy at first", requests: 2, handle: func(s *server, n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				http.Error(w, "later", http.StatusServiceUnavailable)
			}
			return n == 1
		}},
		{name: "not found", requests: 1, want: "answered 404 Not Found", handle: func(s *server, n int, w http.ResponseWriter, r *http.Request) bool {
			http.NotFound(w, r)
			return true
		}},
		{name: "always busy", requests: 3, want: "answered 503 Service Unavailable (tried 3 times)", handle: func(s *server, n int, w http.ResponseWriter, r *http.Request) bool {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return true
		}},
		{name: "wrong sum", requests: 1, want: "MD5 is 0cc175b9c0f1b6a831c399e269772661, want ", handle: func(s *server, n int, w http.ResponseWriter, r *http.Request) bool {
			w.Write([]byte("a"))
			return true
		}},
		{name: "a page", requests: 1, want: "the server sent a web page, want the archive", handle: func(s *server, n int, w http.ResponseWriter, r *http.Request) bool {
			w.Write([]byte("<!DOCTYPE html><title>Log in</title>"))
			return true
		}},
		{name: "an empty file", requests: 1, want: "the server sent an empty file, want the archive", handle: func(s *server, n int, w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusOK)
			return true
		}},
		{name: "too long", requests: 1, want: "has 2097152 bytes, want at most 1048576", handle: func(s *server, n int, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", "2097152")
			return true
		}},
		{name: "endless", etag: `"v1"`, requests: 1, want: "longer than 1048576 bytes", handle: func(s *server, n int, w http.ResponseWriter, r *http.Request) bool {
			for range 64 {
				w.Write(make([]byte, 1<<15))
			}
			return true
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &server{content: content, etag: tt.etag}
			if tt.handle != nil {
				s.handle = func(n int, w http.ResponseWriter, r *http.Request) bool { return tt.handle(s, n, w, r) }
			}
			dir := t.TempDir()
			root := filepath.Join(dir, "new", "data")
			f := testFetch(root, s.start(t), content)
			var done, total int64
			f.progress = func(d, t int64) { done, total = d, t }
			d, err := openCIFAR(t.Context(), root, CIFAR10Opts{Download: true}, f)
			if got := int(s.requests.Load()); got != tt.requests {
				t.Errorf("got %d requests, want %d", got, tt.requests)
			}
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q in it", err, tt.want)
				}
				wantDir(t, dir)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(d.labels) != 3 {
				t.Errorf("got %d images, want 3", len(d.labels))
			}
			if n := int64(len(content)); done != n || total != n {
				t.Errorf("progress ended at %d of %d, want %d", done, total, n)
			}
			if tt.ranges != "" && s.ranges[len(s.ranges)-1] != tt.ranges {
				t.Errorf("got the ranges %q, want %q at last", s.ranges, tt.ranges)
			}
			wantDir(t, root, cifar10.py, cifar10Archive)
		})
	}
}

// What one run received, the next one goes on with; without a version from the
// server, it is not kept.
// An archive that is not the published one is refused, and nothing of it stays.
func TestDownloadOfAnotherArchive(t *testing.T) {
	archive := testArchive(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		_, _ = w.Write(archive)
	}))
	defer s.Close()
	root := filepath.Join(t.TempDir(), "data")
	var told int64
	_, err := NewCIFAR10(root, CIFAR10Opts{Train: true, Download: true, URL: s.URL, Progress: func(done, _ int64) { told = done }})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"datasets: download of " + s.URL, "the file's MD5 is ", "want " + cifar10MD5, "it was deleted"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	if told != int64(len(archive)) {
		t.Errorf("the last progress was %d bytes, want %d", told, len(archive))
	}
	if exists(root) {
		wantDir(t, root)
		t.Error("the folder stayed")
	}
}

func TestDownloadResumesLater(t *testing.T) {
	content := testArchive(t)
	for _, etag := range []string{`"v1"`, ""} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &server{content: content, etag: etag}
		release := make(chan bool)
		s.handle = func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				if etag != "" {
					w.Header().Set("ETag", etag)
				}
				w.Header().Set("Content-Length", fmt.Sprint(len(content)))
				w.Write(content[:4000])
				w.(http.Flusher).Flush()
				<-release
			}
			return n == 1
		}
		root := t.TempDir()
		f := testFetch(root, s.start(t), content)
		go func() {
			for size(f.path+".part") < 4000 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		_, err := openCIFAR(ctx, root, CIFAR10Opts{Download: true}, f)
		close(release)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want context.Canceled", err)
		}
		if etag == "" {
			wantDir(t, root)
			continue
		}
		wantDir(t, root, cifar10Archive+".part", cifar10Archive+".part.tag")
		if _, err := openCIFAR(t.Context(), root, CIFAR10Opts{Download: true}, f); err != nil {
			t.Fatal(err)
		}
		if got := s.ranges[1]; got != "bytes=4000-" {
			t.Errorf("got the range %q, want bytes=4000-", got)
		}
		wantDir(t, root, cifar10.py, cifar10Archive)
	}
}

func TestDownloadStalls(t *testing.T) {
	release := make(chan bool)
	s := &server{}
	s.handle = func(n int, w http.ResponseWriter, r *http.Request) bool {
		w.(http.Flusher).Flush()
		<-release
		return true
	}
	root := t.TempDir()
	f := testFetch(root, s.start(t), nil)
	f.stall, f.tries = 50*time.Millisecond, 2
	_, err := openCIFAR(t.Context(), root, CIFAR10Opts{Download: true}, f)
	close(release)
	if err == nil || !strings.Contains(err.Error(), "no data for 50ms (tried 2 times)") {
		t.Errorf("got %v, want a stall", err)
	}
	wantDir(t, root)
}

// Of several at once, one downloads.
func TestDownloadOnce(t *testing.T) {
	content := testArchive(t)
	s := &server{content: content, etag: `"v1"`}
	root := filepath.Join(t.TempDir(), "data")
	url := s.start(t)
	// A lock file that nobody holds, as a killed program leaves it.
	writeFiles(t, root, map[string][]byte{".cifar-10.lock": nil})
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = openCIFAR(t.Context(), root, CIFAR10Opts{Train: i%2 == 0, Download: true}, testFetch(root, url, content))
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got := s.requests.Load(); got != 1 {
		t.Errorf("got %d requests, want 1", got)
	}
	wantDir(t, root, cifar10.py, cifar10Archive)
}

// What is no address of a web server is not tried a second time, and an address
// is named once.
func TestDownloadAddress(t *testing.T) {
	for _, tt := range []struct {
		url   string
		tries int
		want  string
	}{
		{"ftp://127.0.0.1/a.tar.gz", 1, "begins with http:// or https://"},
		{"file:///etc/hosts", 1, "begins with http:// or https://"},
		{"/a.tar.gz", 1, "begins with http:// or https://"},
		{"http:///a.tar.gz", 1, "names a server"},
		{"http://[::1", 1, "missing ']' in host"},
		{"http://127.0.0.1:0/a.tar.gz", 3, "(tried 3 times)"},
	} {
		dir := t.TempDir()
		_, err := openCIFAR(t.Context(), filepath.Join(dir, "new"), CIFAR10Opts{Download: true}, testFetch(filepath.Join(dir, "new"), tt.url, nil))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "tried") != (tt.tries > 1) || strings.Count(err.Error(), tt.url) != 1 {
			t.Errorf("%s: got %v, want %q in it", tt.url, err, tt.want)
		}
		wantDir(t, dir)
	}
}

// Of several at once whose download is refused, each says so, though the first
// takes the folder away in which the others wait.
func TestDownloadRefused(t *testing.T) {
	for range 5 {
		s := &server{handle: func(n int, w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }}
		root := filepath.Join(t.TempDir(), "new", "data")
		url := s.start(t)
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = openCIFAR(t.Context(), root, CIFAR10Opts{Download: true}, testFetch(root, url, nil))
			})
		}
		wg.Wait()
		for i, err := range errs {
			if err == nil || !strings.Contains(err.Error(), "404 Not Found") {
				t.Errorf("%d of %d: got %v, want that it was not found", i, len(errs), err)
			}
		}
		if exists(root) {
			wantDir(t, root) // no lock
		}
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second lock: got %v, want to wait", err)
	}
	unlock()
	if exists(path) {
		t.Error("the lock file was left behind")
	}
	var inside, most atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			unlock, err := lock(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			most.Store(max(most.Load(), inside.Add(1)))
			time.Sleep(2 * time.Millisecond)
			inside.Add(-1)
			unlock()
		})
	}
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d held the lock at once", most.Load())
	}
}

// An archive of a few hundred bytes takes no memory for what it speaks of, and
// leaves nothing.
func TestUnpackAllocation(t *testing.T) {
	// A header that announces a gigabyte, with nothing behind it.
	var cut bytes.Buffer
	zw := gzip.NewWriter(&cut)
	if err := tar.NewWriter(zw).WriteHeader(&tar.Header{Name: cifar10.py + "/data_batch_1", Typeflag: tar.TypeReg, Mode: 0o644, Size: maxUnpacked - 1}); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	name := gzip.Header{Extra: bytes.Repeat([]byte("x"), 60000)}
	var extra bytes.Buffer
	zw = gzip.NewWriter(&extra)
	zw.Header = name
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	for name, archive := range map[string][]byte{
		"cut off":      cut.Bytes(),
		"long name":    targz(t, entry(strings.Repeat("a/", 5000)+"b", nil)),
		"extra header": extra.Bytes()[:100],
		"empty":        nil,
	} {
		root := t.TempDir()
		path := filepath.Join(root, cifar10Archive)
		if err := os.WriteFile(path, archive, 0o644); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := NewCIFAR10(root, CIFAR10Opts{})
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names %s", name, err, path)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 512<<10 {
			t.Errorf("%s: allocated %d bytes for an archive of %d", name, got, len(archive))
		}
		wantDir(t, root, cifar10Archive)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("not an archive"))
	f.Add(targz(f, entry("../a", nil)))
	f.Add(targz(f, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc"}))
	f.Add(targz(f, entry("a/b", []byte("x")), entry("a/./c", []byte("y")), tar.Header{Name: "d/", Typeflag: tar.TypeDir}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			t.Skip("longer inputs only take longer")
		}
		dir := t.TempDir()
		root, err := os.OpenRoot(filepath.Join(dir))
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := root.Mkdir("in", 0o755); err != nil {
			t.Fatal(err)
		}
		in, err := root.OpenRoot("in")
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		_ = unpackFrom(t.Context(), bytes.NewReader(data), in)
		wantDir(t, dir, "in")
		err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && !e.Type().IsRegular() {
				t.Errorf("%s is neither a file nor a folder", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func FuzzCIFARBatch(f *testing.F) {
	f.Add(testBatch(1, 2))
	f.Add(append([]byte{3}, testPixels(0, 0)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, read := range []func(*labelled, []byte) error{cifar10.readPy, cifar10.readBin} {
			d := &labelled{}
			if read(d, data) == nil {
				if _, err := NewImages(d.pixels, 3, 32, 32, d.labels, cifar10.classes, nil); err != nil {
					t.Errorf("read %d bytes of pixels and %d labels: %v", len(d.pixels), len(d.labels), err)
				}
			}
		}
	})
}

func ExampleNewImageFolder() {
	fit := transforms.Compose(transforms.Resize(32), transforms.CenterCrop(32), transforms.ToTensor())
	set, err := NewImageFolder("photos", ImageFolderOpts{Transform: fit})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Len(), set.Classes())
}

func ExampleRandomSplit() {
	set := NewShapes(ShapesOpts{})
	parts, err := RandomSplit(set, []int{1800, 200}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(parts[0].Len(), parts[1].Len())
	// Output: 1800 200
}

func ExampleNewCIFAR10() {
	augment := transforms.Compose(transforms.RandomHorizontalFlip(0.5), transforms.ToTensor())
	trainSet, err := NewCIFAR10("data", CIFAR10Opts{Train: true, Download: true, Transform: augment})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(trainSet.Len(), trainSet.Classes())
}
