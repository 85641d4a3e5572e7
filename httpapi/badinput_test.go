package httpapi_test

import (
	"strings"
	"testing"
)

const webPath = "/v1/pools/default/backends/web1"

// badInput is a request that is refused.
type badInput struct {
	method, path, body string
	status             int
	kind               string
	// faults are parts of messages by pointer, all of them.
	faults map[string]string
}

// badBodies are of documents that cannot be read, whatever they are of.
func badBodies() map[string]badInput {
	return map[string]badInput{
		"an unknown field": {
			"POST", "/v1/backends", `{"address":"h:1","wieght":3}`, 400, "invalid-object",
			map[string]string{"/wieght": `did you mean "weight"`},
		},
		"an unknown field in the spec": {
			"POST", "/v1/backends", `{"spec":{"address":"h:1","colour":"red"}}`, 400, "invalid-object",
			map[string]string{"/spec/colour": "address, admin_state, drain_timeout, tier, ttl, weight, zone"},
		},
		"a field in the wrong case": {
			"POST", "/v1/backends", `{"Address":"h:1"}`, 400, "invalid-object",
			map[string]string{"/Address": `did you mean "address"`, "/address": "is missing"},
		},
		"a field that another kind has": {
			"POST", "/v1/pools", `{"pool":"default"}`, 400, "invalid-object", map[string]string{"/pool": "not a known field"},
		},
		"duplicate fields": {
			"POST", "/v1/backends", `{"address":"h:1","address":"h:2","labels":{"a":"1","a":"2"}}`, 400, "invalid-object",
			map[string]string{"/address": "given twice", "/labels/a": "given twice"},
		},
		"duplicate fields that differ in escapes only": {
			"POST", "/v1/backends", `{"address":"h:1","\u0061ddress":"h:2"}`, 400, "invalid-object", map[string]string{"/address": "given twice"},
		},
		"wrong types": {
			"POST", "/v1/backends", `{"address":9000,"weight":"3","tier":1.5,"labels":[],"zone":null}`, 400, "invalid-object",
			map[string]string{
				"/address": "9000 is a number, must be a string", "/weight": `"3" is a string, must be a whole number`,
				"/tier": "1.5 is not a whole number", "/labels": "is an array, must be an object", "/zone": "is null, must be a string",
			},
		},
		"a spec beside flat fields":    {"PUT", webPath, `{"spec":{"address":"h:1"},"weight":2}`, 400, "invalid-object", map[string]string{"/weight": `beside "spec"`}},
		"a spec that is no object":     {"PUT", webPath, `{"spec":"h:1"}`, 400, "invalid-object", map[string]string{"/spec": "must be an object"}},
		"an unknown field deep inside": {"PUT", "/v1/pools/p", `{"timeouts":{"conect":"1s"}}`, 400, "invalid-object", map[string]string{"/timeouts/conect": `did you mean "connect"`}},
		"a body over 1 MiB":            {"PUT", webPath, `{"address":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "body-too-large", nil},
		"an empty body":                {"PUT", "/v1/pools/p", ` `, 400, "invalid-object", map[string]string{"": "the body is empty"}},
		"a body that is no object":     {"PUT", "/v1/pools/p", `[]`, 400, "invalid-object", map[string]string{"": "is an array, must be an object"}},
		"a syntax error":               {"PUT", "/v1/pools/p", "{\n  \"strategy\": random\n}", 400, "invalid-object", map[string]string{"": "line 2, column 15"}},
		"a form":                       {"POST", "/v1/backends", "address=h:1", 400, "invalid-object", map[string]string{"": "line 1, column 1"}},
		"a body that ends too early":   {"PUT", "/v1/pools/p", `{"strategy":"ran`, 400, "invalid-object", map[string]string{"": "line 1, column 17: unexpected end"}},
		"a second document":            {"PUT", "/v1/pools/p", `{} {}`, 400, "invalid-object", map[string]string{"": "line 1, column 4"}},
		"bytes that are no UTF-8":      {"PUT", "/v1/pools/p", "{\"strategy\":\"\xff\"}", 400, "invalid-object", map[string]string{"": "not valid UTF-8"}},
		"deep nesting":                 {"PUT", "/v1/pools/p", `{"meta":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, 400, "invalid-object", nil},
	}
}

// badBackends are of the fields of a backend.
func badBackends() map[string]badInput {
	return map[string]badInput{
		"an address without a port":     {"POST", "/v1/backends", `{"address":"10.0.0.5"}`, 400, "invalid-object", map[string]string{"/address": `"10.0.0.5"`}},
		"an address that is not there":  {"POST", "/v1/backends", `{}`, 400, "invalid-object", map[string]string{"/address": "is missing"}},
		"a weight out of range":         {"POST", "/v1/backends", `{"address":"h:1","weight":1001}`, 400, "invalid-object", map[string]string{"/weight": "1001 is not from 0 to 1000"}},
		"a weight out of all ranges":    {"POST", "/v1/backends", `{"address":"h:1","weight":99999999999999999999}`, 400, "invalid-object", map[string]string{"/weight": "out of range"}},
		"several faults at once":        {"POST", "/v1/backends", `{"spec":{"address":"h","weight":-1,"tier":16,"admin_state":"off"},"name":"A"}`, 400, "invalid-object", map[string]string{"/spec/address": "", "/spec/weight": "", "/spec/tier": "", "/spec/admin_state": "", "/name": ""}},
		"a backend of a pool not there": {"POST", "/v1/backends", `{"address":"h:1","pool":"ghost"}`, 400, "invalid-object", map[string]string{"/pool": `pool "ghost" does not exist`}},
	}
}

// badOverrides are of an operator's word about a backend.
func badOverrides() map[string]badInput {
	return map[string]badInput{
		"an override of nothing":         {"PUT", webPath + "/override", `{}`, 400, "invalid-object", map[string]string{"/health": "is missing"}},
		"an override for no time":        {"PUT", webPath + "/override", `{"health":"down","for":"0s"}`, 400, "invalid-object", map[string]string{"/for": `"0s" is not from "1s"`}},
		"an override with a hidden turn": {"PUT", webPath + "/override", `{"health":"down","reason":"disk \u202e swap"}`, 400, "invalid-object", map[string]string{"/reason": "cannot be printed"}},
		"an override with all faults":    {"PUT", webPath + "/override", `{"health":"sick","for":"1ms","reson":"x"}`, 400, "invalid-object", map[string]string{"/health": `"sick" is not one of up, down`, "/for": `"1ms" is not from "1s"`, "/reson": `did you mean "reason"`}},
		"an override that is no object":  {"PUT", webPath + "/override", `[]`, 400, "invalid-object", map[string]string{"": "must be an object"}},
	}
}

// badPools are of the fields of a pool and of its check.
func badPools() map[string]badInput {
	return map[string]badInput{
		"a duration that is a number":    {"PUT", "/v1/pools/p", `{"check":{"interval":2}}`, 400, "invalid-object", map[string]string{"/check/interval": `must be a string such as "2s"`}},
		"a duration without a unit":      {"PUT", "/v1/pools/p", `{"check":{"interval":"2"}}`, 400, "invalid-object", map[string]string{"/check/interval": `"2": not a time span`}},
		"a check of a type that is none": {"PUT", "/v1/pools/p", `{"check":{"type":"icmp"}}`, 400, "invalid-object", map[string]string{"/check/type": `"icmp" is not a type of check`}},
		"a check that never fails":       {"PUT", "/v1/pools/p", `{"check":{"fall":0,"rise":101}}`, 400, "invalid-object", map[string]string{"/check/fall": "0 is not from 1 to 100", "/check/rise": "101"}},
		"an interval below the timeout":  {"PUT", "/v1/pools/p", `{"spec":{"check":{"interval":"500ms"}}}`, 400, "invalid-object", map[string]string{"/spec/check/timeout": `"1s" is not from "10ms" to the interval`}},
		"a check with a bad regexp":      {"PUT", "/v1/pools/p", `{"check":{"type":"http","expect_regexp":"("}}`, 400, "invalid-object", map[string]string{"/check/expect_regexp": "is not a regular expression"}},
		"a hold beyond the longest":      {"PUT", "/v1/pools/p", `{"ejection":{"hold":"10m"},"damping":{"flaps":0}}`, 400, "invalid-object", map[string]string{"/ejection/max_hold": "hold", "/damping/flaps": "0 is not from 1"}},
		"a strategy that is none":        {"PUT", "/v1/pools/p", `{"strategy":"best"}`, 400, "invalid-object", map[string]string{"/strategy": `"best" is not a strategy`}},
		"timeouts that are no object":    {"PUT", "/v1/pools/p", `{"timeouts":"1s","retries":[]}`, 400, "invalid-object", map[string]string{"/timeouts": "must be an object", "/retries": "must be an object"}},
		"a hash that nothing takes":      {"PUT", "/v1/pools/p", `{"strategy":"random","hash":{}}`, 400, "invalid-object", map[string]string{"/hash": `strategy "random" hashes nothing`}},
	}
}

// badRoutes are of the fields of a route.
func badRoutes() map[string]badInput {
	return map[string]badInput{
		"a route to no pool at all":       {"PUT", "/v1/routes/r", `{"pools":[]}`, 400, "invalid-object", map[string]string{"/pools": "is empty"}},
		"a route to a pool not there":     {"PUT", "/v1/routes/r", `{"pools":[{"name":"default"},{"name":"ghost"}]}`, 400, "invalid-object", map[string]string{"/pools/1/name": `pool "ghost" does not exist`}},
		"a route of a listener not there": {"PUT", "/v1/routes/r", `{"spec":{"pools":[{"name":"default"}],"listeners":["ghost"]}}`, 400, "invalid-object", map[string]string{"/spec/listeners/0": `listener "ghost" does not exist`}},
		"a route of two actions":          {"PUT", "/v1/routes/r", `{"pools":[{"name":"default"}],"redirect":{"scheme":"https"}}`, 400, "invalid-object", map[string]string{"/redirect": "pools is set too: set exactly one"}},
		"a mirror to a pool not there":    {"PUT", "/v1/routes/r", `{"pools":[{"name":"default"}],"mirror":{"pool":"ghost"}}`, 400, "invalid-object", map[string]string{"/mirror/pool": `pool "ghost" does not exist`}},
		"a field that splits a head":      {"PUT", "/v1/routes/r", `{"pools":[{"name":"default"}],"request_fields":[{"op":"set","name":"X","value":"a\r\nY: b"},{"op":"set","name":"Host","value":"b"}]}`, 400, "invalid-object", map[string]string{"/request_fields/0/value": "control character", "/request_fields/1/name": "use rewrite.host"}},
		"a regexp that does not compile":  {"PUT", "/v1/routes/r", `{"pools":[{"name":"default"}],"match":{"path_regexp":"("}}`, 400, "invalid-object", map[string]string{"/match/path_regexp": "is not a regular expression"}},
	}
}

// badNames are of names, and of what is there.
func badNames() map[string]badInput {
	return map[string]badInput{
		"a name that is not a DNS label":  {"PUT", "/v1/pools/Big_Pool", `{}`, 400, "invalid-object", map[string]string{"/name": `"Big_Pool" is not a DNS label`}},
		"a name in the body alone":        {"POST", "/v1/pools", `{"name":"-x-"}`, 400, "invalid-object", map[string]string{"/name": `"-x-" is not a DNS label`}},
		"an empty name":                   {"POST", "/v1/pools", `{"name":""}`, 400, "invalid-object", map[string]string{"/name": "not a DNS label"}},
		"a name that is not the path's":   {"PUT", webPath, `{"name":"web2","address":"h:1"}`, 400, "invalid-object", map[string]string{"/name": `"web2" is not what the path says, "web1"`}},
		"a pool that is not the path's":   {"PUT", webPath, `{"pool":"p2","address":"h:1"}`, 400, "invalid-object", map[string]string{"/pool": `"p2" is not what the path says`}},
		"a path with a pool not there":    {"PUT", "/v1/pools/ghost/backends/x", `{"address":"h:1"}`, 404, "not-found", nil},
		"deleting a pool a route uses":    {"DELETE", "/v1/pools/default", ``, 409, "in-use", nil},
		"deleting a listener a route has": {"DELETE", "/v1/listeners/default", ``, 409, "in-use", nil},
		"deleting by an impossible name":  {"DELETE", "/v1/pools/Big_Pool", ``, 400, "invalid-request", nil},
		"a path that is not there":        {"GET", "/v1/pool", ``, 404, "not-found", nil},
		"a path with a slash too many":    {"GET", "/v1/pools/", ``, 404, "not-found", nil},
		"a doubled slash":                 {"GET", "/v1//pools", ``, 404, "not-found", nil},
		"a name with an escaped slash":    {"GET", "/v1/pools/a%2fb", ``, 404, "not-found", nil},
	}
}

// badQueries are of the parameters of a request.
func badQueries() map[string]badInput {
	return map[string]badInput{
		"an unknown parameter":        {"GET", "/v1/pools?consistancy=linearizable", ``, 400, "invalid-request", nil},
		"a parameter of another path": {"GET", "/v1/pools/default/backends?pool=x", ``, 400, "invalid-request", nil},
		"a parameter on a write":      {"PUT", "/v1/pools/p?dryrun=true", `{}`, 400, "invalid-request", nil},
		"a parameter given twice":     {"GET", "/v1/backends?pool=a&pool=b", ``, 400, "invalid-request", nil},
		"an empty pool to filter by":  {"GET", "/v1/backends?pool=", ``, 400, "invalid-request", nil},
		"an unknown consistency":      {"GET", "/v1/cluster?consistency=strong", ``, 400, "invalid-request", nil},
		"an empty consistency":        {"GET", "/v1/cluster?consistency=", ``, 400, "invalid-request", nil},
		"a malformed query":           {"GET", "/v1/pools?a=%zz", ``, 400, "invalid-request", nil},
	}
}

// TestBadInputIsRefusedWithEveryFaultNamed holds each kind of bad input to a
// clear problem, and to having changed nothing.
func TestBadInputIsRefusedWithEveryFaultNamed(t *testing.T) {
	for _, of := range []map[string]badInput{badBodies(), badNames(), badBackends(), badOverrides(), badPools(), badRoutes(), badQueries()} {
		for name, c := range of {
			t.Run(name, func(t *testing.T) { c.isRefused(t) })
		}
	}
}

func (c badInput) isRefused(t *testing.T) {
	api := newClient(t)
	before := api.cluster.State()
	got := api.send(c.method, c.path, c.body).wantProblem(c.status, c.kind)
	if api.cluster.State().Version() != before.Version() {
		t.Error("the refused request changed the state")
	}
	if text, _ := got.at("detail").(string); text == "" {
		t.Error("no detail")
	}
	if c.faults == nil {
		return
	}
	faults := got.faults()
	for pointer, part := range c.faults {
		if message, ok := faults[pointer]; !ok || !strings.Contains(message, part) {
			t.Errorf("fault at %q is %q, want one with %q", pointer, message, part)
		}
	}
	if len(faults) != len(c.faults) {
		t.Errorf("faults %v, want %d", faults, len(c.faults))
	}
}

func TestAWrongMethodIsToldWhichOnesArePossible(t *testing.T) {
	c := newClient(t)
	c.send("DELETE", "/v1/pools", "").wantProblem(405, "method-not-allowed").wantHeader("Allow", "GET, HEAD, POST")
	c.send("POST", webPath, "{}").wantProblem(405, "method-not-allowed").wantHeader("Allow", "GET, HEAD, PUT, PATCH, DELETE")
	c.send("OPTIONS", "/metrics", "").wantProblem(405, "method-not-allowed").wantHeader("Allow", "GET, HEAD")
	c.send("BREW", "/livez", "").wantProblem(405, "method-not-allowed")
}

func TestAnEncodedBodyIsRefused(t *testing.T) {
	newClient(t).send("PUT", "/v1/pools/p", "{}", "Content-Encoding", "gzip").wantProblem(415, "unsupported-encoding")
}

// TestAHostileDocumentCostsNoMoreThanItsSize bounds the answer to a document
// that is nothing but faults.
func TestAHostileDocumentCostsNoMoreThanItsSize(t *testing.T) {
	for name, body := range map[string]string{
		"many unknown fields": `{` + strings.Repeat(`"a":1,`, 100_000) + `"b":1}`,
		"many values":         `{"labels":[` + strings.Repeat(`[],`, 100_000) + `[]]}`,
		"a long field name":   `{"` + strings.Repeat("n", 1<<19) + `":1}`,
		"many wrong networks": `{"allow":[` + strings.Repeat(`"x",`, 250) + `"x"],"deny":[` + strings.Repeat(`"y",`, 250) + `"y"]}`,
		"a long value":        `{"strategy":"` + strings.Repeat("v", 1<<19) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := "/v1/pools/p"
			if strings.Contains(body, "deny") {
				path = "/v1/routes/r"
			}
			got := newClient(t).send("PUT", path, body).wantProblem(400, "invalid-object")
			if len(got.body) > 64<<10 {
				t.Errorf("the answer has %d bytes", len(got.body))
			}
		})
	}
}
