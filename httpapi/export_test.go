package httpapi

import "github.com/gorilla/mux"

// Router lets tests walk the paths.
func (a *API) Router() *mux.Router { return a.router() }

// AddressName lets tests fuzz names made from addresses.
var AddressName = addressName
