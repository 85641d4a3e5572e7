package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// echoed is what the method echo answers.
type echoed struct {
	Text   string
	Caller string
}

// echo has some methods to try.
func echo() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/echo", Method(func(_ context.Context, caller string, text string) (echoed, error) {
		return echoed{Text: text, Caller: caller}, nil
	}))
	mux.Handle("/refuse", Method(func(context.Context, string, struct{}) (struct{}, error) {
		return struct{}{}, fmt.Errorf("while refusing: %w", &RemoteError{Code: "no-leader", Message: "ask again"})
	}))
	mux.Handle("/fail", Method(func(context.Context, string, struct{}) (struct{}, error) {
		return struct{}{}, errors.New("the disk is full")
	}))
	mux.Handle("/inflate", Method(func(_ context.Context, _ string, size int) (string, error) {
		return strings.Repeat("x", size), nil
	}))
	mux.Handle("/unspeakable", Method(func(context.Context, string, struct{}) (any, error) {
		return make(chan int), nil
	}))
	mux.HandleFunc("/odd", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "<html>")
	})
	mux.HandleFunc("/mumble", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	return mux
}

func TestCallBringsRemoteErrors(t *testing.T) {
	a, _ := pair(t, echo())
	cases := []struct {
		name, method string
		request      any
		code, text   string
	}{
		{"the handler's own", "refuse", nil, "no-leader", "ask again"},
		{"another error of the handler", "fail", nil, CodeInternal, "the disk is full"},
		{"no such method", "dance", nil, CodeUnknownMethod, "dance"},
		{"a request of the wrong type", "echo", 7, CodeBadRequest, "decode request"},
		{"an answer that cannot be encoded", "unspeakable", nil, CodeInternal, "encode answer"},
		{"an answer that is none of ours", "odd", nil, CodeInternal, "status 418"},
		{"a request that is too large", "echo", strings.Repeat("x", defaultMaxBody), CodeTooLarge, "4194306 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := a.RPC().Call(t.Context(), bob, c.method, c.request, nil)
			if !IsRemote(err, c.code) || !strings.Contains(err.Error(), c.text) {
				t.Fatalf("got %v, want code %s and %q", err, c.code, c.text)
			}
			if errors.Is(err, ErrUnreachable) {
				t.Fatal("the peer was reached")
			}
		})
	}
	err := a.RPC().Call(t.Context(), bob, "inflate", defaultMaxBody, nil)
	if err == nil || errors.As(err, new(*RemoteError)) || errors.Is(err, ErrUnreachable) {
		t.Errorf("an answer that is too large: %v", err)
	}
	if err := a.RPC().Call(t.Context(), bob, "mumble", nil, new(string)); err == nil || IsRemote(err, CodeInternal) {
		t.Errorf("an answer that is no JSON: %v", err)
	}
	if err := a.RPC().Call(t.Context(), bob, "echo", make(chan int), nil); err == nil {
		t.Error("a request that cannot be encoded was sent")
	}
}

func TestServerBoundsTheBody(t *testing.T) {
	var directory addresses
	a := node{uid: alice, secrets: oneSecret, directory: &directory}.run(t)
	node{uid: bob, secrets: oneSecret, directory: &directory, handler: echo(), maxBody: 1000}.run(t)
	err := a.RPC().Call(t.Context(), bob, "echo", strings.Repeat("x", 2000), nil)
	if !IsRemote(err, CodeTooLarge) {
		t.Fatalf("got %v", err)
	}
}

