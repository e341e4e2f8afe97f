package wick

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestQuick runs .ci/quick, by way of the hook, in a repository of three packages: it
// tests those that differ and those that import them, and no others.
func TestQuick(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the script is for bash, which Windows does not have by itself")
	}
	dir := t.TempDir()
	command := func(want bool, stdin, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		for _, v := range os.Environ() { // a hook's environment says where its repository is
			if !strings.HasPrefix(v, "GIT_") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		cmd.Env = append(cmd.Env, "GIT_CONFIG_GLOBAL=/dev/null", "GOWORK=off", "GOFLAGS=-mod=mod")
		out, err := cmd.CombinedOutput()
		if (err == nil) != want {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{".ci/quick", ".ci/hooks/pre-push"} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(path, string(b))
	}
	git := func(args ...string) string {
		t.Helper()
		return command(true, "", "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"}, args...)...)
	}
	write("go.mod", "module example.org/m\n\ngo 1.24\n")
	write("m.go", "package m\n")
	write("a/a.go", "package a\n\nfunc A() int { return 1 }\n")
	write("a/testdata/deep/numbers.json", "1\n")
	write("b/b.go", "package b\n\nimport \"example.org/m/a\"\n\nfunc B() int { return a.A() }\n")
	write("b/b_test.go", "package b\n\nimport \"testing\"\n\nfunc TestB(t *testing.T) {\n\tif B() != 1 {\n\t\tt.Error(\"not 1\")\n\t}\n}\n")
	write("c/c.go", "package c\n")
	git("init", "-q", "-b", "main")
	git("add", ".")
	git("commit", "-q", "-m", "first")
	git("checkout", "-q", "-b", "change")
	first := git("rev-parse", "HEAD")

	listed := func(out string) (packages []string) {
		_, out, _ = strings.Cut(out, "short tests")
		for line := range strings.Lines(out) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "example.org/") {
				packages = append(packages, line)
			}
		}
		return packages
	}
	const m = "example.org/m"
	for _, c := range []struct {
		name, path, text string
		want             []string // packages
	}{
		{"nothing", "", "", nil},
		{"a package that another imports", "a/a.go", "package a\n\n// A is 1.\nfunc A() int { return 1 }\n", []string{m + "/a", m + "/b"}},
		{"data of a package", "a/testdata/deep/numbers.json", "2\n", []string{m + "/a", m + "/b"}},
		{"a new file of a package that none imports", "c/new.s.txt", "new\n", []string{m + "/c"}},
		{"a file of the root", "LICENSE", "free\n", []string{m}},
	} {
		if c.path != "" {
			write(c.path, c.text)
		}
		out := command(true, "", ".ci/quick")
		if got := listed(out); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v\n%s", c.name, got, c.want, out)
		}
		git("clean", "-qfd")
		git("checkout", "-q", ".")
	}

	write("a/a.go", "package a\n\nfunc A() int { return 2 }\n")
	git("commit", "-q", "-a", "-m", "second")
	second := git("rev-parse", "HEAD")
	none := strings.Repeat("0", 40)
	if out := command(false, "refs/heads/change "+second+" refs/heads/change "+first+"\n", ".ci/hooks/pre-push"); !strings.Contains(out, "not 1") {
		t.Errorf("the hook let a failing test pass:\n%s", out)
	}
	if out := command(false, "refs/heads/change "+second+" refs/heads/change "+none+"\n", ".ci/hooks/pre-push"); !strings.Contains(out, "not 1") {
		t.Errorf("the hook let a failing test pass on a new branch:\n%s", out)
	}
	command(true, "refs/heads/change "+second+" refs/heads/change "+second+"\n", ".ci/hooks/pre-push")
	command(true, "(delete) "+none+" refs/heads/change "+second+"\n", ".ci/hooks/pre-push")
	write("c/c.go", "package   c\n")
	if out := command(false, "", ".ci/quick"); !strings.Contains(out, "gofmt would change:\nc/c.go") {
		t.Errorf("gofmt: got\n%s", out)
	}
}

// TestWorkflow holds the workflow to what it may do: install toolchains, each named
// by a commit, and call .ci/run.
func TestWorkflow(t *testing.T) {
	b, err := os.ReadFile(".github/workflows/ci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, m := range regexp.MustCompile(`(?m)^ *- (uses|run): (.*)$`).FindAllStringSubmatch(string(b), -1) {
		steps = append(steps, regexp.MustCompile(`@[0-9a-f]{40} # v[0-9.]+$`).ReplaceAllString(m[2], "@commit"))
	}
	want := []string{"actions/checkout@commit", "actions/setup-go@commit", "actions/setup-python@commit", ".ci/run"}
	if !slices.Equal(steps, want) {
		t.Errorf("got the steps %q, want %q", steps, want)
	}
}
