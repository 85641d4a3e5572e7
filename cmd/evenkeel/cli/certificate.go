package cli

import (
	"fmt"
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
	}
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