func TestCallUsesAConnectionAgain(t *testing.T) {
	a, b := pair(t, echo())
	for range 20 {
		if err := a.RPC().Call(t.Context(), bob, "echo", "again", new(echoed)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.RPC().Call(t.Context(), bob, "refuse", nil, nil); !IsRemote(err, "no-leader") {
		t.Fatal(err)
	}
	if n := b.Counters().Accepted[protocolRPC]; n != 1 {
		t.Fatalf("%d connections for 21 calls", n)
	}
}

func TestCallFollowsTheDirectory(t *testing.T) {
	var directory addresses
	a := node{uid: alice, secrets: oneSecret, directory: &directory}.run(t)
	first := node{uid: bob, secrets: oneSecret, directory: &directory, handler: echo()}.run(t)
	if err := a.RPC().Call(t.Context(), bob, "echo", "", nil); err != nil {
		t.Fatal(err)
	}
	// The node comes back at another address; the former is still there, as in a
	// partition that nobody noticed.
	second := node{uid: bob, secrets: oneSecret, directory: &directory, handler: echo()}.run(t)
	if err := a.RPC().Call(t.Context(), bob, "echo", "", nil); err != nil {
		t.Fatal(err)
	}
	if n := second.Counters().Accepted[protocolRPC]; n != 1 {
		t.Fatalf("the new address got %d connections", n)
	}
	eventually(t, "the end of the connection to the former address", func() bool { return first.Counters().Connections == 0 })
}

func TestCallAfterThePeerRestarted(t *testing.T) {
	var directory addresses
	a := node{uid: alice, secrets: oneSecret, directory: &directory}.run(t)
	b := node{uid: bob, secrets: oneSecret, directory: &directory, handler: echo()}.open(t)
	stop := start(t, b)
	if err := a.RPC().Call(t.Context(), bob, "echo", "", nil); err != nil {
		t.Fatal(err)
	}
	stop()
	// The end of the kept connection may be found out by a call.
	eventually(t, "an error that says that nothing was sent", func() bool {
		return errors.Is(a.RPC().Call(t.Context(), bob, "echo", "", nil), ErrUnreachable)
	})
	node{uid: bob, secrets: oneSecret, directory: &directory, handler: echo()}.run(t)
	if err := a.RPC().Call(t.Context(), bob, "echo", "", nil); err != nil {
		t.Fatal(err)
	}
}

func TestCallOfAnUnknownNode(t *testing.T) {
	a := node{uid: alice, secrets: oneSecret}.run(t)
	if err := a.RPC().Call(t.Context(), bob, "echo", "", nil); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), bob) {
		t.Fatalf("got %v", err)
	}
}

func TestCallOfAnAddressWhereAnotherNodeIs(t *testing.T) {
	a, b := pair(t, echo())
	a.SetDirectory(func(string) (string, bool) { return b.Addr().String(), true })
	err := a.RPC().Call(t.Context(), "somebody-else", "echo", "", nil)
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), bob) {
		t.Fatalf("got %v", err)
	}
}

func TestCallAddr(t *testing.T) {
	a, b := pair(t, echo())
	var answer echoed
	uid, err := a.RPC().CallAddr(t.Context(), b.Addr().String(), "echo", "who are you?", &answer)
	if err != nil || uid != bob || answer.Caller != alice {
		t.Fatalf("got %q, %+v, %v", uid, answer, err)
	}
	if uid, err = a.RPC().CallAddr(t.Context(), b.Addr().String(), "refuse", nil, nil); uid != bob || !IsRemote(err, "no-leader") {
		t.Fatalf("got %q, %v", uid, err)
	}
	if uid, err = a.RPC().CallAddr(t.Context(), a.Addr().String(), "echo", "am I here?", nil); uid != alice || err != nil {
		t.Fatalf("a call of itself: %q, %v", uid, err)
	}
	if uid, err = a.RPC().CallAddr(t.Context(), "127.0.0.1:1", "echo", "", nil); uid != "" || !errors.Is(err, ErrUnreachable) {
		t.Fatalf("nobody there: %q, %v", uid, err)
	}
	eventually(t, "the end of every connection", func() bool { return a.Counters().Connections == 0 })
}

func TestHandlerEndsWithItsCaller(t *testing.T) {
	var directory addresses
	entered, left := make(chan struct{}), make(chan struct{})
	wait := Method(func(ctx context.Context, _ string, _ struct{}) (struct{}, error) {
		close(entered)
		<-ctx.Done()
		close(left)
		return struct{}{}, ctx.Err()
	})
	a := node{uid: alice, secrets: oneSecret, directory: &directory}.run(t)
	node{uid: bob, secrets: oneSecret, directory: &directory, handler: wait}.run(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.RPC().Call(ctx, bob, "wait", struct{}{}, nil) }()
	take(t, entered)
	cancel()
	if err := take(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	take(t, left)
}

// slowly answers when it is told to.
func slowly(answer <-chan struct{}, entered chan<- struct{}) http.Handler {
	return Method(func(ctx context.Context, _ string, _ struct{}) (struct{}, error) {
		entered <- struct{}{}
		select {
		case <-answer:
			return struct{}{}, nil
		case <-ctx.Done():
			return struct{}{}, ctx.Err()
		}
	})
}

func TestACallThatIsGivenUpKeepsItsConnection(t *testing.T) {
	answer, entered := make(chan struct{}), make(chan struct{}, 2)
	a, b := pair(t, slowly(answer, entered))
	a.RPC().lingers = patience
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.RPC().Call(ctx, bob, "wait", struct{}{}, nil) }()
	take(t, entered)
	cancel()
	if err := take(t, done); !errors.Is(err, context.Canceled) {
		t.Fatalf("the caller got %v", err)
	}
	close(answer)
	ended := make(chan struct{})
	go func() { a.RPC().tasks.Wait(); close(ended) }()
	take(t, ended)
	if err := a.RPC().Call(t.Context(), bob, "wait", struct{}{}, nil); err != nil {
		t.Fatal(err)
	}
	if n := b.Counters().Accepted[protocolRPC]; n != 1 {
		t.Errorf("%d connections for two calls, one after the other", n)
	}
}

