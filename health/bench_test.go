package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"evenkeel/fsm"
)

// BenchmarkSchedule is the cost of a probe without the probe itself, among
// 5,000 backends: taking it from the queue, its goroutine and context, counting
// the result, putting it back.
func BenchmarkSchedule(b *testing.B) {
	r := newRegistry(b, "n1")
	r.must(backends(0, 5000)...)
	o := New(Config{Self: "n1"})
	o.newProber = func(*fsm.Pool, string) (Prober, error) {
		return proberFunc(func(context.Context) error { return nil }), nil
	}
	o.follow(r.current())
	var group sync.WaitGroup
	b.ReportAllocs()
	for b.Loop() {
		t := o.queue.first()
		o.queue.remove(t)
		o.begin(b.Context(), &group, t)
		o.settle(<-o.results)
		_ = o.idle()
	}
	group.Wait()
}

// BenchmarkFollow is the cost of a state that differs by one vote, among 5,000
// backends.
func BenchmarkFollow(b *testing.B) {
	r := newRegistry(b, "n1", "n2")
	r.must(backends(0, 5000)...)
	o := New(Config{Self: "n1"})
	o.follow(r.current())
	target := r.current().Backend("default", "b7")
	var states []*fsm.State
	for n := range 100 {
		r.must(fsm.CastVotes{Observer: "n2", Votes: []fsm.BackendVote{{
			Pool: "default", Name: "b7", UID: target.Meta.UID, Generation: r.current().CheckGeneration(target),
			Health: []fsm.Health{fsm.HealthUp, fsm.HealthDown}[n%2],
		}}})
		states = append(states, r.current())
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		state := states[n%len(states)]
		o.version = state.Version() - 1
		o.follow(state)
	}
}

// BenchmarkProbing5000 is one interval of 5 s with 5,000 backends, whose server
// is another process. Run it with -benchtime 3x.
func BenchmarkProbing5000(b *testing.B) {
	for name, check := range map[string]fsm.Check{
		"tcp": {Type: fsm.CheckTCP}, "http": {Type: fsm.CheckHTTP}, "reuse": {Type: fsm.CheckHTTP, ReuseConnection: true},
	} {
		b.Run(name, func(b *testing.B) { probe5000(b, check) })
	}
}

func probe5000(b *testing.B, check fsm.Check) {
	const count, interval = 5000, 5 * time.Second
	port := startServer(b)
	r := newRegistry(b, "n1")
	r.must(putCheck(func(c *fsm.Check) {
		c.Type, c.ReuseConnection, c.Interval = check.Type, check.ReuseConnection, fsm.Duration(interval)
	}))
	r.must(backends(0, count)...)
	heap := inUse()
	o := New(Config{Self: "n1"})
	o.newProber = func(pool *fsm.Pool, _ string) (Prober, error) {
		return o.recipes.prober(pool, "127.0.0.1:"+port)
	}
	stop := run(b, o, r)
	<-time.After(interval + time.Second)
	before, began, probes := cpu(b), time.Now(), o.Counters().Passed
	for b.Loop() {
		<-time.After(interval)
	}
	b.StopTimer()
	took := time.Since(began)
	counters := o.Counters()
	if counters.Failed > 0 {
		b.Errorf("counters are %+v", counters)
	}
	b.ReportMetric(100*float64(cpu(b)-before)/float64(took), "%core")
	b.ReportMetric(float64(counters.Passed-probes)/took.Seconds(), "probes/s")
	b.ReportMetric(float64(int64(inUse())-int64(heap))/(1<<20), "MB")
	stop()
}

// cpu returns how long this process has used processors.
func cpu(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatalf("get usage: %v", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// inUse returns the memory that heap and stacks take from the system.
func inUse() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapInuse + stats.StackInuse
}

const serverVariable = "EVENKEEL_TEST_HEALTH_SERVER"

// startServer runs this binary again as an HTTP server.
func startServer(tb testing.TB) (port string) {
	tb.Helper()
	server := exec.CommandContext(tb.Context(), os.Args[0], "-test.run", "^TestServer$")
	server.Env = append(os.Environ(), serverVariable+"=1")
	out, err := server.StdoutPipe()
	if err != nil {
		tb.Fatalf("pipe: %v", err)
	}
	in, err := server.StdinPipe()
	if err != nil {
		tb.Fatalf("pipe: %v", err)
	}
	if err := server.Start(); err != nil {
		tb.Fatalf("start the server: %v", err)
	}
	tb.Cleanup(func() {
		in.Close()
		_ = server.Wait() // it ends with its input
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("read the server's port: %v", err)
	}
	return strings.TrimSpace(line)
}

// TestServer is the server of startServer, nothing by itself.
func TestServer(t *testing.T) {
	if os.Getenv(serverVariable) == "" {
		t.Skip("is only the server of a benchmark")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })}
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	_, _ = io.Copy(io.Discard, os.Stdin)
	server.Close()
	<-ended
}
