package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"evenkeel/fsm"
)

// heldCalls is a forwarder's call that ends when it is told to.
type heldCalls struct {
	begun chan [][]byte
	let   chan []error
	ended chan error // causes of contexts that ended first
}

func newHeldCalls() *heldCalls {
	return &heldCalls{begun: make(chan [][]byte), let: make(chan []error), ended: make(chan error, 1)}
}

func (h *heldCalls) call(ctx context.Context, _ string, commands [][]byte) []error {
	h.begun <- commands
	select {
	case outcomes := <-h.let:
		return outcomes
	case <-ctx.Done():
		h.ended <- context.Cause(ctx)
		return repeated(errUnknown, len(commands))
	}
}

func TestCommandsThatWaitShareACallAndHaveAnOutcomeEach(t *testing.T) {
	h := newHeldCalls()
	f := newForwarder(h.call)
	outcomes := map[string]chan error{}
	forward := func(command string) {
		outcome := make(chan error, 1)
		outcomes[command] = outcome
		go func() {
			_, err := f.forward(t.Context(), "leader", []byte(command), nil)
			outcome <- err
		}()
	}
	for i := range maxForwards { // as many calls as may be
		forward(fmt.Sprint("early ", i))
		<-h.begun
	}
	forward("taken")
	forward("refused")
	eventually(t, "both wait", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.queues["leader"].waiting) == 2
	})
	h.let <- []error{nil}
	shared := <-h.begun
	if len(shared) != 2 {
		t.Fatalf("the call has %d commands", len(shared))
	}
	for range maxForwards - 1 {
		h.let <- []error{nil}
	}
	errs := make([]error, len(shared))
	for i, command := range shared {
		if string(command) == "refused" {
			errs[i] = errRefused
		}
	}
	h.let <- errs
	for command, outcome := range outcomes {
		if err := <-outcome; errors.Is(err, errRefused) != (command == "refused") {
			t.Errorf("%s: %v", command, err)
		}
	}
	f.calls.Wait()
	if len(f.queues) != 0 {
		t.Errorf("%d queues are left", len(f.queues))
	}
}

func TestACommandThatWasNotSentIsKnownNotToBe(t *testing.T) {
	h := newHeldCalls()
	f := newForwarder(h.call)
	sent, give := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	for range maxForwards {
		sending.Go(func() {
			if _, err := f.forward(sent, "leader", []byte("sent"), nil); !errors.Is(err, errUnknown) {
				t.Errorf("a command that was sent: %v", err)
			}
		})
		<-h.begun
	}
	waits, leave := context.WithCancel(t.Context())
	leave()
	if _, err := f.forward(waits, "leader", []byte("waits"), nil); !errors.Is(err, errNotLeader) {
		t.Errorf("a command that was not sent: %v", err)
	}
	give() // so nobody waits for the calls
	for range maxForwards {
		<-h.ended
	}
	sending.Wait()
	f.calls.Wait()
}

func TestACallIsNotWaitedForOnceTheResultIsKnown(t *testing.T) {
	h := newHeldCalls()
	f := newForwarder(h.call)
	applied, returned := make(chan fsm.Result, 1), make(chan *fsm.Result, 1)
	go func() {
		result, err := f.forward(t.Context(), "leader", []byte("command"), applied)
		if err != nil {
			t.Error(err)
		}
		returned <- result
	}()
	<-h.begun
	applied <- fsm.Result{Revision: 7}
	if result := <-returned; result == nil || result.Revision != 7 {
		t.Errorf("the result is %+v", result)
	}
	h.let <- []error{errUnknown} // the call went on, and its answer is of no use
	f.calls.Wait()
}

// older answers as a build that takes one command in a call.
type older struct{ http.Handler }

func (o older) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, methodProposals) {
		http.NotFound(w, r)
		return
	}
	o.Handler.ServeHTTP(w, r)
}

func TestALeaderOfAnOlderBuildTakesCommandsOneByOne(t *testing.T) {
	c := newTestCluster(t)
	for _, name := range []string{"n1", "n2", "n3"} {
		c.config(name)
	}
	for _, name := range []string{"n1", "n2", "n3"} {
		n := c.open(c.config(name, c.joins()...))
		n.port.HandleRPC(older{n.handler()})
		c.run(n)
	}
	c.settled(c.nodes["n1"], c.nodes["n2"], c.nodes["n3"])
	leader, f := c.leader(), c.follower()
	var commands [][]byte
	for i := range 3 {
		id, _, err := f.waiters.add(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer f.waiters.remove(id)
		command, err := fsm.EncodeCommand(fsm.Command{ID: id, Actor: "test", Op: numbered(i)})
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, command)
	}
	commands = append(commands, []byte("{"))
	for i, err := range f.callLeader(t.Context(), leader.UID(), commands) {
		if refused := i == 3; errors.Is(err, errRefused) != refused || !refused && err != nil {
			t.Errorf("command %d: %v", i, err)
		}
	}
}

func TestOneFaultyCommandOfACallIsRefusedAlone(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader, f := c.leader(), c.follower()
	id, result, err := f.waiters.add(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.waiters.remove(id)
	command, err := fsm.EncodeCommand(fsm.Command{ID: id, Actor: "test", Op: numbered(1)})
	if err != nil {
		t.Fatal(err)
	}
	outcomes := f.callLeader(t.Context(), leader.UID(), [][]byte{[]byte("{"), command})
	if !errors.Is(outcomes[0], errRefused) || outcomes[1] != nil {
		t.Fatalf("the outcomes are %v", outcomes)
	}
	if got := <-result; got.Err != nil {
		t.Errorf("the sound one was refused by the registry: %v", got.Err)
	}
}
