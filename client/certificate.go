package client

import (
	"time"

	"evenkeel/fsm"
)

// CertificateStatus is what the first certificate of a chain says.
type CertificateStatus struct {
	Subject string `json:"subject"`
	Issuer  string `json:"issuer"`
	// Names are the DNS names and IP addresses that it is for.
	Names     []string  `json:"names"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	// Key is the kind of its key, such as "ECDSA P-256".
	Key string `json:"key"`
	// Fingerprint is the SHA-256 of the certificate, in hexadecimal digits.
	Fingerprint string `json:"fingerprint"`
	// ExpiresInSeconds is how long it was until NotAfter when the node answered,
	// negative after that.
	ExpiresInSeconds int64 `json:"expires_in_seconds"`
	// UsedBy is what shows it, as far as the token may see that.
	UsedBy struct {
		// Listeners are those of https that name it, or name none and so show all.
		Listeners []string `json:"listeners"`
		// Pools show it to their backends.
		Pools []string `json:"pools"`
	} `json:"used_by"`
	// Warnings tell what is wrong with it: it has expired or soon will, is not valid
	// yet, or is for no host of the routes of any listener that shows it.
	Warnings []string `json:"warnings,omitempty"`
}

// Certificates returns the certificates. A spec that is written has a Chain and its
// Key, both PEM; one that is read has the Chain alone, since no node tells a key. A
// write without a Key keeps the one that is there, as long as the Chain's first
// certificate is of the same one.
func (c *Client) Certificates() *Collection[fsm.CertificateSpec, CertificateStatus] {
	return &Collection[fsm.CertificateSpec, CertificateStatus]{c, fsm.KindCertificate, ""}
}
