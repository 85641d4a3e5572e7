package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// TopicServing is what a node asks others for: up to which revision their data
	// planes serve.
	TopicServing = "serving"

	// headerWait says how a wait ended, headerLagging which live nodes were not seen
	// to serve what was written: there are some if the wait ended by its timeout, and
	// else none.
	headerWait    = "X-Evenkeel-Wait"
	headerLagging = "X-Evenkeel-Lagging"

	// A node is asked again after firstPoll, then after twice as long each time up
	// to lastPoll. One question waits for pollTimeout.
	firstPoll   = 2 * time.Millisecond
	lastPoll    = 200 * time.Millisecond
	pollTimeout = 500 * time.Millisecond
)

// servingAnswer is a node's answer under [TopicServing], so a released field is
// never changed.
type servingAnswer struct {
	Revision uint64 `json:"revision"`
}

// AnswerServing answers what another node asks under [TopicServing]. It does not
// block.
func (a *API) AnswerServing(context.Context, string, []byte) ([]byte, error) {
	return json.Marshal(servingAnswer{a.serving()})
}

// serving is up to which revision this node's data plane serves; a node that takes
// no traffic has nothing to catch up with.
func (a *API) serving() uint64 {
	if a.config.Serving == nil {
		return a.config.Cluster.State().Revision()
	}
	return a.config.Serving()
}

// waitServed waits for the nodes that the request names to serve the revision, as
// long as it says, and tells in the header how that ended. To be late is no error:
// the write is made.
func (a *API) waitServed(rw http.ResponseWriter, r *http.Request, want *wanted, revision uint64) {
	if want.wait == "" {
		return
	}
	a.extend(rw, want.timeout)
	ctx, cancel := context.WithTimeout(r.Context(), want.timeout)
	defer cancel()
	uids := []string{a.config.Cluster.UID()}
	if want.wait == waitAll {
		uids = a.viewer(nil).serving()
	}
	late := a.lagging(ctx, uids, revision)
	ended := want.wait
	v, names := a.viewer(nil), []string{}
	for _, uid := range late { // one that died meanwhile is as one that was dead before
		if uid == a.config.Cluster.UID() || slices.Contains(v.serving(), uid) {
			names = append(names, v.name(uid))
		}
	}
	if len(names) > 0 {
		ended = "timeout"
		slices.Sort(names)
		rw.Header().Set(headerLagging, strings.Join(names, ", "))
	}
	rw.Header().Set(headerWait, ended)
}

// extend gives the answer of a request that waits as much more time. The reading of
// the connection ends the request when it is over, so it is given that time too.
func (a *API) extend(rw http.ResponseWriter, by time.Duration) {
	control, until := http.NewResponseController(rw), time.Now().Add(by+writeTimeout)
	for _, set := range []func(time.Time) error{control.SetReadDeadline, control.SetWriteDeadline} {
		if err := set(until); err != nil {
			a.config.Logger.Debug("the time of an api connection could not be extended", "error", err)
		}
	}
}

// lagging returns the nodes that were not seen to serve the revision until ctx
// ended, or they died.
func (a *API) lagging(ctx context.Context, uids []string, revision uint64) []string {
	served := make([]bool, len(uids))
	var tasks sync.WaitGroup
	for i, uid := range uids {
		tasks.Go(func() { served[i] = a.awaitNode(ctx, uid, revision) })
	}
	tasks.Wait()
	var late []string
	for i, uid := range uids {
		if !served[i] {
			late = append(late, uid)
		}
	}
	return late
}

// awaitNode asks a node until it serves the revision. It reports false when ctx
// has ended, or the cluster takes the node for dead.
func (a *API) awaitNode(ctx context.Context, uid string, revision uint64) bool {
	own := uid == a.config.Cluster.UID()
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		at, err := a.servedBy(ctx, uid)
		switch {
		case err == nil && at >= revision:
			return true
		case err != nil:
			a.config.Logger.Debug("a node did not tell what it serves", "uid", uid, "error", err)
		}
		if !own && !slices.Contains(a.viewer(nil).serving(), uid) {
			return false
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}

func (a *API) servedBy(ctx context.Context, uid string) (uint64, error) {
	if uid == a.config.Cluster.UID() {
		return a.serving(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	text, err := a.config.Cluster.Ask(ctx, uid, TopicServing, nil)
	if err != nil {
		return 0, err
	}
	var answer servingAnswer
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, fmt.Errorf("read what node %q serves: %w", uid, err)
	}
	return answer.Revision, nil
}
