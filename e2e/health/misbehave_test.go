//go:build linux

package health

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	// misbehaveSpan is for how long a node's memory is watched.
	misbehaveSpan = 15 * time.Second
	// memoryGrowth is how much the node may take meanwhile, in MB.
	memoryGrowth = 32.0
	// bytesPerProbe is how much one probe may have a backend send: what is read,
	// and what the kernel buffers of both sides hold.
	bytesPerProbe = 16 << 20
)

// misbehaviors are what backends do to a check that wants 200 and a text, and
// what one of the words of the reason must be.
var misbehaviors = []struct {
	name   string
	answer func(w io.Writer, address string) error
	reason []string
}{
	{"garbage", answerGarbage, []string{"malformed", "http"}},
	{"header", answerHeader, []string{"head"}},
	{"line", answerLine, []string{"head", "line"}},
	{"body", answerBody, []string{"body", "text"}},
	{"chunks", answerChunks, []string{"body", "text"}},
	{"redirect", answerRedirect, []string{"302"}},
	{"silence", answerNothing, []string{"within"}},
	{"drip", answerDrip, []string{"within"}},
}

// TestChecksOfBackendsThatMisbehave has one node check backends that answer
// with what no server should: each is down with the reason, and costs little.
func TestChecksOfBackendsThatMisbehave(t *testing.T) {
	onlyInCampaign(t)
	n := harness.NewCluster(t, harness.Options{Nodes: 1}).Nodes[0]
	put(t, n, "/v1/pools/default", object{"check": object{"type": "http", "interval": "500ms", "timeout": "400ms", "expect": "200", "expect_text": "ready"}})
	servers := map[string]*misbehaving{}
	before := anonymous(t, n.PID())
	for _, m := range misbehaviors {
		servers[m.name] = startMisbehaving(t, m.answer)
		put(t, n, "/v1/pools/default/backends/"+m.name, object{"address": servers[m.name].address})
	}
	for _, m := range misbehaviors {
		reason := waitReason(t, n, m.name)
		said := false
		for _, word := range m.reason {
			said = said || strings.Contains(strings.ToLower(reason), word)
		}
		if !said {
			t.Errorf("%s: the reason is %q, want one of the words %q", m.name, reason, m.reason)
		}
		note(t, "a check is answered with: "+m.name, "down: %s", reason)
	}
	most := 0.0
	for end := time.Now().Add(misbehaveSpan); time.Now().Before(end); pause(200 * time.Millisecond) {
		most = max(most, anonymous(t, n.PID())-before)
	}
	judge(t, most <= memoryGrowth, row{"the node's memory meanwhile", fmt.Sprintf("≤ %.0f MB more", memoryGrowth), fmt.Sprintf("%.1f MB more", most)})
	for name, s := range servers {
		if sent := s.most.Load(); sent > bytesPerProbe {
			t.Errorf("%s: one probe had %d bytes sent, at most %d are to be", name, sent, bytesPerProbe)
		}
		if s.probes.Load() < 3 {
			t.Errorf("%s: %d probes came", name, s.probes.Load())
		}
	}
}

// waitReason waits until the backend is down and returns the reason of a vote.
func waitReason(t *testing.T, n *harness.Node, name string) (reason string) {
	t.Helper()
	harness.Eventually(t, name+" is down", func() error {
		backends, err := n.Backends("default")
		if err != nil {
			return err
		}
		status := backends[name].Status
		if status.Health != "down" {
			return fmt.Errorf("it is %q", status.Health)
		}
		for _, raw := range status.Votes {
			var vote struct{ Reason string }
			if err := json.Unmarshal(raw, &vote); err != nil {
				return err
			}
			reason = vote.Reason
		}
		if reason == "" {
			return fmt.Errorf("no vote has a reason: %s", status.Votes)
		}
		return nil
	})
	return reason
}

// misbehaving is a server that answers each connection's request in its way.
type misbehaving struct {
	address string
	probes  atomic.Int64
	most    atomic.Int64 // bytes that it sent over one connection
}

func startMisbehaving(t *testing.T, answer func(w io.Writer, address string) error) *misbehaving {
	t.Helper()
	s := &misbehaving{address: harness.FreeAddress(t)}
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { listener.Close(); running.Wait() })
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed by the test
			}
			running.Go(func() { s.serve(conn, answer) })
		}
	})
	return s
}

// serve ends with the peer, at the latest after some seconds.
func (s *misbehaving) serve(conn net.Conn, answer func(w io.Writer, address string) error) {
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(10*time.Second)) != nil {
		return
	}
	reader := bufio.NewReader(conn)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" {
			break
		}
	}
	s.probes.Add(1)
	w := &counting{Writer: conn}
	if answer(w, s.address) == nil {
		_, _ = io.Copy(io.Discard, reader) // until the prober has closed
	}
	for most := s.most.Load(); w.sent > most && !s.most.CompareAndSwap(most, w.sent); most = s.most.Load() {
	}
}

// counting counts what is written.
type counting struct {
	io.Writer
	sent int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.sent += int64(n)
	return n, err
}

func answerGarbage(w io.Writer, _ string) error {
	_, err := w.Write([]byte("\x00\xff\x16\x03\x01 what is this\r\n\r\n"))
	return err
}

// repeat writes a text until the peer has enough, at most a gigabyte of it.
func repeat(w io.Writer, text string) error {
	block := []byte(strings.Repeat(text, 32<<10/len(text)+1))
	for sent := 0; sent < 1e9; sent += len(block) {
		if _, err := w.Write(block); err != nil {
			return err
		}
	}
	return nil
}

// after writes a text, and then another again and again.
func after(w io.Writer, head, rest string) error {
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	return repeat(w, rest)
}

func answerHeader(w io.Writer, _ string) error {
	return after(w, "HTTP/1.1 200 OK\r\n", "X-Field: "+strings.Repeat("x", 90)+"\r\n")
}

func answerLine(w io.Writer, _ string) error { return after(w, "HTTP/1.1 200 OK\r\nX-Field: ", "x") }

func answerBody(w io.Writer, _ string) error {
	return after(w, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", "nothing of interest ")
}

func answerChunks(w io.Writer, _ string) error {
	return after(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "10\r\nnothing of note \r\n")
}

func answerRedirect(w io.Writer, address string) error {
	_, err := fmt.Fprintf(w, "HTTP/1.1 302 Found\r\nLocation: http://%s/\r\nContent-Length: 0\r\n\r\n", address)
	return err
}

func answerNothing(io.Writer, string) error { return nil }

// answerDrip sends a head byte by byte, each well within any timeout.
func answerDrip(w io.Writer, _ string) error {
	head := "HTTP/1.1 200 OK\r\nX-Field: "
	for i := 0; ; i++ {
		next := "x"
		if i < len(head) {
			next = head[i : i+1]
		}
		if _, err := io.WriteString(w, next); err != nil {
			return err
		}
		pause(50 * time.Millisecond)
	}
}
