package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"evenkeel/e2e/harness"
)

func TestTheDemoShowsItselfAndLeavesNothingBehind(t *testing.T) {
	demo := startDemo(t)
	shown := waitShown(t, demo)
	var leader, other demoNode
	for _, n := range shown.nodes {
		if n.role == "leader" {
			leader = n
		} else {
			other = n
		}
	}
	for _, n := range shown.nodes {
		checkAnswers(t, n.traffic)
	}
	// What it proposes: kill the leader, and see that it comes back.
	if err := syscall.Kill(leader.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	checkAnswers(t, other.traffic)
	if answer, err := (harness.API{Address: other.api}).Call(http.MethodGet, "/v1/pools", nil); err != nil || answer.Status != http.StatusUnauthorized {
		t.Errorf("without a token: %+v, %v", answer, err)
	}
	harness.API{Address: other.api, Token: shown.token}.Write(t, http.MethodPut, "/v1/pools/still-there", map[string]any{})
	checkAnswers(t, leader.traffic)

	demo.Interrupt()
	demo.WaitClean(t, harness.Patience)
	checkGone(t, shown)
}

func TestTheDemoSpeaksTLSAndGoesOnWhenANodeIsKilled(t *testing.T) {
	demo := startDemo(t, "--tls")
	shown := waitShown(t, demo)
	var try []string
	harness.Eventually(t, "the demo says how to try TLS", func() error {
		if try = demoTLSTry.FindStringSubmatch(demo.Log(t)); try == nil {
			return errors.New("no curl --cacert yet")
		}
		return nil
	})
	nodes := demoTLSLine.FindAllStringSubmatch(demo.Log(t), -1)
	if len(nodes) != len(shown.nodes) || len(demoTokenLine.FindAllString(demo.Log(t), -1)) != 1 {
		t.Fatalf("it shows %v", nodes)
	}
	authority, err := os.ReadFile(try[1])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: harness.Patience}
	ask := func(address string) error {
		response, err := client.Get("https://" + address + "/")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
			return fmt.Errorf("%s over %s, %v", response.Status, response.Proto, err)
		}
		return nil
	}
	for _, n := range nodes {
		if err := ask(n[1]); err != nil {
			t.Errorf("%s: %v", n[1], err)
		}
	}
	for i, n := range shown.nodes {
		if n.role != "leader" {
			continue
		}
		if err := syscall.Kill(n.pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for other := range nodes {
			for range 20 {
				if other == i {
					break
				}
				if err := ask(nodes[other][1]); err != nil {
					t.Errorf("with the leader killed, %s: %v", nodes[other][1], err)
				}
			}
		}
		harness.Eventually(t, "it is back", func() error { return ask(nodes[i][1]) })
	}
	demo.Interrupt()
	demo.WaitClean(t, harness.Patience)
	checkGone(t, shown)
}

func TestTheDemoEndsByItselfAfterItsDuration(t *testing.T) {
	demo := startDemo(t, "--duration", "1s")
	shown := waitShown(t, demo)
	demo.WaitClean(t, harness.Patience)
	checkGone(t, shown)
}

func startDemo(t *testing.T, args ...string) *harness.Process {
	t.Helper()
	binary := harness.Binary(t)
	harness.Lock(t)
	dir := t.TempDir()
	return harness.Start(t, harness.Command{Name: "demo", Path: binary, Args: append([]string{"demo"}, args...),
		Dir: dir, Log: filepath.Join(dir, "demo.log")})
}

type demoNode struct {
	pid                int
	traffic, api, role string
}

// demoShown is what the demo says of itself.
type demoShown struct {
	nodes    []demoNode
	backends []int // process ids
	token    string
}

var (
	demoNodeLine    = regexp.MustCompile(`(?m)pid (\d+) +traffic http://(\S+)/ +API http://(\S+)/ +(leader|follower)`)
	demoBackendLine = regexp.MustCompile(`(?m)pid (\d+) +backend http://`)
	demoKillLine    = regexp.MustCompile(`(?m)kill -9 (\d+)`)
	demoTLSLine     = regexp.MustCompile(`(?m)over TLS https://(\S+)/$`)
	demoTLSTry      = regexp.MustCompile(`(?m)curl --cacert (\S+) https://(\S+)/$`)
	demoTokenLine   = regexp.MustCompile(`(?m)export EVENKEEL_TOKEN=(\S+)`)
)

func waitShown(t *testing.T, demo *harness.Process) demoShown {
	t.Helper()
	var shown demoShown
	harness.Eventually(t, "the demo shows its processes and what to try", func() error {
		if !demo.Running() {
			t.Fatal("the demo has ended")
		}
		text := demo.Log(t)
		if !demoKillLine.MatchString(text) {
			return errors.New("no kill -9 yet")
		}
		token := demoTokenLine.FindStringSubmatch(text)
		if token == nil {
			return errors.New("no token yet")
		}
		shown = demoShown{token: token[1]}
		for _, m := range demoNodeLine.FindAllStringSubmatch(text, -1) {
			shown.nodes = append(shown.nodes, demoNode{number(t, m[1]), m[2], m[3], m[4]})
		}
		for _, m := range demoBackendLine.FindAllStringSubmatch(text, -1) {
			shown.backends = append(shown.backends, number(t, m[1]))
		}
		if len(shown.nodes) != 3 || len(shown.backends) != 3 {
			return fmt.Errorf("%+v", shown)
		}
		return nil
	})
	return shown
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkAnswers expects an answer of a backend at the address, now or soon.
func checkAnswers(t *testing.T, address string) {
	t.Helper()
	harness.Eventually(t, address+" answers", func() error {
		_, err := (&harness.Node{Name: address, HTTP: address}).CheckServes()
		return err
	})
}

// checkGone expects that none of the demo's processes is left.
func checkGone(t *testing.T, shown demoShown) {
	t.Helper()
	pids := append([]int{}, shown.backends...)
	for _, n := range shown.nodes {
		pids = append(pids, n.pid)
	}
	harness.Eventually(t, "the demo's processes are gone", func() error {
		for _, pid := range pids {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("process %d is still there: %v", pid, err)
			}
		}
		return nil
	})
	for _, n := range shown.nodes {
		for _, address := range []string{n.traffic, n.api} {
			if !harness.AddressFree(address) {
				t.Errorf("somebody still listens on %s", address)
			}
		}
	}
}
