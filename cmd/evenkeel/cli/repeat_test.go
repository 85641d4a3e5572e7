package cli_test

import (
	"net"
	"slices"
	"strings"
	"testing"

	"evenkeel/cmd/evenkeel/cli"
)

// refused returns an address at which nothing listens.
func refused(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestNothingListens(t *testing.T) {
	address := refused(t)
	got := execute(t, nil, "status", "--api", address)
	if got.code != cli.ExitError || !strings.Contains(got.err, "reach the API at http://"+address+": connection refused, nothing listens there\nis a node running there?") {
		t.Errorf("exit %d, stderr %q", got.code, got.err)
	}
}

func TestTheFirstNodeThatAcceptsIsAsked(t *testing.T) {
	api := newFakeAPI(t, replies())
	other := newFakeAPI(t, replies())
	got := execute(t, map[string]string{"EVENKEEL_API": refused(t) + "," + api.url + "," + other.url}, "backend", "ls")
	if got.code != cli.ExitOK || len(api.asked) != 1 || len(other.asked) != 0 {
		t.Errorf("exit %d, stderr %q, asked %q and %q", got.code, got.err, api.asked, other.asked)
	}
}

// hangsUp returns the address of what accepts, reads a little and hangs up.
func hangsUp(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

func TestAWriteThatReachedANodeIsNotRepeatedWhereItCouldBeMadeTwice(t *testing.T) {
	for line, asked := range map[string][]string{
		"backend add a:1":                   {"GET /v1/cluster"}, // which says feature level 3
		"backend rm web1 --ignore-missing":  nil,
		"members promote n2":                nil,
		"backend override clear web1":       nil,
		"backend add a:1 --dry-run --pool=": {"POST /v1/backends?dry_run=true"},
	} {
		other := newFakeAPI(t, replies())
		got := execute(t, nil, append(strings.Fields(line), "--api", hangsUp(t)+","+other.url)...)
		var methods []string
		for _, text := range other.asked {
			method, _, _ := strings.Cut(text, " {")
			methods = append(methods, method)
		}
		if got.code == cli.ExitOK || !slices.Equal(methods, asked) {
			t.Errorf("%s: exit %d, stderr %q, the other node was asked %q", line, got.code, got.err, other.asked)
		}
	}
}

func TestAWriteIsRepeatedUnderItsKey(t *testing.T) {
	answers := replies()
	answers["GET /v1/cluster"] = []reply{{200, `{"feature_level":5}`}}
	for _, key := range []string{"", "mine"} {
		other := newFakeAPI(t, answers)
		line := []string{"backend", "add", "10.0.0.5:9000", "--api", hangsUp(t) + "," + other.url}
		if key != "" {
			line = append(line, "--idempotency-key", key)
		}
		got := execute(t, nil, line...)
		if got.code != cli.ExitOK || len(other.keys) != 1 || key != "" && other.keys[0] != key {
			t.Errorf("exit %d, stderr %q, asked %q under %q", got.code, got.err, other.asked, other.keys)
		}
	}
}

func TestAChangeStartsAgainWhenSomebodyElseChanged(t *testing.T) {
	answers := replies()
	key := "/v1/pools/default/backends/web1"
	newer := strings.Replace(web1, `"revision":7`, `"revision":8`, 1)
	answers["GET "+key] = []reply{{200, web1}, {200, newer}}
	answers["PUT "+key] = []reply{{412, problem("precondition-failed", "t", "d")}, {200, newer}}
	api := newFakeAPI(t, answers)
	got := execute(t, map[string]string{"EVENKEEL_API": api.url}, "backend", "drain", "web1")
	if got.code != cli.ExitOK || len(api.asked) != 4 || !strings.Contains(api.asked[3], `If-Match="8"`) {
		t.Errorf("exit %d, stderr %q, asked %q", got.code, got.err, api.asked)
	}
	answers["PUT "+key] = []reply{{412, problem("precondition-failed", "t", "d")}}
	api = newFakeAPI(t, answers)
	got = execute(t, map[string]string{"EVENKEEL_API": api.url}, "backend", "drain", "web1")
	if got.code != cli.ExitConflict || len(api.asked) != 10 {
		t.Errorf("exit %d after %d requests; want a conflict after 10", got.code, len(api.asked))
	}
}

func TestANodeThatCannotWriteNowIsLeftForAnother(t *testing.T) {
	for kind, says := range map[string]string{"no-quorum": "the cluster has no leader", "stopping": "the node stops"} {
		answers := replies()
		answers["POST /v1/backends"] = []reply{{503, problem(kind, "t", "d")}}
		without := newFakeAPI(t, answers)
		with := newFakeAPI(t, replies())
		line := []string{"backend", "add", "10.0.0.5:9000", "--wait-leader", "1m", "--api", without.url + "," + with.url}
		got := execute(t, nil, line...)
		if got.code != cli.ExitOK || got.err != says+", trying again\n" || len(with.asked) != 1 {
			t.Errorf("%s: exit %d, stderr %q, asked %q and %q", kind, got.code, got.err, without.asked, with.asked)
		}
	}
}
