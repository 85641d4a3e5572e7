package httpapi_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"evenkeel/httpapi"
)

// warnings are those of an object's status.
func (a answer) warnings(t testing.TB) string {
	t.Helper()
	var doc struct {
		Status struct{ Warnings []string }
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatal(err)
	}
	return strings.Join(doc.Status.Warnings, "\n")
}

func (c *client) certificate(t testing.TB, name, host string, ends time.Duration) answer {
	t.Helper()
	chain, private := pairOf(t, host, ends, newKey(t))
	return c.send("PUT", "/v1/certificates/"+name, bodyOf(t, map[string]any{"chain": chain, "key": private}))
}

func TestACertificateTellsWhoUsesItAndWhatIsWrong(t *testing.T) {
	c := newClient(t)
	const long = 90 * 24 * time.Hour
	if got := c.certificate(t, "site", "site.example", long).want(201); got.warnings(t) != "" {
		t.Error(got.warnings(t))
	}
	c.send("PUT", "/v1/routes/default", `{"match":{"host":"Site.example"},"pools":[{"name":"default"}]}`).want(200)
	c.send("PUT", "/v1/listeners/all", `{"address":":443","protocol":"https"}`).want(201)
	c.send("PUT", "/v1/listeners/named", `{"address":":444","protocol":"https","tls":{"certificates":["site"]}}`).want(201)
	c.send("PUT", "/v1/pools/inner", `{"tls":{"certificate":"inner","insecure":true}}`).wantProblem(400, "invalid-object")
	// It is for none of the hosts, and nobody is told, since backends are shown it.
	c.certificate(t, "inner", "inner.example", long).want(201)
	c.send("PUT", "/v1/pools/inner", `{"tls":{"certificate":"inner","insecure":true}}`).want(201)
	site := c.send("GET", "/v1/certificates/site", "").want(200)
	inner := c.send("GET", "/v1/certificates/inner", "").want(200)
	for name, test := range map[string]struct {
		of   answer
		want string
	}{"site": {site, `"used_by":{"listeners":["all","named"],"pools":[]}`}, "inner": {inner, `"used_by":{"listeners":["all"],"pools":["inner"]}`}} {
		if !strings.Contains(test.of.body, test.want) || test.of.warnings(t) != "" {
			t.Errorf("%s: %s", name, test.of.body)
		}
	}
	left := site.at("status", "expires_in_seconds").(float64)
	if left < long.Seconds()-600 || left > long.Seconds() {
		t.Errorf("it expires in %v", left)
	}
	if got := c.certificate(t, "site", "site.example", 13*24*time.Hour).want(200).warnings(t); !strings.Contains(got, "within 14 days") {
		t.Errorf("one that expires soon: %q", got)
	}
	if got := c.certificate(t, "other", "other.example", long).want(201).warnings(t); !strings.Contains(got, "no route of a listener") {
		t.Errorf("one for no route: %q", got)
	}
	// The same is told again, though the object is the same: routes are another thing.
	c.send("GET", "/v1/certificates/other", "").want(200)
	if got := c.send("PUT", "/v1/routes/more", `{"listeners":["all"],"match":{"host":"other.example"},"pools":[{"name":"default"}]}`).want(201).warnings(t); got != "" {
		t.Errorf("a route with a certificate: %q", got)
	}
	if got := c.send("GET", "/v1/certificates/other", "").want(200).warnings(t); got != "" {
		t.Errorf("one that has a route by now: %q", got)
	}
	if got := c.send("PUT", "/v1/routes/more", `{"match":{"host":"bare.example"},"pools":[{"name":"default"}]}`).want(200).warnings(t); !strings.Contains(got, "is for bare.example on all, named") {
		t.Errorf("a route without a certificate: %q", got)
	}
	if got := c.send("PUT", "/v1/listeners/named", `{"address":":445","protocol":"https","tls":{"certificates":["site"]}}`).want(200).warnings(t); !strings.Contains(got, "routes: bare.example:") {
		t.Errorf("a listener whose routes have hosts without: %q", got)
	}
	c.checked = false // parts of objects are no objects
	if got := c.send("GET", "/v1/listeners/all?fields=status.warnings", "").want(200).warnings(t); !strings.Contains(got, "bare.example") {
		t.Errorf("read: %q", got)
	}
	c.send("GET", "/v1/certificates?fields=name,status.not_after,status.used_by", "").want(200)
	c.send("GET", "/v1/routes?fields=status.warnings", "").want(200)
}

func TestAListenerOfHTTPSWithoutCertificatesIsWarnedOf(t *testing.T) {
	c := newClient(t)
	got := c.send("PUT", "/v1/listeners/web", `{"address":":443","protocol":"https"}`).want(201).warnings(t)
	if !strings.Contains(got, "has no certificate to show") {
		t.Errorf("%q", got)
	}
}

func TestAPoolsHealthTellsWhichNodeCannotSpeakTLS(t *testing.T) {
	c := newClient(t)
	other := httpapi.New(httpapi.Config{Cluster: c.cluster, Health: func() httpapi.LocalHealth {
		return httpapi.LocalHealth{PoolFaults: map[string]string{"default": "no secret opens it", "other": "x"}}
	}})
	c.cluster.ask = func(ctx context.Context, uid string, request []byte) ([]byte, error) {
		return other.AnswerHealth(ctx, uid, request)
	}
	if got := c.send("GET", "/v1/pools/default/health", "").want(200); !strings.Contains(got.body, `"tls_error":"no secret opens it"`) {
		t.Error(got.body)
	}
}
