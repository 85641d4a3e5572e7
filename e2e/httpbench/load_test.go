//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// script answers the n-th request that a scripted server gets, counted over all
// connections from 0. It returns false to end the connection.
type script func(w io.Writer, n int) bool

// newScripted starts a server and returns its address. It ends with the test.
func newScripted(t *testing.T, answer script) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var requests atomic.Int64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for {
					request, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, request.Body); err != nil {
						return
					}
					if !answer(conn, int(requests.Add(1))-1) {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// rightAnswer is what the load generator expects of GetSmall.
func rightAnswer() string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", smallSize, newPattern().body(smallSize))
}

// quickJob is a short closed loop against an address.
func quickJob(address string) Job {
	return Job{
		Target: address, Shape: GetSmall, Connections: 4, Requests: 40,
		Window: 20 * time.Second, Patience: 20 * time.Second, Core: 0,
	}
}

// runLoad runs the load generator's process.
func runLoad(t *testing.T, job Job) Outcome {
	t.Helper()
	b := newTestBench(t)
	o, err := b.runJob(t.Context(), job, []int{anyCore(t)})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestRightAnswersAreNoFaults(t *testing.T) {
	right, rightBig := rightAnswer(), newPattern().body(bigSize)
	whole := func(w io.Writer, _ int) bool { _, err := io.WriteString(w, right); return err == nil }
	inPieces := func(w io.Writer, _ int) bool {
		for _, piece := range []string{right[:7], right[7:30], right[30:50], right[50:900], right[900:]} {
			if _, err := io.WriteString(w, piece); err != nil {
				return false
			}
		}
		return true
	}
	then := func(answer script, goOn bool) script {
		return func(w io.Writer, n int) bool { return answer(w, n) && goOn }
	}
	for name, c := range map[string]struct {
		answer script
		change func(*Job)
	}{
		"in one piece":        {whole, func(*Job) {}},
		"in several":          {inPieces, func(*Job) {}},
		"POST":                {whole, func(j *Job) { j.Shape = PostForm }},
		"on new connections":  {then(whole, false), func(j *Job) { j.Reconnect = true }},
		"the same, in pieces": {then(inPieces, false), func(j *Job) { j.Reconnect = true }},
		"in an open loop":     {whole, func(j *Job) { j.Rate = 200 }},
		"of 1 MB": {func(w io.Writer, _ int) bool {
			_, err := fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", bigSize, rightBig)
			return err == nil
		}, func(j *Job) { j.Shape = GetBig }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := quickJob(newScripted(t, c.answer))
			c.change(&job)
			o := runLoad(t, job)
			if o.Faults > 0 || o.Requests < job.Requests || o.Unsent > 0 {
				t.Errorf("%d requests, %d unsent, %d faults: %s; want %d without a fault", o.Requests, o.Unsent, o.Faults, o.FirstFault, job.Requests)
			}
			if o.P50 <= 0 || o.P99 < o.P50 || o.Most < o.P99 {
				t.Errorf("p50 %v, p99 %v, longest %v", o.P50, o.P99, o.Most)
			}
		})
	}
}

func TestEachKindOfWrongAnswerIsCaught(t *testing.T) {
	right := rightAnswer()
	for name, c := range map[string]struct {
		wrong string // what the 10th answer is
		ends  bool   // the connection after it
		fault string
	}{
		"a wrong byte":                   {right[:len(right)-100] + "?" + right[len(right)-99:], false, "wrong bytes in the body at"},
		"a body that ends early":         {right[:len(right)-1], true, "ended after 1023 of 1024 bytes"},
		"a body that is not finished":    {right[:len(right)-1], false, "without a whole answer"},
		"no body":                        {right[:strings.Index(right, "\r\n\r\n")+4], true, "ended after 0 of 1024 bytes"},
		"no answer":                      {"", false, "without a whole answer"},
		"an end instead of an answer":    {"", true, "ended before an answer"},
		"an error":                       {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy", false, `status 503: "busy"`},
		"an error with the right body":   {strings.Replace(right, "200 OK", "206 Partial Content", 1), false, "status 206"},
		"another length":                 {strings.Replace(right, "1024", "1023", 1), false, "Content-Length 1023, want 1024"},
		"no length":                      {strings.Replace(right, "Content-Length: 1024\r\n", "", 1), false, "no Content-Length"},
		"chunks":                         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, "Transfer-Encoding"},
		"a body that is one byte longer": {right + "x", false, "1 bytes after the body"},
		"two answers":                    {right + right, false, "bytes after the body"},
		"no HTTP":                        {"rubbish\r\n\r\n", false, "not of HTTP/1.1"},
		"a head without end":             {strings.Repeat("HTTP/1.1 200 OK\r\nA: b", maxHead/16), false, "head of more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := quickJob(newScripted(t, func(w io.Writer, n int) bool {
				answer, goOn := right, true
				if n == 9 {
					answer, goOn = c.wrong, !c.ends
				}
				_, err := io.WriteString(w, answer)
				return err == nil && goOn
			}))
			if strings.HasPrefix(c.fault, "without") { // this is what it waits for
				job.Patience = 300 * time.Millisecond
			}
			o := runLoad(t, job)
			if o.Faults != 1 || !strings.Contains(o.FirstFault, c.fault) {
				t.Errorf("%d faults, the first %q; want 1 with %q", o.Faults, o.FirstFault, c.fault)
			}
			if o.Requests < job.Requests {
				t.Errorf("%d requests, want the %d right ones all the same", o.Requests, job.Requests)
			}
		})
	}
}

