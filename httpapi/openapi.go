package httpapi

import (
	_ "embed"
	"net/http"

	"github.com/gorilla/mux"

	"evenkeel/httpapi/problem"
)

//go:embed openapi.json
var openAPIDocument []byte

func (a *API) openAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(openAPIDocument)
	return gone(err)
}

// problemView explains one type of problem.
type problemView struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Remedy string `json:"remedy"`
}

func (a *API) explainProblem(w http.ResponseWriter, r *http.Request) error {
	kind := problem.Kind(mux.Vars(r)["kind"])
	if !problem.Known(kind) {
		return problem.New(problem.NotFound, "there is no problem %q", clip(string(kind)))
	}
	entry := problem.Lookup(kind)
	return writeJSON(w, http.StatusOK, problemView{Type: problem.BasePath + string(kind), Title: entry.Title, Status: entry.Status, Remedy: entry.Remedy})
}
