package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/fsm"
)

// UnansweredError is a request that no backend, redirect or fixed response would
// answer.
type UnansweredError struct{ Text string }

// Error implements error.
func (e *UnansweredError) Error() string { return e.Text }

// explainDoc is what the API says a node would do with a request.
type explainDoc struct {
	Node     string `json:"node"`
	Revision uint64 `json:"revision"`
	Listener *struct {
		Name    string `json:"name"`
		State   string `json:"state"`
		Address string `json:"address"`
		Error   string `json:"error"`
		How     string `json:"how"`
		Others  []struct {
			Name    string `json:"name"`
			Address string `json:"address"`
			Route   string `json:"route"`
		} `json:"others"`
	} `json:"listener"`
	Request struct {
		Method string `json:"method"`
		Host   string `json:"host"`
		Path   string `json:"path"`
		Query  string `json:"query"`
		Client string `json:"client"`
	} `json:"request"`
	Outcome struct {
		Kind        string  `json:"kind"`
		Status      int     `json:"status"`
		Text        string  `json:"text"`
		ErrorPage   bool    `json:"error_page"`
		Unavailable float64 `json:"unavailable"`
	} `json:"outcome"`
	Search *struct {
		Considered []struct {
			Route  string         `json:"route"`
			Match  fsm.RouteMatch `json:"match"`
			Taken  bool           `json:"taken"`
			Missed string         `json:"missed"`
			Why    string         `json:"why"`
		} `json:"considered"`
		LeftOff map[string]int `json:"left_off"`
		Behind  int            `json:"behind"`
	} `json:"search"`
	Route *struct {
		Name           string          `json:"name"`
		Match          fsm.RouteMatch  `json:"match"`
		Sent           []string        `json:"sent"`
		ResponseFields []fsm.FieldEdit `json:"response_fields"`
		Mirror         *fsm.Mirror     `json:"mirror"`
		Allow          []string        `json:"allow"`
		Deny           []string        `json:"deny"`
	} `json:"route"`
	Pools []explainedPool `json:"pools"`
}

// explainedPool is a pool that the route may draw.
type explainedPool struct {
	Name       string  `json:"name"`
	Weight     int     `json:"weight"`
	RouteShare float64 `json:"route_share"`
	Strategy   string  `json:"strategy"`
	Registered int     `json:"registered"`
	Candidates int     `json:"candidates"`
	Tier       *int    `json:"tier"`
	Panic      bool    `json:"panic"`
	Heedless   bool    `json:"heedless"`
	Choice     struct {
		How     string `json:"how"`
		Backend string `json:"backend"`
		Why     string `json:"why"`
	} `json:"choice"`
	Backends []struct {
		Name            string  `json:"name"`
		Address         string  `json:"address"`
		Use             string  `json:"use"`
		Reason          string  `json:"reason"`
		Health          string  `json:"health"`
		Tier            int     `json:"tier"`
		Weight          int     `json:"weight"`
		EffectiveWeight float64 `json:"effective_weight"`
		Share           float64 `json:"share"`
		InFlight        int64   `json:"in_flight"`
	} `json:"backends"`
	LeftOff map[string]int `json:"left_off"`
	Bounds  struct {
		Connect         fsm.Duration `json:"connect"`
		FirstByte       fsm.Duration `json:"first_byte"`
		Request         fsm.Duration `json:"request"`
		Attempts        int          `json:"attempts"`
		BudgetPercent   int          `json:"budget_percent"`
		BackendRequests int          `json:"backend_requests"`
	} `json:"bounds"`
}

