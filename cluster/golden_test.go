package cluster

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"evenkeel/fsm"
)

var update = flag.Bool("update", false, "write the golden files of encodings that have none yet")

const goldenUID = "6f1c0b1e-0000-4000-8000-000000000001"

// messages has what nodes tell each other and write down, with every field set.
// A released encoding is never changed: a field may be added that is left out
// when it is not set, since a peer of the release before does not send it.
func messages() map[string]any {
	m := meta{Protocol: protocolVersion, ClusterID: "c1", Name: "n1", APIAddr: "10.0.0.1:7070", Version: "1.0.0", FeatureLevel: 2, Detached: true}
	h := hello{meta: m, Addr: "10.0.0.1:7071"}
	return map[string]any{
		"gossip_meta":    m,
		"gossip_pulse":   pulse{WriteMicros: 1500, Written: 42},
		"hello":          h,
		"hello_response": helloResponse{hello: h, Knows: true, Member: true},
		"founders":       founders{List: []string{goldenUID}, ClusterID: "c1"},
		"admit_response": admitResponse{ClusterID: "c1"},
		"propose":        proposeRequest{Command: []byte(`{"v":1}`)},
		"proposals":      proposalsRequest{Commands: [][]byte{[]byte(`{"v":1}`)}},
		"proposed":       proposalsResponse{Outcomes: []proposalOutcome{{}, {Code: codeRefused, Message: "no"}}},
		"read_response":  readResponse{Index: 42},
		"report":         reportResponse{Report: json.RawMessage(`{"revision":7}`)},
		"change":         memberChange{Kind: changePromote, UID: goldenUID},
		"ask":            askRequest{Topic: "health", Request: []byte(`{"pool":"web"}`)},
		"ask_response":   askResponse{Response: []byte(`{"opinions":[]}`)},
		"identity":       identity{UID: goldenUID, Starts: 3, ClusterID: "c1"},
		"peers":          map[string]savedPeer{goldenUID: {Name: "n1", Addr: "10.0.0.1:7071"}},
	}
}

// golden returns what the file holds; with -update that is data if there is no
// file yet.
func golden(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	file := filepath.Join("testdata", name)
	want, err := os.ReadFile(file)
	if os.IsNotExist(err) && *update {
		want, err = data, os.WriteFile(file, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Errorf("%s: the encoding is\n%s\nand the golden file has\n%s", name, data, want)
	}
	return want
}

func TestMessagesAreThoseOfTheGoldenFiles(t *testing.T) {
	for name, message := range messages() {
		data, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		want := golden(t, filepath.Join("messages", name+".v1.json"), append(data, '\n'))
		read := reflect.New(reflect.TypeOf(message))
		if err := json.Unmarshal(want, read.Interface()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(read.Elem().Interface(), message) {
			t.Errorf("%s is read as %+v, want %+v", name, read.Elem(), message)
		}
	}
	if protocolVersion != 1 {
		t.Error("of another protocol keep these files, and add files of its own")
	}
}

// goldenCluster is a state that never changes.
func goldenCluster(t *testing.T) *fsm.State {
	t.Helper()
	state, results := fsm.Apply(fsm.New(), []fsm.Command{{ID: fsm.CommandID{Origin: goldenUID, Seq: 1}, Op: fsm.Init{ClusterID: "c1", FeatureLevel: 1, Objects: fsm.DefaultObjects()}}})
	if results[0].Err != nil {
		t.Fatal(results[0].Err)
	}
	return state
}

func TestTheGoldenImageIsReadAndWrittenAlike(t *testing.T) {
	state, path := goldenCluster(t), filepath.Join(t.TempDir(), fileImage)
	if err := writeImage(path, &view{state: state, index: 77}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, golden(t, "image.v1", data), 0o600); err != nil {
		t.Fatal(err)
	}
	if read, index, err := readImage(path); err != nil || index != 77 || read.Digest() != state.Digest() {
		t.Errorf("it is read as of index %d: %v", index, err)
	}
}

// sink takes a snapshot as raft's would.
type sink struct{ bytes.Buffer }

func (*sink) ID() string    { return "golden" }
func (*sink) Cancel() error { return nil }
func (*sink) Close() error  { return nil }

func TestTheGoldenRaftSnapshotIsReadAndWrittenAlike(t *testing.T) {
	state, written := goldenCluster(t), &sink{}
	if err := (&replicaSnapshot{state, 77}).Persist(written); err != nil {
		t.Fatal(err)
	}
	want := golden(t, "snapshot.v1", written.Bytes())
	r := &replica{views: newViews(), waiters: newWaiters("o", 0), detach: func(err error) { t.Error(err) }, state: fsm.New()}
	if err := r.Restore(io.NopCloser(bytes.NewReader(want))); err != nil || r.index != 77 || r.state.Digest() != state.Digest() {
		t.Errorf("it is read as of index %d: %v", r.index, err)
	}
}
