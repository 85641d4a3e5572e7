package table

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"evenkeel/balancer/http1"
	"evenkeel/fsm"
)

// Each action is put into a registry and found again at the route that a
// request takes.
func TestRouteActions(t *testing.T) {
	prefix := "/v2"
	pool := []fsm.WeightedPool{{Name: "p", Weight: 1}}
	for _, c := range []struct {
		name string
		spec fsm.RouteSpec
		got  func(*Route) any
		want any
	}{
		{"a fixed response", fsm.RouteSpec{Respond: &fsm.Respond{Status: 410, Body: "gone", ContentType: "text/html"}},
			func(r *Route) any { return r.Respond }, &Respond{410, Page{[]byte("gone"), "text/html"}}},
		{"a redirect", fsm.RouteSpec{Match: fsm.RouteMatch{PathPrefix: "/v1"}, Redirect: &fsm.Redirect{Status: 307, Prefix: &prefix}},
			func(r *Route) any {
				location := r.Redirect.AppendLocation(nil, RedirectRequest{Scheme: "http", Host: "h", Path: "/v1/x"})
				return []any{r.Redirect.Status, string(location)}
			}, []any{307, "http://h/v2/x"}},
		{"a rewrite", fsm.RouteSpec{Match: fsm.RouteMatch{PathPrefix: "/v1"}, Pools: pool, Rewrite: &fsm.Rewrite{Prefix: &prefix, Host: "inner:81"}},
			func(r *Route) any {
				return []any{r.Rewrite.Host, string(r.Rewrite.AppendTarget(nil, "/v1/x", "q", true))}
			},
			[]any{"inner:81", "/v2/x?q"}},
		{"edits of requests", fsm.RouteSpec{Pools: pool, RequestFields: []fsm.FieldEdit{
			{Op: fsm.EditSet, Name: "A", Value: "1"}, {Op: fsm.EditAdd, Name: "B", Value: "2"}, {Op: fsm.EditRemove, Name: "C"},
		}}, func(r *Route) any { return r.RequestEdits },
			[]http1.Edit{{Op: http1.EditSet, Name: "A", Value: "1"}, {Op: http1.EditAdd, Name: "B", Value: "2"}, {Op: http1.EditRemove, Name: "C"}}},
		{"edits of responses", fsm.RouteSpec{Respond: &fsm.Respond{Status: 200, ContentType: "a/b"}, ResponseFields: []fsm.FieldEdit{{Op: fsm.EditAdd, Name: "B", Value: "2"}}},
			func(r *Route) any { return r.ResponseEdits }, []http1.Edit{{Op: http1.EditAdd, Name: "B", Value: "2"}}},
		{"a mirror", fsm.RouteSpec{Pools: pool, Mirror: &fsm.Mirror{Pool: "p", Percent: 30}},
			func(r *Route) any { return r.Mirror }, &Mirror{"p", 30}},
		{"error pages", fsm.RouteSpec{Pools: pool, ErrorPages: []fsm.ErrorPage{{Status: 502, Body: "bad", ContentType: "a/b"}, {Status: 503, Body: "none", ContentType: "c/d"}}},
			func(r *Route) any { return []*Page{r.ErrorPage(502), r.ErrorPage(503), r.ErrorPage(504)} },
			[]*Page{{[]byte("bad"), "a/b"}, {[]byte("none"), "c/d"}, nil}},
		{"no error page", fsm.RouteSpec{Pools: pool}, func(r *Route) any { return r.ErrorPage(502) }, (*Page)(nil)},
		{"timeouts", fsm.RouteSpec{Pools: pool, Timeouts: &fsm.RouteTimeouts{Request: fsm.Duration(time.Minute), FirstByte: fsm.Duration(time.Second)}},
			func(r *Route) any { return []time.Duration{r.Request, r.FirstByte} }, []time.Duration{time.Minute, time.Second}},
		{"retries", fsm.RouteSpec{Pools: pool, Retries: &fsm.RouteRetries{Attempts: 3}}, func(r *Route) any { return r.Attempts }, 3},
		{"nothing but pools", fsm.RouteSpec{Pools: pool}, func(r *Route) any {
			return []bool{r.Access == nil, r.Redirect == nil, r.Respond == nil, r.Rewrite == nil, r.Mirror == nil, r.RequestEdits == nil, r.ResponseEdits == nil,
				r.FirstByte == 0, r.Request == 0, r.Attempts == 0}
		}, []bool{true, true, true, true, true, true, true, true, true, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t)
			r.do(putPool("p"), putRoute("r", c.spec))
			route := NewBuilder(newAnswers(), Options{}).Update(r.State).Route(&Request{Path: "/v1/x"})
			if route == nil {
				t.Fatal("no route")
			}
			if diff := cmp.Diff(c.want, c.got(route)); diff != "" {
				t.Fatalf("want -, got +:\n%s", diff)
			}
		})
	}
}

func TestNoRouteHasNoErrorPage(t *testing.T) {
	if page := (*Route)(nil).ErrorPage(404); page != nil {
		t.Fatalf("got %+v", page)
	}
}
