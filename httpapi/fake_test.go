package httpapi_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/cluster"
	"evenkeel/fsm"
	"evenkeel/httpapi"
)

var _ httpapi.Cluster = (*cluster.Node)(nil)

// fakeCluster is a cluster of one process: commands are applied at once.
type fakeCluster struct {
	mu       sync.Mutex // guards all below
	state    *fsm.State
	sequence uint64
	actors   []string
	replaced chan struct{} // closed with the next state; nil while nobody watches
	// propose and readIndex, if not nil, answer instead.
	propose   func(op fsm.Operation) (fsm.Result, error)
	readIndex func() error
	members   func() []cluster.Member
	reports   map[string]json.RawMessage
	status    cluster.Status
	age       *time.Duration // nil is not known
	// ask, if not nil, answers questions; else every node says that it is of an
	// older build.
	ask func(ctx context.Context, uid string, request []byte) ([]byte, error)
	// serving, if not nil, answers up to which revision another node serves.
	serving func(ctx context.Context, uid string) ([]byte, error)
	// renew is what a renewal is answered; renewals are those that came.
	renew    error
	onRenew  func() // if not nil, is called before that
	renewals []cluster.Renewal
	// change, if not nil, answers a change of the members.
	change func(kind, uid string) error
}

const fakeUID = "11111111-1111-4111-8111-111111111111"

func newFakeCluster(t testing.TB) *fakeCluster {
	t.Helper()
	f := &fakeCluster{
		state:  fsm.New(),
		status: cluster.Status{ID: "c1", LeaderUID: fakeUID, LeaderName: "n1", Quorum: true, Term: 7, Confirmed: true, VotesIgnored: 8, VotesRefused: 9},
	}
	f.members = func() []cluster.Member {
		return []cluster.Member{{
			Name: "n1", UID: fakeUID, Role: "leader", State: "alive",
			ClusterAddr: "127.0.0.1:7071", APIAddr: "127.0.0.1:7070", Version: "test",
		}}
	}
	f.apply(t, fsm.Init{ClusterID: "c1", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()})
	f.apply(t, fsm.SetNode{Node: fsm.Node{UID: fakeUID, Name: "n1", State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}})
	return f
}

func (f *fakeCluster) apply(t testing.TB, op fsm.Operation) {
	t.Helper()
	if result := f.perform(fsm.Command{Actor: "test", Op: op}); result.Err != nil {
		t.Fatalf("apply %T: %v", op, result.Err)
	}
}

func (f *fakeCluster) perform(c fsm.Command) fsm.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sequence++
	f.actors = append(f.actors, c.Actor)
	c.ID, c.Time = fsm.CommandID{Origin: fakeUID, Seq: f.sequence}, time.Now()
	state, results := fsm.Apply(f.state, []fsm.Command{c})
	f.state = state
	if f.replaced != nil {
		close(f.replaced)
		f.replaced = nil
	}
	return results[0]
}

func (f *fakeCluster) Watch() (*fsm.State, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replaced == nil {
		f.replaced = make(chan struct{})
	}
	return f.state, f.replaced
}

func (f *fakeCluster) Age() (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.age == nil {
		return 0, false
	}
	return *f.age, true
}

func (f *fakeCluster) Propose(_ context.Context, c fsm.Command) (fsm.Result, error) {
	f.mu.Lock()
	propose := f.propose
	f.mu.Unlock()
	if propose != nil {
		return propose(c.Op)
	}
	return f.perform(c), nil
}

func (f *fakeCluster) State() *fsm.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

func (f *fakeCluster) ReadIndex(context.Context) error {
	if f.readIndex != nil {
		return f.readIndex()
	}
	return nil
}

func (f *fakeCluster) Renew(_ context.Context, r cluster.Renewal) error {
	if f.onRenew != nil {
		f.onRenew()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewals = append(f.renewals, r)
	return f.renew
}

func (f *fakeCluster) UID() string               { return fakeUID }
func (f *fakeCluster) Status() cluster.Status    { return f.status }
func (f *fakeCluster) Members() []cluster.Member { return f.members() }

func (f *fakeCluster) Reports(context.Context) map[string]json.RawMessage { return f.reports }

func (f *fakeCluster) Ask(ctx context.Context, uid, topic string, request []byte) ([]byte, error) {
	if f.serving != nil && topic == httpapi.TopicServing {
		return f.serving(ctx, uid)
	}
	if f.ask == nil || topic != httpapi.TopicHealth {
		return nil, cluster.ErrOlderBuild
	}
	return f.ask(ctx, uid, request)
}

func (f *fakeCluster) changed(kind, uid string) error {
	if f.change != nil {
		return f.change(kind, uid)
	}
	return nil
}

func (f *fakeCluster) RemoveMember(_ context.Context, uid string) error {
	return f.changed("remove", uid)
}

func (f *fakeCluster) PromoteMember(_ context.Context, uid string) error {
	return f.changed("promote", uid)
}

func (f *fakeCluster) TransferLeadership(_ context.Context, uid string) error {
	return f.changed("lead", uid)
}

func (f *fakeCluster) lastActor() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.actors[len(f.actors)-1]
}