func TestAConnectionThatIsClosedWhileIdleIsCaught(t *testing.T) {
	right := rightAnswer()
	job := quickJob(newScripted(t, func(w io.Writer, n int) bool {
		_, err := io.WriteString(w, right)
		return err == nil && n > 0
	}))
	job.Rate, job.Requests, job.Window = 1, 0, 500*time.Millisecond
	if o := runLoad(t, job); o.Faults != 1 || !strings.Contains(o.FirstFault, "closed while it was idle") {
		t.Errorf("%d faults, the first %q; want 1 of a closed connection", o.Faults, o.FirstFault)
	}
}

func TestAServerThatDoesNotCloseAsAskedIsCaught(t *testing.T) {
	right := rightAnswer()
	job := quickJob(newScripted(t, func(w io.Writer, n int) bool {
		_, err := io.WriteString(w, right)
		return err == nil && n == 3 // only this one stays open
	}))
	job.Reconnect, job.Patience = true, 300*time.Millisecond
	if o := runLoad(t, job); o.Faults != 1 || !strings.Contains(o.FirstFault, "1 requests without a whole answer") {
		t.Errorf("%d faults, the first %q; want one of the connection that stays open", o.Faults, o.FirstFault)
	}
}

func TestNobodyThereIsAFaultAndNoHang(t *testing.T) {
	b := newTestBench(t)
	address, err := b.freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	if o := runLoad(t, quickJob(address)); o.Requests != 0 || o.Faults < maxFaults {
		t.Errorf("%d requests, %d faults; want none and at least %d", o.Requests, o.Faults, maxFaults)
	}
}

func TestAnOpenLoopChargesAStallToAllThatWereDueMeanwhile(t *testing.T) {
	const stall = 400 * time.Millisecond
	right := rightAnswer()
	job := quickJob(newScripted(t, func(w io.Writer, n int) bool {
		if n == 0 {
			<-time.After(stall) // what is tested is how long this is seen
		}
		_, err := io.WriteString(w, right)
		return err == nil
	}))
	job.Connections, job.Rate, job.Requests, job.Window = 1, 100, 0, stall
	o := runLoad(t, job)
	if o.Faults > 0 || o.Unsent > 0 {
		t.Fatalf("%d unsent, %d faults: %s", o.Unsent, o.Faults, o.FirstFault)
	}
	// Of 40 requests that are due within the stall, half wait for at least half
	// of it. A closed loop would have seen one slow request.
	if o.Requests < 30 || o.P50 < stall/3 {
		t.Errorf("%d requests, p50 %v; want some 40 and at least %v", o.Requests, o.P50, stall/3)
	}
}

func TestWhatAnOpenLoopCannotSendIsCounted(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	right := rightAnswer()
	job := quickJob(newScripted(t, func(w io.Writer, n int) bool {
		if n == 0 {
			_, err := io.WriteString(w, right)
			return err == nil
		}
		<-release
		return false
	}))
	job.Connections, job.Rate, job.Requests, job.Window, job.Patience = 1, 100, 0, 300*time.Millisecond, 100*time.Millisecond
	if o := runLoad(t, job); o.Unsent < 20 || o.Faults != 1 {
		t.Errorf("%d unsent, %d faults; want most of 30 and the one that hangs", o.Unsent, o.Faults)
	}
}

func TestHeldConnectionsAreOpenAndIdle(t *testing.T) {
	right := rightAnswer()
	for name, c := range map[string]struct {
		closes int // the request after which the server closes, or -1
		want   string
	}{
		"all stay":     {-1, ""},
		"one is ended": {5, "1 were not idle any more"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestBench(t)
			var answered atomic.Int64
			closed := make(chan struct{})
			s := &server{name: "scripted", address: newScripted(t, func(w io.Writer, n int) bool {
				answered.Add(1)
				_, err := io.WriteString(w, right)
				if n == c.closes {
					err = w.(net.Conn).Close()
					close(closed)
				}
				return err == nil
			})}
			h, err := b.holdJob(t.Context(), s.name, Job{Target: s.address, Shape: GetSmall, Connections: 150, Requests: 150, Hold: true,
				Window: 20 * time.Second, Patience: 20 * time.Second}, []int{anyCore(t)})
			if err != nil {
				t.Fatal(err)
			}
			if got := answered.Load(); got != 150 {
				t.Errorf("%d requests were sent, want one on each of 150 connections", got)
			}
			if c.closes >= 0 {
				<-closed
			}
			if fault := fmt.Sprint(b.release(t.Context(), h)); c.want != "" && !strings.Contains(fault, c.want) || c.want == "" && fault != "<nil>" {
				t.Errorf("release: %s, want %q", fault, c.want)
			}
		})
	}
}

func TestACheckSumTellsBodiesApart(t *testing.T) {
	body := newPattern().body(postSize)
	changed := bytes.Clone(body)
	changed[100] ^= 1
	if checksum(body) == checksum(changed) || checksum(body) == 0 {
		t.Errorf("checksums %08x and %08x", checksum(body), checksum(changed))
	}
}
