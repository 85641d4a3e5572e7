package reactor

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childVariable names what a child process of the tests does instead of them.
const childVariable = "REACTOR_TEST_CHILD"

// TestWithoutDescriptorsAcceptingPausesAndRecovers runs in a child process
// with a low limit on descriptors.
func TestWithoutDescriptorsAcceptingPausesAndRecovers(t *testing.T) {
	inChild(t, "TestChildRunsOutOfDescriptors")
}

// inChild runs a test in a process of its own.
func inChild(t *testing.T, test string) {
	t.Helper()
	runChild(t, childOf(t, test))
}

// childOf is the process that runs a test.
func childOf(t *testing.T, test string) *exec.Cmd {
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+test+"$", "-test.v")
	command.Env = append(os.Environ(), childVariable+"=1")
	return command
}

func runChild(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestChildRunsOutOfDescriptors(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		t.Skip("it is run by TestWithoutDescriptorsAcceptingPausesAndRecovers")
	}
	w := start(t, 1)
	w.accepting(echo)
	kept := w.client()
	kept.send("hello")
	kept.expect("hello")
	queued := w.exhaust()
	eventually(t, func() string {
		if !strings.Contains(w.log.String(), "connections wait") {
			return "nothing tells that connections wait"
		}
		return ""
	})
	batches := 0
	w.on(0, func(l *Loop) { l.OnBatchEnd(func() { batches++ }) })
	until := time.NewTimer(time.Second)
	for waiting := true; waiting; { // it lives, and does not spin
		select {
		case <-until.C:
			waiting = false
		case <-time.After(50 * time.Millisecond):
			kept.send("still here")
			kept.expect("still here")
		}
	}
	w.on(0, func(*Loop) {
		if batches > 200 {
			t.Errorf("%d batches in a second", batches)
		}
	})
	if n := strings.Count(w.log.String(), "connections wait"); n != 1 {
		t.Errorf("it is told %d times", n)
	}
	w.on(0, func(l *Loop) {
		s := w.script(nil)
		if c, err := l.Dial(kept.RemoteAddr().(*net.TCPAddr).AddrPort(), s); err == nil {
			c.Abort()
			t.Error("there is a descriptor for a dial")
		} else if !IsLocal(err) {
			t.Errorf("%v blames the peer", err)
		}
	})
	for _, fd := range queued.held {
		_ = syscall.Close(fd)
	}
	if got, err := queued.echoed("at last"); got != "at last" || err != nil {
		t.Errorf("the client that waited got %q, %v", got, err)
	}
}

// exhausted is what uses descriptors up.
type exhausted struct {
	held   []int
	client int // a socket in the queue of the listener
}

// exhaust leaves none for the process, with a client in the queue.
func (w *world) exhaust() exhausted {
	w.t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		w.t.Fatal(err)
	}
	limit.Cur = 128
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		w.t.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	var e exhausted
	for {
		spare, err := syscall.Dup(0)
		if err != nil {
			break
		}
		e.held = append(e.held, spare)
	}
	port := w.listener.Addr().Port()
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		w.t.Fatal(err)
	}
	e.client = fd
	return e
}

// echoed sends over the queued client, blocking, and reads as much.
func (e exhausted) echoed(message string) (string, error) {
	if err := syscall.SetsockoptTimeval(e.client, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 30}); err != nil {
		return "", err
	}
	if _, err := syscall.Write(e.client, []byte(message)); err != nil {
		return "", err
	}
	got := make([]byte, len(message))
	n, err := syscall.Read(e.client, got)
	return string(got[:max(n, 0)]), errors.Join(err, syscall.Close(e.client))
}
