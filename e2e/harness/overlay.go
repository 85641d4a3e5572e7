package harness

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// overlays are files that are added to packages of the standard library.
//
//go:embed testdata/overlay
var overlays embed.FS

// errToolchain means that a file of the toolchain is not as it is known here.
var errToolchain = errors.New("this toolchain's standard library is not known here")

// edit is one place of the toolchain's own files that calls what is added.
type edit struct{ file, old, new string }

func edits() []edit {
	calls := "syscall/zsyscall_linux_" + runtime.GOARCH + ".go"
	return []edit{
		{"time/time.go", "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n", "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n\tsec += injectedOffset.Load()\n"},
		{calls, "func Fsync(fd int) (err error) {", "func Fsync(fd int) (err error) { return injectedSync(fd, rawFsync) }\n\nfunc rawFsync(fd int) (err error) {"},
		{calls, "func Fdatasync(fd int) (err error) {", "func Fdatasync(fd int) (err error) { return injectedSync(fd, rawFdatasync) }\n\nfunc rawFdatasync(fd int) (err error) {"},
		{calls, "func Ftruncate(fd int, length int64) (err error) {", "func Ftruncate(fd int, length int64) (err error) {\n\tinjectedWrote(fd, -1, 1)"},
		{calls, "func Close(fd int) (err error) {", "func Close(fd int) (err error) {\n\tinjectedCloses(fd)"},
		{"syscall/syscall_unix.go", "\t\tn, err = write(fd, p)\n", "\t\tn, err = write(fd, p)\n\t\tinjectedWrote(fd, -1, n)\n"},
		{"syscall/syscall_unix.go", "\tn, err = pwrite(fd, p, offset)\n", "\tn, err = pwrite(fd, p, offset)\n\tinjectedWrote(fd, offset, n)\n"},
		{"syscall/syscall_linux.go", "\treturn openat(_AT_FDCWD, path, mode|O_LARGEFILE, perm)\n", "\tfd, err = openat(_AT_FDCWD, path, mode|O_LARGEFILE, perm)\n\tinjectedOpened(fd, path, mode, err)\n\treturn fd, err\n"},
	}
}

// writeOverlay writes what `go build -overlay` takes into a directory, and
// returns the file that says so.
func writeOverlay(dir string) (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(out)), "src")
	files := map[string]string{}
	for _, e := range edits() {
		text, begun := files[e.file]
		if !begun {
			data, err := os.ReadFile(filepath.Join(source, e.file))
			if err != nil {
				return "", fmt.Errorf("%w: %w", errToolchain, err)
			}
			text = string(data)
		}
		if strings.Count(text, e.old) != 1 {
			return "", fmt.Errorf("%w: %s does not have %q once", errToolchain, e.file, e.old)
		}
		files[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	for _, name := range []string{"time", "syscall", "os"} {
		data, err := overlays.ReadFile(path.Join("testdata/overlay", name+".go"))
		if err != nil {
			return "", err
		}
		files[name+"/injected.go"] = string(data)
	}
	replace := map[string]string{}
	for name, text := range files {
		to := filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(source, name)] = to
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, data, 0o600)
}

func (w *workshop) buildOverlaid() (string, error) {
	dir, err := w.dir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "overlay")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	overlay, err := writeOverlay(dir)
	if err != nil {
		return "", err
	}
	return w.build("evenkeel-overlaid", "", "CGO_ENABLED=0", "-tags=inject", "-overlay="+overlay)
}

// OverlaidBinary returns the path of an [InjectBinary] on a standard library
// that follows a clock of the test's, see [Node.SetClock], and records what a
// loss of power would leave, see [Node.RecordPower]. The test is skipped where
// the toolchain or the system is one for which that is not known.
func OverlaidBinary(t testing.TB) string {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skipf("the standard library is not changed for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	binary, err := shop.other("evenkeel-overlaid", shop.buildOverlaid)
	if errors.Is(err, errToolchain) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func (n *Node) clockName() string { return filepath.Clean(n.Dir) + ".clock" }

// FollowClock has the node, once it has started, follow a wall clock of its
// own. It is called before the start and needs the [OverlaidBinary].
func (n *Node) FollowClock() { n.Env = append(n.Env, "INJECT_CLOCK="+n.clockName()) }

// SetClock shifts the node's wall clock from the machine's by whole seconds,
// within 50 ms. Its monotonic clock does not change.
func (n *Node) SetClock(t testing.TB, by time.Duration) {
	t.Helper()
	replace(t, n.clockName(), strconv.Itoa(int(by/time.Second)))
}

// replace gives a file other content, so that it is whole at any time.
func replace(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}
