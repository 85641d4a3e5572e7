package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"evenkeel/client"
	"evenkeel/fsm"
)

func certificateKind(a *App) *kind {
	files := newFiles(a)
	return &kind{
		name: "certificate", plural: "certificates",
		short: "what listeners show to clients and pools to backends, with private keys that nobody is shown",
		fields: []field{
			{flag: "chain-file", usage: "PEM file with the certificate and, behind it, those that signed it; - is the standard input",
				apply: files.field("chain", "chain-file", "certificate", false, chainOf)},
			{flag: "key-file", usage: "PEM file with its private key, may be the same; without it the key stays that is there",
				apply: files.field("key", "key-file", "private key", false, keyOf)},
		},
		head: []string{"NAME", "NAMES", "ISSUER", "EXPIRES", "KEY"},
		row: func(object []byte) ([]string, error) {
			c, err := decode[fsm.Object[fsm.CertificateSpec, client.CertificateStatus]](object)
			if err != nil {
				return nil, err
			}
			return []string{c.Name, someOf(c.Status.Names), c.Status.Issuer, describeEnd(c.Status.NotAfter, time.Now()), c.Status.Key}, nil
		},
		detail: certificateUses,
		more:   warnings,
	}
}

// certificateUses names what shows the certificate.
func certificateUses(w io.Writer, object []byte) error {
	c, err := decode[fsm.Object[fsm.CertificateSpec, client.CertificateStatus]](object)
	if err != nil {
		return err
	}
	var users []string
	for _, name := range c.Status.UsedBy.Listeners {
		users = append(users, "listener "+name)
	}
	for _, name := range c.Status.UsedBy.Pools {
		users = append(users, "pool "+name)
	}
	if len(users) == 0 {
		users = []string{"nothing"}
	}
	_, err = fmt.Fprintln(w, printable("used by "+strings.Join(users, ", ")))
	return err
}

// warnings tells what the API says is wrong with an object.
func warnings(w io.Writer, object []byte) error {
	o, err := decode[struct {
		Name   string `json:"name"`
		Status struct {
			Warnings []string `json:"warnings"`
		} `json:"status"`
	}](object)
	if err != nil {
		return err
	}
	for _, warning := range o.Status.Warnings {
		if _, err := fmt.Fprintln(w, printable(o.Name+": warning: "+warning)); err != nil {
			return err
		}
	}
	return nil
}

// someOf lists names, not all of many.
func someOf(names []string) string {
	const most = 3
	if len(names) <= most+1 {
		return strings.Join(names, ",")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ","), len(names)-most)
}

// describeEnd says when something ends and in how long, such as
// "2027-01-02T03:04:05Z, in 89 days".
func describeEnd(end, now time.Time) string {
	if end.IsZero() {
		return ""
	}
	left, format := end.Sub(now), "%s, in %s"
	if left < 0 {
		left, format = -left, "%s, EXPIRED %s ago"
	}
	return fmt.Sprintf(format, end.UTC().Format(time.RFC3339), describeSpan(left))
}

// describeSpan rounds a time down to what matters of it.
func describeSpan(span time.Duration) string {
	switch {
	case span < time.Minute:
		return "less than a minute"
	case span < 2*time.Hour:
		return count(int(span/time.Minute), "minute")
	case span < 48*time.Hour:
		return count(int(span/time.Hour), "hour")
	}
	return count(int(span/(24*time.Hour)), "day")
}
