package httpapi_test

import (
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"evenkeel/httpapi"
)

// asks is an API whose node answers with what it was asked.
func asks(t testing.TB) (*client, *[]httpapi.ExplainQuery) {
	asked := new([]httpapi.ExplainQuery)
	c := newClient(t, func(config *httpapi.Config) {
		config.Explain = func(q httpapi.ExplainQuery) any {
			*asked = append(*asked, q)
			return map[string]any{
				"node": "n1", "revision": 1,
				"request": map[string]any{"method": q.Method, "host": "", "path": "", "client": q.Client.String()},
				"outcome": map[string]any{"kind": "no_listener", "text": "none"},
			}
		}
	})
	return c, asked
}

func explainPath(pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, pairs[i]+"="+url.QueryEscape(pairs[i+1]))
	}
	return "/v1/explain?" + strings.Join(parts, "&")
}

func TestAnExplanationIsAskedForAsAClientWouldSendTheRequest(t *testing.T) {
	asker := netip.MustParseAddr("192.0.2.1") // of httptest
	for name, test := range map[string]struct {
		pairs []string
		want  httpapi.ExplainQuery
	}{
		"a URL is enough": {[]string{"url", "http://shop.example"},
			httpapi.ExplainQuery{Method: "GET", Host: "shop.example", Port: 80, Client: asker}},
		"the target stays as it is, but for the fragment": {[]string{"url", "HTTP://Shop.example:8080/a%2Fb/../c?x=1&y#z"},
			httpapi.ExplainQuery{Method: "GET", Host: "Shop.example:8080", Port: 8080, Target: "/a%2Fb/../c?x=1&y", Client: asker}},
		"a URL of https": {[]string{"url", "https://h/"}, httpapi.ExplainQuery{Method: "GET", Host: "h", Port: 443, Target: "/", Client: asker}},
		"a URL of https with a port": {[]string{"url", "https://h:8443/"},
			httpapi.ExplainQuery{Method: "GET", Host: "h:8443", Port: 8443, Target: "/", Client: asker}},
		"a query without a path": {[]string{"url", "http://h?q"}, httpapi.ExplainQuery{Method: "GET", Host: "h", Port: 80, Target: "?q", Client: asker}},
		"all parameters": {[]string{"url", "http://[::1]:81/", "method", "PURGE", "header", "A: b", "header", "A: c:d", "client", "[2001:db8::1]:99", "listener", "default"},
			httpapi.ExplainQuery{Method: "PURGE", Host: "[::1]:81", Port: 81, Target: "/", Fields: []string{"A: b", "A: c:d"}, Client: netip.MustParseAddr("2001:db8::1"), Listener: "default"}},
		"a client without a port": {[]string{"url", "http://h/", "client", "10.0.0.1"}, httpapi.ExplainQuery{Method: "GET", Host: "h", Port: 80, Target: "/", Client: netip.MustParseAddr("10.0.0.1")}},
		"a malformed escape is for the data path to judge": {[]string{"url", "http://h/%zz"},
			httpapi.ExplainQuery{Method: "GET", Host: "h", Port: 80, Target: "/%zz", Client: asker}},
	} {
		t.Run(name, func(t *testing.T) {
			c, asked := asks(t)
			c.send("GET", explainPath(test.pairs...), "").want(200)
			if len(*asked) != 1 || !reflect.DeepEqual((*asked)[0], test.want) {
				t.Errorf("asked %+v, want %+v", *asked, test.want)
			}
		})
	}
}

func TestAllFaultsOfAQuestionAreToldAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		pairs []string
		want  map[string]string
	}{
		"no URL":           {nil, map[string]string{"/url": "is missing"}},
		"no scheme":        {[]string{"url", "shop.example/cart"}, map[string]string{"/url": "no scheme"}},
		"another scheme":   {[]string{"url", "ftp://h/"}, map[string]string{"/url": `"ftp" is not known`}},
		"a space":          {[]string{"url", "http://h/a b"}, map[string]string{"/url": "%20"}},
		"a line end":       {[]string{"url", "http://h/\r\nA: b"}, map[string]string{"/url": "visible ASCII"}},
		"no host":          {[]string{"url", "http:///a"}, map[string]string{"/url": "no host"}},
		"a user":           {[]string{"url", "http://me:pw@h/"}, map[string]string{"/url": "a user"}},
		"a port too large": {[]string{"url", "http://h:70000/"}, map[string]string{"/url": "1 to 65535"}},
		"no port number":   {[]string{"url", "http://h:x/"}, map[string]string{"/url": "cannot be read"}},
		"everything": {[]string{"url", "ftp://h:0/", "method", "GE T", "header", "A: b", "header", "no colon", "header", "A : b", "header", "A: b\r\nB: c", "client", "me", "listener", "none"},
			map[string]string{"/url": "ftp", "/method": "GE T", "/header/1": "no colon", "/header/2": "no space before", "/header/3": "control", "/client": "me", "/listener": "GET /v1/listeners"}},
		"what is empty": {[]string{"url", "", "method", "", "header", "", "client", "", "listener", ""},
			map[string]string{"/url": "missing", "/method": "no method", "/header/0": "colon", "/client": "no address", "/listener": "is empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, asked := asks(t)
			got := c.send("GET", explainPath(test.pairs...), "").wantProblem(400, "invalid-request").faults()
			for pointer, part := range test.want {
				if !strings.Contains(got[pointer], part) {
					t.Errorf("%s: %q, want %q", pointer, got[pointer], part)
				}
			}
			if len(got) != len(test.want) || len(*asked) > 0 {
				t.Errorf("faults %v, asked %v", got, *asked)
			}
		})
	}
}

func TestOnlyHeadersMayBeGivenSeveralTimes(t *testing.T) {
	c, _ := asks(t)
	c.send("GET", "/v1/explain?url=http://h/&url=http://h/", "").wantProblem(400, "invalid-request")
	c.send("GET", "/v1/explain?url=http://h/&header+(repeatable)=A:b", "").wantProblem(400, "invalid-request")
	c.send("GET", "/v1/explain?url=http://h/&headers=A:b", "").wantProblem(400, "invalid-request")
}

func TestANodeWithoutTrafficExplainsNothing(t *testing.T) {
	for name, explain := range map[string]func(httpapi.ExplainQuery) any{
		"it has no function": nil, "the function has no answer": func(httpapi.ExplainQuery) any { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, func(config *httpapi.Config) { config.Explain = explain })
			c.send("GET", "/v1/explain?url=http://h/", "").wantProblem(503, "not-ready")
		})
	}
}

// FuzzExplainQuery asks with any parameters: no answer is an error of the node's,
// and what it is asked can be written in a request's head.
func FuzzExplainQuery(f *testing.F) {
	f.Add("http://shop.example:8080/cart?x=1", "GET", "A: b", "192.0.2.1:80")
	f.Add("http://[::1", "G T", "A\n", "[::1%lo]")
	f.Fuzz(func(t *testing.T, target, method, header, from string) {
		c, asked := asks(t)
		got := c.send("GET", explainPath("url", target, "method", method, "header", header, "client", from), "")
		if got.StatusCode != 200 && got.StatusCode != 400 {
			t.Fatalf("status %d: %s", got.StatusCode, got.body)
		}
		for _, q := range *asked {
			if strings.ContainsAny(q.Method+q.Host+q.Target+strings.Join(q.Fields, ""), "\r\n\x00") || q.Port == 0 || q.Host == "" {
				t.Errorf("asked %+v", q)
			}
		}
	})
}
