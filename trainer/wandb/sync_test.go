package wandb

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// server stands in for the one that `wandb sync` uploads to. It answers as much of
// the protocol as that needs and keeps what comes.
type server struct {
	t  *testing.T
	mu sync.Mutex
	*httptest.Server
	runs map[string]*uploaded // by ID
}

// uploaded is what came of a run.
type uploaded struct {
	Project, Name, Group, Notes string
	Tags                        []string
	Config                      map[string]any
	History                     []map[string]any
	Summary                     map[string]any
	Files                       map[string][]byte
	Exit                        *float64
	Complete                    bool
}

func newServer(t *testing.T) *server {
	s := &server{t: t, runs: map[string]*uploaded{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) run(id string) *uploaded {
	if s.runs[id] == nil {
		s.runs[id] = &uploaded{Files: map[string][]byte{}}
	}
	return s.runs[id]
}

// jsonish decodes what wandb sends as JSON with NaN and infinities in it.
func jsonish(t *testing.T, text string) map[string]any {
	for _, v := range []string{"NaN", "-Infinity", "Infinity"} {
		text = strings.ReplaceAll(text, ":"+v, `:"`+v+`"`)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Errorf("%v in %q", err, text)
	}
	return m
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			s.t.Error(err)
			return
		}
		in = z
	}
	body, err := io.ReadAll(in)
	if err != nil {
		s.t.Error(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	// PUT /upload/ID/PATH, POST /files/ENTITY/PROJECT/ID/file_stream, POST /graphql
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	answer := `{}`
	switch {
	case parts[0] == "upload":
		s.run(parts[1]).Files[strings.Join(parts[2:], "/")] = body
	case parts[0] == "files" && parts[len(parts)-1] == "file_stream":
		s.stream(s.run(parts[len(parts)-2]), body)
	case parts[0] == "graphql":
		answer = s.graphql(body)
	}
	fmt.Fprint(w, answer)
}

// stream takes lines of the history and the summary.
func (s *server) stream(run *uploaded, body []byte) {
	var m struct {
		Files map[string]struct {
			Offset  int
			Content []string
		}
		Complete bool
		ExitCode *float64
	}
	if err := json.Unmarshal(body, &m); err != nil {
		s.t.Errorf("%v in %q", err, body)
	}
	h := m.Files["wandb-history.jsonl"]
	if len(h.Content) > 0 && h.Offset != len(run.History) {
		s.t.Errorf("got history lines from %d on, want %d", h.Offset, len(run.History))
	}
	for _, line := range h.Content {
		run.History = append(run.History, jsonish(s.t, line))
	}
	for _, line := range m.Files["wandb-summary.json"].Content {
		run.Summary = jsonish(s.t, line)
	}
	run.Complete = run.Complete || m.Complete
	if m.ExitCode != nil {
		run.Exit = m.ExitCode
	}
}

func (s *server) graphql(body []byte) string {
	var m struct {
		OperationName, Query string
		Variables            struct {
			Name, Run, Project, DisplayName, GroupName, Notes, Config string
			Tags, Files                                               []string
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		s.t.Errorf("%v in %q", err, body)
	}
	v := m.Variables
	switch {
	case strings.Contains(m.Query, "upsertBucket"):
		run := s.run(v.Name)
		if v.DisplayName != "" { // a later call says only what changes
			run.Project, run.Name, run.Group, run.Notes, run.Tags = v.Project, v.DisplayName, v.GroupName, v.Notes, v.Tags
		}
		if v.Config != "" {
			run.Config = map[string]any{}
			for key, entry := range jsonish(s.t, v.Config) {
				if e, ok := entry.(map[string]any); ok && key != "_wandb" {
					run.Config[key] = e["value"]
				}
			}
		}
		return fmt.Sprintf(`{"data": {"upsertBucket": {"inserted": true, "bucket": {"id": "1", "name": %q, "displayName": %q,
			"description": "", "config": "{}", "sweepName": null, "historyLineCount": 0,
			"project": {"id": "2", "name": %q, "entity": {"id": "3", "name": "team"}}}}}}`, v.Name, v.DisplayName, v.Project)
	case strings.Contains(m.Query, "createRunFiles"):
		var files []string
		for _, f := range v.Files {
			files = append(files, fmt.Sprintf(`{"name": %q, "uploadUrl": "%s/upload/%s/%s"}`, f, s.URL, v.Run, f))
		}
		return fmt.Sprintf(`{"data": {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": [%s]}}}`, strings.Join(files, ","))
	case strings.Contains(m.Query, "viewer"):
		return `{"data": {"viewer": {"id": "4", "entity": "team", "username": "user", "flags": "{}", "teams": {"edges": []}, "admin": false, "email": "user@example.com"}}}`
	case strings.Contains(m.Query, "serverInfo"):
		return `{"data": {"serverInfo": {"features": []}}}`
	case strings.Contains(m.Query, "model("):
		return `{"data": {"model": null}}`
	}
	return `{"data": {}}`
}

// sync runs the real `wandb sync` of the interpreter that WICK_PYTHON names, which
// has wandb 0.31.0, and returns what it prints.
func (s *server) sync(paths ...string) string {
	s.t.Helper()
	python := os.Getenv("WICK_PYTHON")
	if python == "" {
		s.t.Skip("WICK_PYTHON names no Python interpreter with wandb, whose `wandb sync` this test runs")
	}
	home := s.t.TempDir()
	cmd := exec.Command(python, append([]string{"-m", "wandb", "sync", "--yes"}, paths...)...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "WANDB_BASE_URL="+s.URL, "WANDB_API_KEY="+strings.Repeat("0", 40),
		"WANDB_ERROR_REPORTING=false", "WANDB_CONFIG_DIR="+home, "WANDB_CACHE_DIR="+home, "WANDB_DATA_DIR="+home,
		"HOME="+home, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Logf("wandb sync: %v", err)
	}
	return string(out)
}

func picture() image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	for i := range 6 {
		m.Set(i%3, i/3, color.NRGBA{255, 128, uint8(i), 255})
	}
	return m
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What is written arrives, from a finished run and from a killed one.
func TestSync(t *testing.T) {
	s := newServer(t)
	dir := t.TempDir()
	for _, c := range []struct {
		id   string
		exit int // -1: killed
	}{{"finished", 0}, {"failed", 3}, {"killed", -1}} {
		r, err := Init(dir, Opts{ID: c.id, Project: "cifar10", Name: "from Go", Group: "sweep 1", Notes: "größer", Tags: []string{"a", "b"},
			Config: []byte(`{"lr": 0.05, "cfg": [64, "M"], "optimizer": {"name": "SGD"}, "augment": true}`)})
		check(t, err)
		wide := map[string]float64{} // a row of three blocks
		for i := range 2000 {
			wide[fmt.Sprintf("wide/%0100d", i)] = float64(i)
		}
		for step := range 300 {
			check(t, r.Log(map[string]float64{"loss/train": 1 / float64(step+1), "accuracy": float64(step) / 300}, step))
		}
		check(t,
			r.LogImage("pred/test", picture(), 300),
			r.Log(wide, 301),
			r.Log(map[string]float64{"nan": math.NaN(), "inf": math.Inf(1), "-inf": math.Inf(-1)}, 302),
			r.SetSummary(map[string]float64{"best": 0.875, "accuracy": 1e-7}))
		if c.exit >= 0 {
			check(t, r.Finish(c.exit))
		}
		out := s.sync(r.Dir())
		got := s.runs[c.id]
		if got == nil {
			t.Fatalf("%s: nothing came; wandb sync says\n%s", c.id, out)
		}
		diff := func(what string, want, got any) {
			t.Helper()
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s: %s (-want +got):\n%s", c.id, what, d)
			}
		}
		diff("run", []string{"cifar10", "from Go", "sweep 1", "größer", "a", "b"},
			append([]string{got.Project, got.Name, got.Group, got.Notes}, got.Tags...))
		diff("config", map[string]any{"lr": 0.05, "cfg": []any{64.0, "M"}, "optimizer": map[string]any{"name": "SGD"}, "augment": true}, got.Config)
		if len(got.History) != 303 {
			t.Fatalf("%s: got %d rows, want 303; wandb sync says\n%s", c.id, len(got.History), out)
		}
		for step, row := range got.History {
			if row["_step"] != float64(step) || row["_timestamp"] == nil || row["_runtime"] == nil {
				t.Fatalf("%s: row %d: got %v", c.id, step, row)
			}
		}
		diff("a loss", 0.01, got.History[99]["loss/train"])
		diff("width of the wide row", 2003, len(got.History[301]))
		diff("odd numbers", []any{"NaN", "Infinity", "-Infinity"}, []any{got.History[302]["nan"], got.History[302]["inf"], got.History[302]["-inf"]})
		diff("summary", []any{0.875, 1e-7, 1.0 / 300}, []any{got.Summary["best"], got.Summary["accuracy"], got.Summary["loss/train"]})

		img, ok := got.History[300]["pred/test"].(map[string]any)
		if !ok {
			t.Fatalf("%s: got no image in row 300: %v", c.id, got.History[300])
		}
		file := got.Files[img["path"].(string)]
		m, err := png.Decode(bytes.NewReader(file))
		if err != nil {
			t.Fatalf("%s: %s: %v; uploaded are %q", c.id, img["path"], err, slices.Sorted(maps.Keys(got.Files)))
		}
		diff("pixel", color.Color(color.RGBA{255, 128, 5, 255}), m.At(2, 1))
		diff("image", map[string]any{"_type": "image-file", "format": "png", "width": 3.0, "height": 2.0, "size": float64(len(file)),
			"path": img["path"], "sha256": img["sha256"]}, img)
		if !got.Complete {
			t.Errorf("%s: got a run that is not complete", c.id)
		}
		if c.exit >= 0 {
			diff("exit code", float64(c.exit), *got.Exit)
		}
	}
}

// Of a file cut at any byte, wandb uploads the rows that are whole. Tried is one
// byte around the end of each record and each block; several, which takes minutes,
// if WICK_ALL_CUTS is set.
func TestSyncCut(t *testing.T) {
	s := newServer(t)
	stands := func() time.Time { return time.UnixMilli(1700000000250) }
	wide := map[string]float64{}
	for i := range 700 {
		wide[fmt.Sprintf("wide/%015d", i)] = float64(i)
	}
	make := func(dir, id string) *Run {
		r, err := initRun(dir, Opts{ID: id, Project: "p"}, stands)
		check(t, err)
		for step := range 3 {
			check(t, r.Log(map[string]float64{"loss": float64(step)}, step))
		}
		check(t, r.Log(wide, 3), r.Log(map[string]float64{"loss": 4}, 4), r.Finish(0))
		return r
	}
	b, err := os.ReadFile(make(t.TempDir(), "cut000000").log.path)
	check(t, err)
	_, ends := records(t, b)
	cuts := map[int]bool{0: true}
	around := []int{-1, 1, headerSize + 9, 0, headerSize}
	for i, end := range append(ends, blockSize) {
		for j, d := range around {
			if j == i%len(around) || os.Getenv("WICK_ALL_CUTS") != "" {
				cuts[min(end+d, len(b))] = true
			}
		}
	}
	dir := t.TempDir()
	for cut := range cuts {
		id := fmt.Sprintf("cut%06d", cut)
		r := make(dir, id)
		check(t, os.Truncate(r.log.path, int64(cut)))
		kept, _ := records(t, b[:cut])
		rows, begun := 0, false
		for _, m := range kept {
			begun = begun || m.field == recordRun
			if m.field == recordHistory {
				rows++
			}
		}
		out := s.sync(r.Dir())
		switch got := s.runs[id]; {
		case !begun && got != nil:
			t.Errorf("%s: got a run, want none; wandb sync says\n%s", id, out)
		case begun && got == nil:
			t.Errorf("%s: got nothing, want %d rows; wandb sync says\n%s", id, rows, out)
		case begun && len(got.History) != rows:
			t.Errorf("%s: got %d rows, want %d; wandb sync says\n%s", id, len(got.History), rows, out)
		}
	}
	t.Logf("%d bytes, %d records, %d cuts", len(b), len(ends), len(cuts))
}

// A run that was killed in step 5, with a checkpoint of step 3, and gone on with
// is one run, with each step once.
func TestSyncResumed(t *testing.T) {
	s := newServer(t)
	r, err := Init(t.TempDir(), Opts{ID: "resumed", Project: "p", Config: []byte(`{"lr": 0.5}`)})
	check(t, err)
	for step := 1; step <= 5; step++ {
		check(t, r.LogImage("image", picture(), step), r.Log(map[string]float64{"loss": float64(step)}, step))
		check(t, r.SetSummary(map[string]float64{"best": float64(step)}))
	}
	r, err = Resume(r.Dir(), 3)
	check(t, err)
	for step := 4; step <= 6; step++ {
		check(t, r.Log(map[string]float64{"loss": float64(10 * step)}, step), r.LogImage("image", picture(), step))
	}
	check(t, r.Finish(0))
	out := s.sync(r.Dir())
	got := s.runs["resumed"]
	if got == nil {
		t.Fatalf("nothing came; wandb sync says\n%s", out)
	}
	var losses []any
	images := 0
	for _, row := range got.History {
		if row["loss"] != nil {
			losses = append(losses, row["_step"], row["loss"])
		}
		if row["image"] != nil {
			images++
		}
	}
	if d := cmp.Diff([]any{1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 40.0, 5.0, 50.0, 6.0, 60.0}, losses); d != "" || images != 6 {
		t.Errorf("got %d images, want 6; losses by step (-want +got):\n%s", images, d)
	}
	if got.Summary["loss"] != 60.0 || got.Summary["best"] != 3.0 || got.Config["lr"] != 0.5 || got.Exit == nil || *got.Exit != 0 {
		t.Errorf("got summary %v, config %v, exit %v", got.Summary, got.Config, got.Exit)
	}
}