func (a *App) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "explain URL", Short: "say what becomes of a request, and why, without sending it",
		Long: "Say which listener, route, pool and backend a request gets, and why, on the node that is\n" +
			"asked, by the very table that it serves with. Nothing is sent.\n\n" +
			"The exit code is 0 if a backend, a redirect or a fixed response answers, and 5 otherwise:\n" +
			"without a route, without a backend, or if the request is refused.",
		Example: "  evenkeel explain http://shop.example/cart?x=1\n" +
			"  evenkeel explain http://shop.example/cart -X POST -H 'Cookie: session=7' --client 192.0.2.7",
		Args: exactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
	}
	conn, f := a.connectFlags(cmd, timeout), ownFormatFlag(cmd)
	method := cmd.Flags().StringP("method", "X", "GET", "the request's method")
	headers := cmd.Flags().StringArrayP("header", "H", nil, "a header field of the request, as 'Name: value'; may be repeated")
	from := cmd.Flags().String("client", "", "address of the client, with or without a port (default: this machine, as the node sees it)")
	listener := cmd.Flags().String("listener", "", "name of the listener (default: the one at the URL's host and port)")
	conn.completeNames(cmd, "listener", fsm.KindListener)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var empty []string
		for _, name := range []string{"method", "client", "listener"} {
			if flag := cmd.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
				empty = append(empty, "--"+name+" is empty: give a value, or leave it out")
			}
		}
		if len(empty) > 0 {
			return usage(strings.Join(empty, "\n"))
		}
		c, err := conn.client()
		if err != nil {
			return err
		}
		asked := client.Explain{URL: withScheme(args[0]), Method: *method, Headers: *headers, Client: *from, Listener: *listener}
		got, err := c.Explain(cmd.Context(), asked)
		if err != nil {
			return err
		}
		var doc explainDoc
		if err := got.Decode(&doc); err != nil {
			return err
		}
		if *f != formatTable {
			err = printData(a.Out, *f, got.Body)
		} else {
			err = doc.print(a, asked.URL)
		}
		if err != nil {
			return err
		}
		return doc.unanswered()
	}
	return cmd
}

// withScheme adds the one scheme there is to a URL without any, as people type
// them.
func withScheme(text string) string {
	if strings.Contains(text, "://") {
		return text
	}
	return "http://" + text
}

// unanswered is the error of a request that gets no answer but Evenkeel's own.
func (d *explainDoc) unanswered() error {
	switch d.Outcome.Kind {
	case "backend", "redirect", "response":
		if d.Listener != nil && d.Listener.State != "listening" {
			return &UnansweredError{fmt.Sprintf("the listener %s is not open on %s, so nothing accepts the connection", d.Listener.Name, d.Node)}
		}
		return nil
	case "no_listener":
		return &UnansweredError{d.Outcome.Text}
	}
	return &UnansweredError{fmt.Sprintf("the request would be answered with %d: %s", d.Outcome.Status, d.Outcome.Text)}
}

// story prints parts one after the other, the first error being the last thing
// done.
type story struct {
	app *App
	err error
}

func (s *story) say(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintln(s.app.Out, printable(fmt.Sprintf(format, args...)))
	}
}

// show prints a table, indented, if it has rows.
func (s *story) show(t *table) {
	if s.err != nil || len(t.rows) == 0 {
		return
	}
	var text strings.Builder
	if s.err = t.print(&text); s.err != nil {
		return
	}
	for line := range strings.Lines(text.String()) {
		if _, s.err = fmt.Fprint(s.app.Out, "    "+line); s.err != nil {
			return
		}
	}
}

func (d *explainDoc) print(a *App, asked string) error {
	s := &story{app: a}
	s.say("%s %s on %s, at revision %d", d.Request.Method, asked, d.Node, d.Revision)
	d.printListener(s)
	if d.Request.Host+d.Request.Path != "" {
		client := d.Request.Client
		if client == "" {
			client = "a client that is not known"
		}
		s.say("request:  host %q, path %q, from %s", d.Request.Host, d.Request.Path, client)
	}
	d.printRoutes(s)
	for i := range d.Pools {
		d.Pools[i].print(s)
	}
	d.printOutcome(s)
	return s.err
}

func (d *explainDoc) printListener(s *story) {
	l := d.Listener
	if l == nil {
		return
	}
	how := map[string]string{
		"named": "as asked", "address": "which is at that host and port", "only": "which is the only one",
		"ambiguous": "one of several that might take it; choose with --listener",
	}[l.How]
	s.say("listener: %s at %s, %s", l.Name, l.Address, how)
	switch {
	case l.State == "":
		s.say("    It is not open on this node yet.")
	case l.Error != "":
		s.say("    It is %s: %s", l.State, l.Error)
	case l.State != "listening":
		s.say("    It is %s.", l.State)
	}
	others := &table{head: []string{"OR LISTENER", "AT", "ROUTE THERE"}}
	for _, o := range l.Others {
		others.add(o.Name, o.Address, o.Route)
	}
	s.show(others)
}

