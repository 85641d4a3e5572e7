package harness

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
)

// EtcdMember is a member of an etcd cluster with default settings, driven over
// its JSON gateway.
type EtcdMember struct {
	t       testing.TB
	command Command
	client  string
	*Process
}

// NewEtcd starts an etcd cluster of three members, which end with the test. It
// is skipped where etcd is not installed. Other scenarios wait until then.
func NewEtcd(t testing.TB) []*EtcdMember {
	t.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("etcd is not installed, so there is nothing to compare with: ", err)
	}
	Lock(t)
	return startEtcd(t, path)
}

// NewEtcdBeside is [NewEtcd] for a test that has started a [Cluster] and so keeps
// other scenarios out already.
func NewEtcdBeside(t testing.TB, _ *Cluster) []*EtcdMember {
	t.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("etcd is not installed, so there is nothing to compare with: ", err)
	}
	return startEtcd(t, path)
}

func startEtcd(t testing.TB, path string) []*EtcdMember {
	t.Helper()
	dir := t.TempDir()
	all := make([]*EtcdMember, 3)
	peers := make([]string, len(all))
	var members []string
	for i := range all {
		peers[i] = "http://" + FreeAddress(t)
		members = append(members, fmt.Sprintf("e%d=%s", i+1, peers[i]))
	}
	for i := range all {
		name, client := fmt.Sprintf("e%d", i+1), "http://"+FreeAddress(t)
		all[i] = &EtcdMember{t: t, client: client, command: Command{
			Name: name, Path: path, Dir: dir, Log: filepath.Join(dir, name+".log"),
			Args: []string{"--name", name, "--data-dir", filepath.Join(dir, name),
				"--listen-client-urls", client, "--advertise-client-urls", client,
				"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
				"--initial-cluster", strings.Join(members, ","), "--initial-cluster-state", "new"},
		}}
		all[i].Restart()
	}
	return all
}

// EtcdLeader returns the index of the leader that all members agree on, waiting
// for it.
func EtcdLeader(t testing.TB, members []*EtcdMember) (leader int) {
	t.Helper()
	Eventually(t, "etcd agrees", func() (err error) {
		leader, err = etcdLeader(members)
		return err
	})
	return leader
}

func etcdLeader(members []*EtcdMember) (int, error) {
	leader, found := "", -1
	for i, s := range members {
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

// ClientAddress is where the member takes calls, HOST:PORT.
func (s *EtcdMember) ClientAddress() string { return strings.TrimPrefix(s.client, "http://") }

// Restart starts the member, again after it was ended.
func (s *EtcdMember) Restart() { s.Process = Start(s.t, s.command) }

// Write puts a key; nil means that it is acknowledged.
func (s *EtcdMember) Write(ctx context.Context, key string) error {
	return s.call(ctx, "/v3/kv/put", map[string]string{"key": encode(key), "value": encode(key)}, &struct{}{})
}

// Keys returns the keys from "w" on that the member has.
func (s *EtcdMember) Keys() (map[string]bool, error) {
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

func (s *EtcdMember) call(ctx context.Context, path string, body, into any) error {
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
