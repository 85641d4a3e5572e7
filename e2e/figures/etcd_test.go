package figures

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

// etcdServer is a member of an etcd cluster with default settings, driven over
// its JSON gateway.
type etcdServer struct {
	b       *testing.B
	command harness.Command
	client  string
	*harness.Process
}

func newEtcd(b *testing.B) *group {
	b.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		b.Fatal(err)
	}
	harness.Lock(b)
	dir := b.TempDir()
	servers := make([]*etcdServer, 3)
	peers := make([]string, len(servers))
	for i := range servers {
		peers[i] = "http://" + harness.FreeAddress(b)
	}
	var members []string
	for i, peer := range peers {
		members = append(members, fmt.Sprintf("e%d=%s", i+1, peer))
	}
	g := &group{name: "etcd", around: func([]int) func() { return func() {} }}
	for i := range servers {
		name, client := fmt.Sprintf("e%d", i+1), "http://"+harness.FreeAddress(b)
		servers[i] = &etcdServer{b: b, client: client, command: harness.Command{
			Name: name, Path: path, Dir: dir, Log: filepath.Join(dir, name+".log"),
			Args: []string{"--name", name, "--data-dir", filepath.Join(dir, name),
				"--listen-client-urls", client, "--advertise-client-urls", client,
				"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
				"--initial-cluster", strings.Join(members, ","), "--initial-cluster-state", "new"},
		}}
		servers[i].Restart()
		g.servers = append(g.servers, servers[i])
	}
	g.settled = func() {
		harness.Eventually(b, "etcd agrees", func() error {
			_, err := etcdLeader(servers)
			return err
		})
	}
	g.leader = func() int {
		leader, err := etcdLeader(servers)
		if err != nil {
			b.Fatal(err)
		}
		return leader
	}
	return g
}

// etcdLeader returns the index of the leader that all members agree on.
func etcdLeader(servers []*etcdServer) (int, error) {
	leader, found := "", -1
	for i, s := range servers {
		var status struct {
			Header struct {
				ID string `json:"member_id"`
			}
			Leader string
		}
		if err := s.call(context.Background(), "/v3/maintenance/status", struct{}{}, &status); err != nil {
			return -1, err
		}
		if status.Leader == "" || leader != "" && status.Leader != leader {
			return -1, fmt.Errorf("%s says that the leader is %q", s.command.Name, status.Leader)
		}
		leader = status.Leader
		if status.Header.ID == leader {
			found = i
		}
	}
	if found < 0 {
		return -1, fmt.Errorf("nobody is the leader %s", leader)
	}
	return found, nil
}

func (s *etcdServer) Restart() { s.Process = harness.Start(s.b, s.command) }

func (s *etcdServer) Write(ctx context.Context, key string) error {
	return s.call(ctx, "/v3/kv/put", map[string]string{"key": encode(key), "value": encode(key)}, &struct{}{})
}

func (s *etcdServer) Keys() (map[string]bool, error) {
	var answer struct{ Kvs []struct{ Key string } }
	query := map[string]any{"key": encode("w"), "range_end": encode("x"), "keys_only": true}
	if err := s.call(context.Background(), "/v3/kv/range", query, &answer); err != nil {
		return nil, err
	}
	keys := make(map[string]bool, len(answer.Kvs))
	for _, kv := range answer.Kvs {
		key, err := base64.StdEncoding.DecodeString(kv.Key)
		if err != nil {
			return nil, err
		}
		keys[string(key)] = true
	}
	return keys, nil
}

func (s *etcdServer) call(ctx context.Context, path string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.client+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d %s", path, response.StatusCode, answer)
	}
	return json.Unmarshal(answer, into)
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