func TestCallsThatAreGivenUpAreBounded(t *testing.T) {
	const calls = maxLingering + 8
	entered, left := make(chan struct{}, calls), make(chan struct{}, calls)
	a, _ := pair(t, Method(func(ctx context.Context, _ string, _ struct{}) (struct{}, error) {
		entered <- struct{}{}
		<-ctx.Done()
		left <- struct{}{}
		return struct{}{}, ctx.Err()
	}))
	a.RPC().lingers = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, calls)
	for range calls {
		go func() { done <- a.RPC().Call(ctx, bob, "wait", struct{}{}, nil) }()
	}
	for range calls {
		take(t, entered)
	}
	cancel()
	for range calls {
		if err := take(t, done); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller got %v", err)
		}
	}
	for range calls - maxLingering { // at once
		take(t, left)
	}
	// The others end with the port, which waits for them.
}

func TestRunEndsWithACallInIt(t *testing.T) {
	var directory addresses
	entered := make(chan struct{})
	wait := Method(func(ctx context.Context, _ string, _ struct{}) (struct{}, error) {
		close(entered)
		<-ctx.Done()
		return struct{}{}, ctx.Err()
	})
	a := node{uid: alice, secrets: oneSecret, directory: &directory}.run(t)
	b := node{uid: bob, secrets: oneSecret, directory: &directory, handler: wait}.open(t)
	stop := start(t, b)
	done := make(chan error, 1)
	go func() { done <- a.RPC().Call(t.Context(), bob, "wait", struct{}{}, nil) }()
	take(t, entered)
	began := time.Now()
	stop()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the end took %s", took)
	}
	if err := take(t, done); err == nil || errors.Is(err, ErrUnreachable) {
		t.Errorf("the caller got %v", err)
	}
}

func TestRunLetsACallEnd(t *testing.T) {
	var directory addresses
	entered, release := make(chan struct{}), make(chan struct{})
	slow := Method(func(context.Context, string, struct{}) (string, error) {
		close(entered)
		<-release
		return "done", nil
	})
	a := node{uid: alice, secrets: oneSecret, directory: &directory}.run(t)
	b := node{uid: bob, secrets: oneSecret, directory: &directory, handler: slow}.open(t)
	stop := start(t, b)
	done := make(chan error, 1)
	go func() { done <- a.RPC().Call(t.Context(), bob, "slow", nil, nil) }()
	take(t, entered)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	take(t, b.inboxes[protocolRPC].done)
	close(release)
	if err := take(t, done); err != nil {
		t.Errorf("the call was cut: %v", err)
	}
	take(t, stopped)
}

func TestUIDFromAnotherContext(t *testing.T) {
	if uid := UIDFromContext(t.Context()); uid != "" {
		t.Fatalf("got %q", uid)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`"fine"`))
	f.Add(422, []byte(`{"code":"no-leader","message":"ask again"}`))
	f.Add(422, []byte(`{"message":"no code"}`))
	f.Add(404, []byte("404 page not found\n"))
	f.Add(500, []byte(nil))
	c := &Client{maxBody: 100}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		var text string
		answer, err := c.read(&http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(string(body)))}, "echo")
		if err == nil {
			err = decode(answer, &text)
		}
		if err == nil && (status != http.StatusOK || len(body) > 100) {
			t.Fatalf("status %d with %d bytes is no error", status, len(body))
		}
		var remote *RemoteError
		if errors.As(err, &remote) && remote.Code == "" {
			t.Fatalf("an error without a code: %v", err)
		}
	})
}
