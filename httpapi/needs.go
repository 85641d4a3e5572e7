package httpapi

import (
	"net/http"

	"evenkeel/fsm"
)

// need is what a route asks of who calls it.
type need struct {
	// role is the least that may call; "" is for everybody, without a token too.
	role fsm.Role
	// whole tells that what the route shows or does cannot be limited to some
	// objects, so that a token which is limited may not call it.
	whole bool
}

// needs is the one table of who may call what. What is not in it is for admins
// alone, and a test fails on it.
//
// An operator may change the weight and the admin_state of a backend and
// nothing else of it, which depends on what is sent: see [principal.narrow].
func needs() map[string]need {
	public := need{}
	viewer, operator := need{role: fsm.RoleViewer}, need{role: fsm.RoleOperator}
	editor, admin := need{role: fsm.RoleEditor}, need{role: fsm.RoleAdmin, whole: true}
	overview := need{role: fsm.RoleViewer, whole: true}
	table := map[string]need{
		"GET /livez": public, "GET /readyz": public,
		"GET /v1/openapi.json": public, "GET /v1/problems/{kind}": public,
		"GET /metrics": overview,

		"GET /v1/cluster": viewer, "GET /v1/nodes": overview,
		"DELETE /v1/nodes/{node}": admin, "POST /v1/nodes/{node}/promote": admin,
		"POST /v1/cluster/transfer-leader": admin,
		"GET /v1/snapshot":                 admin, "PUT /v1/snapshot": admin,

		"GET /v1/health": viewer, "GET /v1/pools/{pool}/health": viewer,
		"GET /v1/pools/{pool}/backends/{name}/health":      viewer,
		"PUT /v1/pools/{pool}/backends/{name}/override":    operator,
		"DELETE /v1/pools/{pool}/backends/{name}/override": operator,
		"PUT /v1/pools/{pool}/backends/{name}/heartbeat":   operator,

		"POST /v1/txn": editor, "POST /v1/apply": editor,
		"GET /v1/export": viewer, "GET /v1/watch": viewer, "GET /v1/explain": overview,
		"GET /v1/revisions": viewer, "GET /v1/revisions/{revision}": viewer,
		"GET /v1/revisions/{from}/diff/{to}": viewer, "GET /v1/pending": viewer,
		"POST /v1/rollback":                     editor,
		"POST /v1/revisions/{revision}/confirm": editor, "POST /v1/revisions/{revision}/undo": editor,

		"GET /v1/backends": viewer, "POST /v1/backends": editor,
	}
	for _, collection := range []string{"/v1/listeners", "/v1/routes", "/v1/pools", "/v1/pools/{pool}/backends", "/v1/certificates"} {
		table["GET "+collection], table["POST "+collection] = viewer, editor
		item := collection + "/{name}"
		table["GET "+item] = viewer
		for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
			table[method+" "+item] = editor
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		table[method+" /v1/pools/{pool}/backends/{name}"] = operator
	}
	for _, route := range []string{"GET /v1/tokens", "POST /v1/tokens", "GET /v1/tokens/{name}", "PUT /v1/tokens/{name}", "PATCH /v1/tokens/{name}", "DELETE /v1/tokens/{name}"} {
		table[route] = admin
	}
	return table
}

// needOf returns what a route needs.
func (a *API) needOf(method, path string) need {
	if n, known := a.needs[method+" "+path]; known {
		return n
	}
	return need{role: fsm.RoleAdmin, whole: true}
}

// permitted keeps those from a route who may not call it. What is refused here
// has not been looked at, so the refusal tells nothing.
func (a *API) permitted(method, path string, next http.Handler) http.Handler {
	n := a.needOf(method, path)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := permit(principalOf(r), n); err != nil {
			a.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
