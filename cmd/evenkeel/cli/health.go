package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"evenkeel/client"
)

// poolDoc is what the API says of the health of one pool.
type poolDoc struct {
	Pool       string `json:"pool"`
	State      string `json:"state"`
	Backends   int    `json:"backends"`
	Serving    int    `json:"serving"`
	Up         int    `json:"up"`
	Down       int    `json:"down"`
	Unknown    int    `json:"unknown"`
	NotReady   int    `json:"not_ready"`
	Held       int    `json:"held"`
	Overridden int    `json:"overridden"`
	Avoided    int    `json:"avoided"`
	Panic      bool   `json:"panic"`
}

// askedDoc is a node that was asked for its part.
type askedDoc struct {
	Node     string `json:"node"`
	Answered bool   `json:"answered"`
	CutOff   bool   `json:"cut_off"`
	Error    string `json:"error"`
	LeftOff  int    `json:"left_off"`
}

func (a *App) healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "health [POOL | --why [POOL/]BACKEND]", Short: "show the health of pools, or why a backend is or is not used",
		Long: "Show the health of all pools, the worst first, or of the backends of one pool.\n\n" +
			"With --why, say in sentences why a backend is or is not used, on every node. The pool\n" +
			"may be left out of a name that only one backend has.",
		Example: "  evenkeel health\n  evenkeel health web\n  evenkeel health --why web/web1",
		Args:    maxArgs(1),
	}
	conn, f := a.connectFlags(cmd, timeout), ownFormatFlag(cmd)
	cmd.ValidArgsFunction = conn.completeHealth
	why := cmd.Flags().Bool("why", false, "say why a backend is or is not used")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *why && len(args) == 0 {
			return usage("--why needs a backend; name it as POOL/BACKEND")
		}
		c, err := conn.client()
		if err != nil {
			return err
		}
		h := &healthVerb{App: a, client: c, format: *f}
		switch {
		case *why:
			return h.why(cmd, args[0])
		case len(args) == 1 && strings.Contains(args[0], "/"):
			return usage(fmt.Sprintf("%q names a backend, and health shows pools: write health --why %s for that backend", args[0], args[0]))
		case len(args) == 1:
			return h.pool(cmd, args[0])
		}
		return h.all(cmd)
	}
	return cmd
}

// healthVerb is one call of health.
type healthVerb struct {
	*App
	client *client.Client
	format format
}

func (h *healthVerb) all(cmd *cobra.Command) error {
	var all struct {
		items[poolDoc]
		Nodes []askedDoc `json:"nodes"`
	}
	got, err := get(cmd.Context(), h.client, "/v1/health", &all)
	if err != nil {
		return err
	}
	if h.format != formatTable {
		return printData(h.Out, h.format, got.Body)
	}
	rows := &table{head: []string{"POOL", "STATE", "BACKENDS", "SERVING", "UP", "DOWN", "UNKNOWN", "NOT READY", "HELD", "OVERRIDDEN", "AVOIDED"}}
	for _, p := range all.Items {
		state := p.State
		if p.Panic {
			state += ", panic"
		}
		cells := []string{p.Pool, state}
		for _, n := range []int{p.Backends, p.Serving, p.Up, p.Down, p.Unknown, p.NotReady, p.Held, p.Overridden, p.Avoided} {
			cells = append(cells, strconv.Itoa(n))
		}
		rows.add(cells...)
	}
	if err := rows.print(h.Out); err != nil {
		return err
	}
	return printAsked(h.Out, all.Nodes)
}

func (h *healthVerb) pool(cmd *cobra.Command, name string) error {
	var pool struct {
		items[whyDoc]
		Nodes []askedDoc `json:"nodes"`
	}
	got, err := get(cmd.Context(), h.client, "/v1/pools/"+url.PathEscape(name)+"/health", &pool)
	if err != nil {
		return err
	}
	if h.format != formatTable {
		return printData(h.Out, h.format, got.Body)
	}
	rows := &table{head: []string{"BACKEND", "ADDRESS", "HEALTH", "SINCE", "VOTES", "USED BY", "WHY NOT"}}
	for _, b := range pool.Items {
		rows.add(b.Name, b.Address, b.health(), strconv.FormatUint(b.Since, 10), b.votes(), b.usedBy(), b.whyNot())
	}
	if err := rows.print(h.Out); err != nil {
		return err
	}
	return printAsked(h.Out, pool.Nodes)
}

// printAsked names the nodes whose part is missing or of another kind.
func printAsked(w io.Writer, nodes []askedDoc) error {
	var lines []string
	for _, n := range nodes {
		switch {
		case !n.Answered:
			lines = append(lines, fmt.Sprintf("%s did not tell its part: %s", n.Node, n.Error))
		case n.LeftOff > 0:
			lines = append(lines, fmt.Sprintf("%s left out %d entries", n.Node, n.LeftOff))
		}
		if n.CutOff {
			lines = append(lines, n.Node+" follows no leader, and goes by its own probes")
		}
	}
	if len(lines) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s\n", printableLines(lines))
	return err
}

// printableLines joins lines none of which can drive the terminal.
func printableLines(lines []string) string {
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

func (h *healthVerb) why(cmd *cobra.Command, text string) error {
	r, err := h.backend(cmd, text)
	if err != nil {
		return err
	}
	var doc whyDoc
	got, err := get(cmd.Context(), h.client, "/v1/pools/"+url.PathEscape(r.pool)+"/backends/"+url.PathEscape(r.name)+"/health", &doc)
	if err != nil {
		return err
	}
	if h.format != formatTable {
		return printData(h.Out, h.format, got.Body)
	}
	_, err = fmt.Fprintln(h.Out, printableLines(explain(doc)))
	return err
}

// backend reads POOL/BACKEND, or finds the only backend of a name.
func (h *healthVerb) backend(cmd *cobra.Command, text string) (ref, error) {
	if pool, name, found := strings.Cut(text, "/"); found {
		if pool == "" || name == "" {
			return ref{}, usage(fmt.Sprintf("name %q of a backend is empty; write POOL/BACKEND", text))
		}
		return ref{pool, name}, nil
	}
	var all items[struct{ Pool, Name string }]
	got, err := get(cmd.Context(), h.client, "/v1/backends", &all)
	if err != nil {
		return ref{}, err
	}
	var found []string
	for _, b := range all.Items {
		if b.Name == text {
			found = append(found, b.Pool)
		}
	}
	switch len(found) {
	case 0:
		return ref{}, &Problem{Request: "GET " + got.Base + "/v1/backends", Status: http.StatusNotFound, Title: fmt.Sprintf("there is no backend %q in any pool", text)}
	case 1:
		return ref{found[0], text}, nil
	}
	return ref{}, usage(fmt.Sprintf("backend %q is in pools %s: name one of them, as POOL/%s", text, and(found), text))
}

// completeHealth offers pools, or with --why backends.
func (c *connection) completeHealth(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	k := poolKind(c.app)
	if cmd.Flags().Changed("why") {
		k = backendKind()
	}
	return (&verbs{kind: k, app: c.app, conn: c}).complete(cmd, args, prefix)
}
