package httpapi_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"evenkeel/httpapi"
)

func withToken(config *httpapi.Config) { config.AdminToken = "sesame" }

func TestWithATokenOnlyItsHolderMayCall(t *testing.T) {
	for name, c := range map[string]struct {
		path, authorization string
		status              int
	}{
		"no token":                        {"/v1/pools", "", 401},
		"another token":                   {"/v1/pools", "Bearer sesam", 401},
		"the token":                       {"/v1/pools", "Bearer sesame", 200},
		"the scheme in lower case":        {"/v1/pools", "bearer sesame", 200},
		"another scheme":                  {"/v1/pools", "Basic sesame", 401},
		"the token without a scheme":      {"/v1/pools", "sesame", 401},
		"an empty token":                  {"/v1/pools", "Bearer ", 401},
		"metrics need it too":             {"/metrics", "", 401},
		"metrics with it":                 {"/metrics", "Bearer sesame", 200},
		"a path that is not there":        {"/v1/nothing", "", 401},
		"liveness is open":                {"/livez", "", 200},
		"readiness is open":               {"/readyz", "", 200},
		"the document is open":            {"/v1/openapi.json", "", 200},
		"what problems mean is open":      {"/v1/problems/unauthorized", "", 200},
		"a path like an open one is not":  {"/v1/openapi.json/x", "", 401},
		"a path below liveness is closed": {"/livez/../v1/pools", "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			header := []string{}
			if c.authorization != "" {
				header = append(header, "Authorization", c.authorization)
			}
			got := newClient(t, withToken).send("GET", c.path, "", header...).want(c.status)
			if c.status == 401 {
				got.wantProblem(401, "unauthorized").wantHeader("WWW-Authenticate", `Bearer realm="evenkeel"`)
			}
		})
	}
}

func TestPagesOfOtherOriginsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"no browser":               {nil, 200},
		"the node's own page":      {[]string{"Origin", "http://localhost:7070", "Sec-Fetch-Site", "same-origin"}, 200},
		"a person's address bar":   {[]string{"Sec-Fetch-Site", "none"}, 200},
		"another site":             {[]string{"Origin", "https://evil.example"}, 403},
		"another port":             {[]string{"Origin", "http://localhost:3000"}, 403},
		"a sandboxed page":         {[]string{"Origin", "null"}, 403},
		"an origin that is none":   {[]string{"Origin", "::"}, 403},
		"a second origin":          {[]string{"Origin", "http://localhost:7070", "Origin", "https://evil.example"}, 403},
		"a cross-site fetch":       {[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a same-site fetch":        {[]string{"Sec-Fetch-Site", "same-site"}, 403},
		"a cross-site fetch, caps": {[]string{"Sec-Fetch-Site", "Cross-Site"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			for _, change := range [][]func(*httpapi.Config){nil, {withToken}} {
				api := newClient(t, change...)
				header := c.header
				if change != nil {
					header = append([]string{"Authorization", "Bearer sesame"}, c.header...)
				}
				got := api.send("GET", "/v1/pools", "", header...).want(c.status)
				if c.status == 403 {
					got.wantProblem(403, "foreign-origin")
					api.send("POST", "/v1/pools", `{"name":"p"}`, header...).wantProblem(403, "foreign-origin")
				}
			}
		})
	}
}

func TestAnOpenAPIOnLoopbackAnswersToNoNameThatCouldBeRebound(t *testing.T) {
	insecure := func(config *httpapi.Config) { config.Insecure = true }
	for name, c := range map[string]struct {
		host   string
		change []func(*httpapi.Config)
		header []string
		status int
	}{
		"localhost":                               {"localhost:7070", nil, nil, 200},
		"localhost with a dot":                    {"localhost.:7070", nil, nil, 200},
		"a name below localhost":                  {"n1.localhost:7070", nil, nil, 200},
		"an address":                              {"127.0.0.1:7070", nil, nil, 200},
		"an address without a port":               {"127.0.0.1", nil, nil, 200},
		"an IPv6 address":                         {"[::1]:7070", nil, nil, 200},
		"an IPv6 address without a port":          {"[::1]", nil, nil, 200},
		"a rebound name":                          {"evil.example:7070", nil, nil, 421},
		"a name that begins like an address":      {"127.0.0.1.evil.example", nil, nil, 421},
		"a name that ends like localhost":         {"evillocalhost", nil, nil, 421},
		"any name when that was asked for":        {"node1:7070", []func(*httpapi.Config){insecure}, nil, 200},
		"any name when the caller needs a token":  {"node1:7070", []func(*httpapi.Config){withToken}, []string{"Authorization", "Bearer sesame"}, 200},
		"a rebound name with a matching own page": {"evil.example", nil, nil, 421},
	} {
		t.Run(name, func(t *testing.T) {
			got := newClient(t, c.change...).send("GET", "/v1/pools", "", append(c.header, "Host", c.host, "Origin", "http://"+c.host)...).want(c.status)
			if c.status == 421 {
				got.wantProblem(421, "foreign-host")
			}
		})
	}
}

func TestFailedLoginsAreCountedAndDoNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	c := newClient(t, withToken, func(config *httpapi.Config) { config.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for range 50 {
		c.send("GET", "/v1/pools", "", "Authorization", "Bearer guess")
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 {
		t.Errorf("%d lines were logged, want 1:\n%s", lines, log.String())
	}
	if strings.Contains(log.String(), "guess") || strings.Contains(log.String(), "sesame") {
		t.Errorf("the log has a token: %s", log.String())
	}
	metrics := c.send("GET", "/metrics", "", "Authorization", "Bearer sesame", "From-Address", "192.0.2.7:1").want(200)
	if !strings.Contains(metrics.body, "evenkeel_api_logins_failed_total 50\n") {
		t.Error("the failed logins are not counted")
	}
}
