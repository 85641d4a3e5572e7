//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestThePeersAcceptTheirConfigurations(t *testing.T) {
	backends := []string{"127.0.0.1:20001", "127.0.0.1:20002"}
	b := newTestBench(t)
	b.backends, b.descriptors = backends, 20000
	var err error
	if b.identity, err = newIdentity(b.dir); err != nil {
		t.Fatal(err)
	}
	speaking := func(f front) placing {
		p := alone()
		p.front = f
		return p
	}
	haproxy, nginx := []string{"haproxy", "-c", "-f", "FILE"}, []string{"nginx", "-t", "-p", "DIR", "-e", "stderr", "-c", "FILE"}
	two := placing{cores: []int{0, 1}, threads: 2}
	for name, c := range map[string]struct {
		config string
		check  []string // FILE and DIR are filled in
	}{
		"haproxy":                  {b.haproxyConfig("127.0.0.1:20000", alone(), ""), haproxy},
		"haproxy that splices":     {b.haproxyConfig("127.0.0.1:20000", speaking(frontTCP), "splice-response"), haproxy},
		"haproxy with two threads": {b.haproxyConfig("127.0.0.1:20000", two, ""), haproxy},
		"haproxy with TLS":         {b.haproxyConfig("127.0.0.1:20000", speaking(frontTLS), ""), haproxy},
		"haproxy with gRPC":        {b.haproxyConfig("127.0.0.1:20000", speaking(frontRPC), ""), haproxy},
		"nginx":                    {b.nginxConfig("127.0.0.1:20000", frontHTTP), nginx},
		"nginx with TLS":           {b.nginxConfig("127.0.0.1:20000", frontTLS), nginx},
		"nginx with gRPC":          {b.nginxConfig("127.0.0.1:20000", frontRPC), nginx},
		"caddy":                    {caddyConfig("127.0.0.1:20000", backends), []string{"caddy", "validate", "--config", "FILE", "--adapter", "caddyfile"}},
	} {
		t.Run(name, func(t *testing.T) {
			path, err := executable(c.check[0])
			if err != nil {
				t.Skip(err)
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "config")
			fill := strings.NewReplacer("FILE", file, "DIR", dir)
			if err := os.WriteFile(file, []byte(fill.Replace(c.config)), 0o600); err != nil {
				t.Fatal(err)
			}
			var args []string
			for _, arg := range c.check[1:] {
				args = append(args, fill.Replace(arg))
			}
			cmd := exec.CommandContext(t.Context(), path, args...)
			cmd.Dir, cmd.Env = dir, (&bench{dir: dir}).environment()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", cmd.Args, err, out)
			}
			for _, backend := range backends {
				if !strings.Contains(c.config, backend) {
					t.Errorf("the configuration lacks the backend %s", backend)
				}
			}
		})
	}
}

func TestEveryCaseHasItsBounds(t *testing.T) {
	for _, c := range costCases() {
		if c.bound(nameHAProxy, "best") == 0 || c.bound(nameNginx, "best") == 0 || c.bound("best", "best") == 0 {
			t.Errorf("%s: a bound is missing", c.name)
		}
		if got := c.bound(nameCaddy, "best"); got != 0 {
			t.Errorf("%s: a bound of %v for %s, want none", c.name, got, nameCaddy)
		}
	}
}
