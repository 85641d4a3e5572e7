package health

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/fsm"
)

// lines is a log that is kept.
type lines struct {
	mu  sync.Mutex // guards all
	all []string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }

func (l *lines) Handle(_ context.Context, record slog.Record) error {
	line := record.Level.String() + " " + record.Message
	record.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
	return nil
}

func (l *lines) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

func TestAgreedTransitionsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1", "n2", "n3"), newWorld(t)
		r.must(backends(0, 2)...)
		o, log := newObserver(w), &lines{}
		o.logger = slog.New(log)
		run(t, o, r)
		time.Sleep(5 * time.Second)
		r.vote("n2", "b0", fsm.HealthUp)
		r.vote("n3", "b0", fsm.HealthUp) // changes nothing that is agreed
		w.set("10.0.0.0:80", errRefused)
		time.Sleep(7 * time.Second)
		r.vote("n2", "b0", fsm.HealthDown)
		time.Sleep(time.Second)
		got := log.with("INFO agreed health changed pool=default backend=b0")
		if len(got) != 2 || !strings.Contains(got[0], "health=up before=unknown") || !strings.Contains(got[1], "health=down before=up") {
			t.Fatalf("logged %q", got)
		}
		since := fmt.Sprint("since=", r.current().Backend("default", "b0").Status.Since, " ")
		for _, want := range []string{since, "held=false", "n1 down: " + errRefused.Error(), "n2 down", "n3 up"} {
			if !strings.Contains(got[1], want) {
				t.Errorf("%q is not in %q", want, got[1])
			}
		}
		if all := log.with("agreed health"); len(all) != 2 {
			t.Errorf("logged %q", all)
		}
	})
}

func TestAThousandTransitionsAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 1000
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, count)...)
		o, log := newObserver(w), &lines{}
		o.logger = slog.New(log)
		run(t, o, r)
		time.Sleep(time.Minute)
		before := len(log.with("agreed health"))
		w.set("", errRefused)
		for n := range count {
			o.Suspect(r.against(fmt.Sprint("b", n), ""))
		}
		time.Sleep(10 * time.Second)
		all := log.with("agreed health")[before:]
		if len(all) > transitionBurst+5 {
			t.Errorf("%d lines", len(all))
		}
		if all := log.with("changed its opinion"); len(log.with("DEBUG")) != count || len(all) > count+transitionBurst+5 {
			t.Errorf("%d lines about opinions", len(all))
		}
		want := fmt.Sprintf("changes=%[1]d down=%[1]d up=0", count-transitionBurst)
		for _, text := range []string{"agreed health of many backends", "health checks of many backends"} {
			if summed := log.with(text); !strings.Contains(summed[len(summed)-1], want) {
				t.Errorf("summed up as %q, want %s", summed, want)
			}
		}
	})
}
