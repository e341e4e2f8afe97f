package datasets

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// fetch is one file to be brought from a web server.
type fetch struct {
	url, path string
	md5       string // what the file's sum must be, in hex
	limit     int64  // bytes
	progress  func(done, total int64)

	tries int           // in a row that bring nothing
	pause time.Duration // before the second try; doubles
	stall time.Duration // without a byte, after which a try has failed
}

// refusal is a failure that trying again cannot mend.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// run brings the file. A connection that breaks is resumed where it broke; what
// was received when run gives up stays in path+".part", for the next run to go
// on with, provided the server names the version it sends (path+".part.tag"
// keeps that name). A file that is too long or has another sum is deleted.
func (f *fetch) run(ctx context.Context) error {
	part, tag := f.path+".part", f.path+".part.tag"
	clear := func() {
		os.Remove(part)
		os.Remove(tag)
	}
	err := f.receive(ctx, part, tag)
	if err == nil {
		err = f.check(part)
	}
	var r refusal
	if errors.As(err, &r) {
		clear()
		return r.error
	}
	if err != nil {
		if fi, err := os.Stat(part); err != nil || fi.Size() == 0 || readTag(tag, f.url) == "" {
			clear()
		}
		return err
	}
	if err := os.Rename(part, f.path); err != nil {
		clear()
		return err
	}
	os.Remove(tag)
	return nil
}

func (f *fetch) receive(ctx context.Context, part, tag string) error {
	client := &http.Client{}
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		t.ResponseHeaderTimeout = f.stall
		defer t.CloseIdleConnections()
		client.Transport = t
	}
	pause := f.pause
	for failed := 0; ; {
		before := size(part)
		err := f.try(ctx, client, part, tag)
		var r refusal
		if err == nil || errors.As(err, &r) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("datasets: download of %s: %w", f.url, context.Cause(ctx))
		}
		if size(part) > before {
			failed, pause = 0, f.pause
		}
		if failed++; failed >= f.tries {
			return fmt.Errorf("datasets: download of %s: %w (tried %d times)", f.url, err, failed)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// try makes one request and appends what it brings to part.
func (f *fetch) try(ctx context.Context, client *http.Client, part, tag string) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(f.stall, func() { cancel(fmt.Errorf("no data for %v", f.stall)) })
	defer watch.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return refusal{fmt.Errorf("datasets: download: %w", err)}
	}
	if (req.URL.Scheme != "http" && req.URL.Scheme != "https") || req.URL.Host == "" {
		return refusal{fmt.Errorf("datasets: download of %s: want an address that begins with http:// or https:// and names a server", f.url)}
	}
	// The archive is wanted as it lies there; left to itself, the client would
	// ask for a compressed transfer and unpack it.
	req.Header.Set("Accept-Encoding", "identity")
	done := int64(0)
	if v := readTag(tag, f.url); v != "" {
		if done = size(part); done > 0 {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", done))
			req.Header.Set("If-Range", v)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if e, ok := errors.AsType[*url.Error](err); ok && e.URL == f.url {
			return e.Err // the caller names the address
		}
		return err
	}
	defer resp.Body.Close()

	total := int64(-1)
	switch {
	case resp.StatusCode == http.StatusOK:
		done, total = 0, resp.ContentLength
	case resp.StatusCode == http.StatusPartialContent && done > 0:
		from, all, ok := contentRange(resp.Header.Get("Content-Range"))
		if !ok || from != done {
			os.Remove(tag) // start over
			return fmt.Errorf("asked for bytes from %d on, the server sent %q", done, resp.Header.Get("Content-Range"))
		}
		total = all
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && done > 0:
		os.Remove(tag)
		return fmt.Errorf("the server has no bytes from %d on", done)
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("the server answered %s", resp.Status)
	default:
		return refusal{fmt.Errorf("datasets: download of %s: the server answered %s", f.url, resp.Status)}
	}
	if total > f.limit {
		return refusal{fmt.Errorf("datasets: download of %s: the file has %d bytes, want at most %d", f.url, total, f.limit)}
	}
	if done == 0 {
		if err := writeTag(tag, f.url, resp.Header); err != nil {
			return refusal{fmt.Errorf("datasets: download: %w", err)}
		}
	}
	mode := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if done == 0 {
		mode |= os.O_TRUNC
	}
	w, err := os.OpenFile(part, mode, 0o644)
	if err != nil {
		return refusal{fmt.Errorf("datasets: download: %w", err)}
	}
	defer func() {
		if cerr := w.Close(); err == nil && cerr != nil {
			err = refusal{fmt.Errorf("datasets: download: %w", cerr)}
		}
	}()

	buf := make([]byte, 256<<10)
	told := int64(-1)
	tell := func() {
		if f.progress != nil && done != told {
			f.progress(done, total)
			told = done
		}
	}
	tell()
	for {
		n, rerr := resp.Body.Read(buf)
		if n > 0 {
			watch.Reset(f.stall)
			if done += int64(n); done > f.limit {
				return refusal{fmt.Errorf("datasets: download of %s: the file is longer than %d bytes", f.url, f.limit)}
			}
			if _, err := w.Write(buf[:n]); err != nil {
				return refusal{fmt.Errorf("datasets: download: %w", err)}
			}
			if done-told >= 1<<20 {
				tell()
			}
		}
		if rerr == io.EOF {
			break
		}
		if rerr != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return rerr
		}
	}
	if total >= 0 && done < total {
		return io.ErrUnexpectedEOF
	}
	tell()
	return nil
}

