package health

import (
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
)

// Whatever the registry takes for a check, a prober can be made of: else its
// backends would be probed in vain for ever, and nobody was told when it was
// written.
func FuzzAcceptedChecks(f *testing.F) {
	certificate, _ := authority(f, "web.example")
	damaged := strings.Replace(certificate, "M", "N", 3)
	add := func(change func(*fsm.Check)) {
		c := fsm.Check{Type: fsm.CheckHTTP}
		change(&c)
		if c.TLS == nil {
			c.TLS = &fsm.CheckTLS{}
		}
		if c.Fields == nil {
			c.Fields = []fsm.CheckField{{Name: "X"}}
		}
		f.Add(c.Type, c.Path, c.Method, c.Host, c.Fields[0].Name, c.Fields[0].Value, c.Expect, c.ExpectRegexp, c.WeightField,
			c.TLS.ServerName, c.TLS.CA, c.Receive, c.Port)
	}
	for _, path := range []string{"/healthz", "/%zz", "/%", "/a%2fb", "//host/x", "//", "//a@b:1/", "/ü", "/\x01", "/\xff", "/[::1", "/a:b", "/\\", "*"} {
		add(func(c *fsm.Check) { c.Path = path })
	}
	for _, host := range []string{"a.example:80", "[::1]:8", "a b", "a@b", "a/b", "ü", "1.2.3.4"} {
		add(func(c *fsm.Check) { c.Host = host })
		add(func(c *fsm.Check) { c.TLS = &fsm.CheckTLS{ServerName: host} })
	}
	for _, name := range []string{"Host", "TE", "Keep-Alive", "expect", "a b", "Content-Length", "X-\x00"} {
		add(func(c *fsm.Check) { c.Fields = []fsm.CheckField{{Name: name, Value: "\t"}} })
		add(func(c *fsm.Check) { c.WeightField = name })
	}
	for _, text := range []string{"(", "a{1000}{1000}", "\\pN", "(?i)x", "200-", "200,300-399", " 200 "} {
		add(func(c *fsm.Check) { c.ExpectRegexp = text })
		add(func(c *fsm.Check) { c.Expect = text })
	}
	for _, ca := range []string{certificate, damaged, certificate + damaged, "-----BEGIN CERTIFICATE-----\nMAECAQ==\n-----END CERTIFICATE-----\n",
		strings.Replace(certificate, "\n", "\nA: b\n\n", 1)} {
		add(func(c *fsm.Check) { c.TLS = &fsm.CheckTLS{CA: ca} })
	}
	add(func(c *fsm.Check) { c.Type, c.Receive, c.Port = fsm.CheckTCP, strings.Repeat("x", 1025), 70000 })
	f.Fuzz(func(t *testing.T, kind, path, method, host, name, value, expect, expression, weight, server, ca, receive string, port int) {
		check := fsm.Check{
			Interval: fsm.Duration(time.Second), Timeout: fsm.Duration(time.Second), Rise: 1, Fall: 1, Type: kind, Path: path, Method: method,
			Host: host, Fields: []fsm.CheckField{{Name: name, Value: value}}, Expect: expect, ExpectRegexp: expression, WeightField: weight,
			TLS: &fsm.CheckTLS{ServerName: server, CA: ca}, Receive: receive, Port: port,
		}
		if kind == fsm.CheckTCP {
			check.Fields = nil
		}
		refusal := fsm.Validate(fsm.Put{Name: "p", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRandom, Check: &check}})
		prober, err := NewProber(check, "backend.example:80", "", "evenkeel")
		if refusal == nil && err != nil {
			t.Fatalf("the registry takes %+v, of which no prober can be made: %v", check, err)
		}
		if refusal != nil || kind != fsm.CheckHTTP {
			return
		}
		p := prober.(*httpProber)
		if request := p.before + p.host + p.after; strings.Count(request, "\r\n") != strings.Count(request, "\n") ||
			!strings.HasSuffix(request, "\r\n\r\n") || strings.Count(request, "\r\n\r\n") != 1 {
			t.Fatalf("%+v asks %q", check, request)
		}
	})
}