// client sends requests to a handler and holds every answer against the
// OpenAPI document.
type client struct {
	testing.TB
	cluster *fakeCluster
	handler http.Handler
	checked bool
}

func newClient(t testing.TB, change ...func(*httpapi.Config)) *client {
	t.Helper()
	f := newFakeCluster(t)
	config := httpapi.Config{Cluster: f, NodeName: "n1", Version: "test", Sealer: new(testSealer)}
	for _, c := range change {
		c(&config)
	}
	return &client{TB: t, cluster: f, handler: httpapi.New(config).Handler(), checked: true}
}

type answer struct {
	testing.TB
	*http.Response
	body string
}

// send sends a request; header are pairs of names and values.
func (c *client) send(method, path, body string, header ...string) answer {
	c.Helper()
	request := httptest.NewRequest(method, "http://localhost:7070"+path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		switch header[i] {
		case "Host":
			request.Host = header[i+1]
		case "From-Address": // is no field of the request
			request.RemoteAddr = header[i+1]
		default:
			request.Header.Add(header[i], header[i+1])
		}
	}
	recorder := httptest.NewRecorder()
	c.handler.ServeHTTP(recorder, request)
	response := recorder.Result()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.Fatal(err)
	}
	for _, name := range []string{"X-Evenkeel-Node", "X-Evenkeel-Revision"} {
		if response.Header.Get(name) == "" {
			c.Errorf("%s %s: the answer lacks %s", method, path, name)
		}
	}
	if c.checked {
		checkAgainstDocument(c, method, path, response, string(text))
	}
	return answer{TB: c.TB, Response: response, body: string(text)}
}

func (a answer) want(status int) answer {
	a.Helper()
	if a.StatusCode != status {
		a.Fatalf("status %d, want %d; body %s", a.StatusCode, status, a.body)
	}
	return a
}

// wantHeader asks for the exact value of a header field.
func (a answer) wantHeader(name, value string) answer {
	a.Helper()
	if got := a.Header.Get(name); got != value {
		a.Errorf("header %s is %q, want %q", name, got, value)
	}
	return a
}

// at returns the member of the JSON body that the path of names leads to.
func (a answer) at(path ...string) any {
	a.Helper()
	var value any
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		a.Fatalf("decode %q: %v", a.body, err)
	}
	for _, name := range path {
		object, ok := value.(map[string]any)
		if !ok {
			a.Fatalf("no object at %q of %s", name, a.body)
		}
		value = object[name]
	}
	return value
}

// wantAt asks for the value at a path of names.
func (a answer) wantAt(want any, path ...string) answer {
	a.Helper()
	if got := a.at(path...); got != want {
		a.Errorf("%s is %v, want %v; body %s", strings.Join(path, "."), got, want, a.body)
	}
	return a
}

// wantProblem asks for a problem of that kind.
func (a answer) wantProblem(status int, kind string) answer {
	a.Helper()
	a.want(status).wantHeader("Content-Type", "application/problem+json")
	return a.wantAt("/v1/problems/"+kind, "type").wantAt(float64(status), "status")
}

// faults returns the faults of a problem, messages by pointer.
func (a answer) faults() map[string]string {
	a.Helper()
	var body struct{ Faults []fsm.Fault }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		a.Fatalf("decode %q: %v", a.body, err)
	}
	faults := map[string]string{}
	for _, fault := range body.Faults {
		faults[fault.Pointer] += fault.Message
	}
	return faults
}

func (a answer) items() []map[string]any {
	a.Helper()
	var body struct{ Items []map[string]any }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		a.Fatalf("decode %q: %v", a.body, err)
	}
	if body.Items == nil {
		a.Fatalf("items is not a list: %s", a.body)
	}
	return body.Items
}