func (f *fetch) check(part string) error {
	got, err := md5File(part)
	if err != nil {
		return refusal{fmt.Errorf("datasets: download: %w", err)}
	}
	if got != f.md5 {
		if size(part) == 0 {
			return refusal{fmt.Errorf("datasets: download of %s: the server sent an empty file, want the archive", f.url)}
		}
		if isPage(part) {
			return refusal{fmt.Errorf("datasets: download of %s: the server sent a web page, want the archive; it was deleted", f.url)}
		}
		return refusal{fmt.Errorf("datasets: download of %s: the file's MD5 is %s, want %s; it was deleted", f.url, got, f.md5)}
	}
	return nil
}

// isPage says whether a file is HTML, as a network sends that wants one to log in.
func isPage(path string) bool {
	r, err := os.Open(path)
	if err != nil {
		return false
	}
	defer r.Close()
	start := make([]byte, 512)
	n, _ := io.ReadFull(r, start)
	return strings.HasPrefix(http.DetectContentType(start[:n]), "text/html")
}

func md5File(path string) (string, error) {
	r, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer r.Close()
	h := md5.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func size(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// contentRange reads "bytes 100-199/200"; all is -1 where the server says "*".
func contentRange(s string) (from, all int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	span, length, ok2 := strings.Cut(s, "/")
	first, _, ok3 := strings.Cut(span, "-")
	from, err := strconv.ParseInt(first, 10, 64)
	if !ok || !ok2 || !ok3 || err != nil {
		return 0, 0, false
	}
	if length == "*" {
		return from, -1, true
	}
	all, err = strconv.ParseInt(length, 10, 64)
	return from, all, err == nil && all >= from
}

// writeTag keeps the name that the server gives the version it sends: a strong
// ETag, or else the date of change. Without one nothing can be resumed.
func writeTag(tag, url string, h http.Header) error {
	v := h.Get("ETag")
	if v == "" || strings.HasPrefix(v, "W/") {
		v = h.Get("Last-Modified")
	}
	if v == "" {
		if err := os.Remove(tag); err != nil && !os.IsNotExist(err) {
			return err
		}
		return nil
	}
	return os.WriteFile(tag, []byte(url+"\n"+v+"\n"), 0o644)
}

// readTag returns the version kept for url, or "".
func readTag(tag, url string) string {
	b, err := os.ReadFile(tag)
	if err != nil {
		return ""
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) != 3 || lines[0] != url {
		return ""
	}
	return lines[1]
}

// makeDir makes the folder and returns a function that takes away again what
// was made, as long as it is empty.
func makeDir(dir string) (undo func(), err error) {
	var made []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || filepath.Dir(d) == d {
			break
		}
		made = append(made, d)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return func() {
		for _, d := range made {
			os.Remove(d) // fails, as it should, where something lies in it
		}
	}, nil
}
