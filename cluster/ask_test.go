package cluster

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"evenkeel/cluster/peer"
)

func TestAQuestionIsAnsweredByTheNodeThatIsAsked(t *testing.T) {
	c := newTestCluster(t)
	c.opened = func(n *Node) {
		n.Answer("name", func(_ context.Context, from string, request []byte) ([]byte, error) {
			return []byte(n.Name() + " to " + from + " " + string(request)), nil
		})
		n.Answer("large", func(context.Context, string, []byte) ([]byte, error) { return make([]byte, maxAnswer), nil })
		n.Answer("too large", func(context.Context, string, []byte) ([]byte, error) { return make([]byte, maxAnswer+1), nil })
		n.Answer("broken", func(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("no ink") })
	}
	nodes := c.form(2)
	for _, to := range nodes { // itself, too
		got, err := nodes[0].Ask(t.Context(), to.UID(), "name", []byte("hi"))
		if want := to.Name() + " to " + nodes[0].UID() + " hi"; err != nil || string(got) != want {
			t.Errorf("the answer is %q, %v; want %q", got, err, want)
		}
	}
	if got, err := nodes[0].Ask(t.Context(), nodes[1].UID(), "large", make([]byte, maxQuestion)); err != nil || len(got) != maxAnswer {
		t.Errorf("the largest answer has %d bytes: %v", len(got), err)
	}
	for topic, text := range map[string]string{"too large": "more than", "broken": "no ink"} {
		if _, err := nodes[0].Ask(t.Context(), nodes[1].UID(), topic, nil); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("the answer for %s is the error %v", topic, err)
		}
	}
	if _, err := nodes[0].Ask(t.Context(), nodes[1].UID(), "name", make([]byte, maxQuestion+1)); err == nil {
		t.Error("a question that is too large is sent")
	}
}

func TestANodeOfAnOlderBuildSaysSo(t *testing.T) {
	c := newTestCluster(t)
	c.opened = func(n *Node) {
		if n.Name() != "n2" { // which knows no questions at all, while n3 lacks the topic
			return
		}
		handler := n.handler()
		n.port.HandleRPC(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/"+methodAsk {
				http.NotFound(w, r)
				return
			}
			handler.ServeHTTP(w, r)
		}))
	}
	nodes := c.form(3)
	for _, to := range nodes[1:] {
		_, err := nodes[0].Ask(t.Context(), to.UID(), "health", nil)
		if !errors.Is(err, ErrOlderBuild) || !strings.Contains(err.Error(), "node "+to.Name()) {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestAQuestionToADeadNodeEndsInTime(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(2)
	c.kill("n2")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	if _, err := nodes[0].Ask(ctx, nodes[1].UID(), "health", nil); err == nil || time.Since(begun) > 15*time.Second {
		t.Errorf("after %s the error is %v", time.Since(begun), err)
	}
	if _, err := nodes[0].Ask(ctx, senderUID, "health", nil); !errors.Is(err, peer.ErrUnreachable) {
		t.Errorf("for a node that nobody knows the error is %v", err)
	}
}

func TestANodeAnswersOnlySoManyQuestionsAtATime(t *testing.T) {
	c := newTestCluster(t)
	n := c.open(c.config("n1"))
	t.Cleanup(func() { n.Close() })
	entered, leave := make(chan struct{}), make(chan struct{})
	n.Answer("slow", func(context.Context, string, []byte) ([]byte, error) {
		entered <- struct{}{}
		<-leave
		return nil, nil
	})
	ended := make(chan error, maxAnswering)
	for range maxAnswering {
		go func() {
			_, err := n.Ask(t.Context(), n.UID(), "slow", nil)
			ended <- err
		}()
		<-entered
	}
	if _, err := n.Ask(t.Context(), n.UID(), "slow", nil); !peer.IsRemote(err, codeBusy) {
		t.Errorf("one more gets %v", err)
	}
	close(leave)
	for range maxAnswering {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