func (d *explainDoc) printRoutes(s *story) {
	if d.Search == nil {
		return
	}
	if d.Route == nil {
		s.say("route:    none")
	} else {
		s.say("route:    %s for %s", d.Route.Name, describeMatch(d.Route.Match))
	}
	before := &table{head: []string{"NOT", "FOR", "WHY"}}
	for _, c := range d.Search.Considered {
		if !c.Taken {
			before.add(c.Route, describeMatch(c.Match), c.Why)
		}
	}
	s.show(before)
	if len(d.Search.LeftOff) > 0 {
		s.say("    Nor further ones: %s", countsOf(d.Search.LeftOff, "miss the "))
	}
	r := d.Route
	if r == nil {
		return
	}
	if d.Search.Behind > 0 {
		s.say("    %d more come behind it.", d.Search.Behind)
	}
	if len(r.Allow)+len(r.Deny) > 0 {
		s.say("    It allows %s and denies %s.", orText(strings.Join(r.Allow, ", "), "all"), orText(strings.Join(r.Deny, ", "), "none"))
	}
	if m := r.Mirror; m != nil {
		s.say("    A copy of %d %% of the requests goes to pool %s.", m.Percent, m.Pool)
	}
	for _, edit := range r.ResponseFields {
		s.say("    Of the response it %ss %s %s", edit.Op, edit.Name, edit.Value)
	}
	if len(r.Sent) > 0 {
		s.say("    A backend gets:")
		for _, line := range r.Sent {
			s.say("        %s", line)
		}
	}
}

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// countsOf writes such as "3 miss the host, 1 miss the path".
func countsOf(counts map[string]int, what string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s%s", counts[key], what, key))
	}
	return strings.Join(parts, ", ")
}

func (p *explainedPool) print(s *story) {
	s.say("pool:     %s, drawn for %s of the requests, %s among %d of %d backends%s", p.Name, percent(p.RouteShare),
		p.Strategy, p.Candidates, p.Registered, p.mode())
	rows := &table{head: []string{"BACKEND", "ADDRESS", "HEALTH", "WEIGHT", "SHARE", "IN FLIGHT", "WHY NOT"}}
	for _, b := range p.Backends {
		weight := strconv.Itoa(b.Weight)
		if b.EffectiveWeight != float64(b.Weight) {
			weight = strconv.FormatFloat(b.EffectiveWeight, 'f', -1, 64) + " of " + weight
		}
		why := ""
		if b.Use != "used" {
			of := whyDoc{Weight: b.Weight, Tier: b.Tier}
			why = strings.TrimRight(strings.TrimPrefix(of.because(useDoc{Use: b.Use}), "gives it no new requests: "), ".") + reason(b.Reason)
		}
		rows.add(b.Name, b.Address, b.Health, weight, percent(b.Share), strconv.FormatInt(b.InFlight, 10), why)
	}
	s.show(rows)
	if len(p.LeftOff) > 0 {
		s.say("    And further ones: %s", countsOf(p.LeftOff, ""))
	}
	switch {
	case p.Choice.How == "no_backend":
		s.say("    Nothing can be chosen: %s.", p.Choice.Why)
		return
	case p.Choice.Backend != "":
		s.say("    The choice is %s: %s.", p.Choice.Backend, p.Choice.Why)
	default:
		s.say("    The choice is open: %s.", p.Choice.Why)
	}
	b := &p.Bounds
	text := fmt.Sprintf("    It may try %d backends, each %s to connect and %s to answer", b.Attempts, b.Connect, b.FirstByte)
	if b.Request > 0 {
		text += fmt.Sprintf(", and take %s in all", b.Request)
	}
	if b.BackendRequests > 0 {
		text += fmt.Sprintf("; a backend has at most %d at a time", b.BackendRequests)
	}
	s.say("%s.", text)
}

// mode says what is unusual about whom the pool chooses among.
func (p *explainedPool) mode() string {
	switch {
	case p.Panic:
		return ", in a panic, as too few are usable"
	case p.Heedless:
		return ", although they are ejected, as nothing else is left"
	case p.Tier != nil && *p.Tier > 0:
		return fmt.Sprintf(", of tier %d", *p.Tier)
	}
	return ""
}

func (d *explainDoc) printOutcome(s *story) {
	text := d.Outcome.Text
	if d.Outcome.Status > 0 {
		text = fmt.Sprintf("%d, %s", d.Outcome.Status, text)
	}
	if len(d.Pools) == 1 && d.Pools[0].Choice.Backend != "" && d.Outcome.Kind == "backend" {
		text = "backend " + d.Pools[0].Name + "/" + d.Pools[0].Choice.Backend + " answers"
	}
	if d.Outcome.ErrorPage {
		text += ", with the route's error page"
	}
	if u := d.Outcome.Unavailable; u > 0 && u < 1 {
		text += fmt.Sprintf("; %s of the requests get 503", percent(u))
	}
	s.say("outcome:  %s", text)
}

// percent is a share such as "33.3 %".
func percent(share float64) string {
	return strconv.FormatFloat(float64(int(share*1000+0.5))/10, 'f', -1, 64) + " %"
}
