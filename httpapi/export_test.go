package httpapi

import "github.com/gorilla/mux"

// Router lets tests walk the paths.
func (a *API) Router() *mux.Router { return a.router() }

// AddressName lets tests fuzz names made from addresses.
var AddressName = addressName

// Needs returns the role that each route needs, "" for none.
func Needs() map[string]string {
	roles := map[string]string{}
	for route, n := range needs() {
		roles[route] = string(n.role)
	}
	return roles
}
