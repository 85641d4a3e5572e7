package httpapi

import (
	"io"
	"net/http"
	"strings"

	"evenkeel/httpapi/problem"
)

// live says that the process serves.
func (a *API) live(w http.ResponseWriter, _ *http.Request) error { return writeText(w, "alive\n") }

// ready says whether traffic may be sent to this node. That never depends on
// the quorum: a node without one serves its last state.
func (a *API) ready(w http.ResponseWriter, _ *http.Request) error {
	if a.config.NotReady != nil {
		if reasons := a.config.NotReady(); len(reasons) > 0 {
			return problem.New(problem.NotReady, "%s", strings.Join(reasons, "; "))
		}
	}
	return writeText(w, "ready\n")
}

func writeText(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := io.WriteString(w, text)
	return gone(err)
}
