package secret

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"
)

// Errors by which a handshake is refused. They are what a failed handshake
// returns on the side that refused.
var (
	// ErrWrongSecret means that the peer's certificate is not of this
	// cluster: it has another secret, or none.
	ErrWrongSecret = errors.New("the peer does not have this cluster's secret")
	// ErrWrongPeer means that the peer is another node than the one asked for.
	ErrWrongPeer = errors.New("the peer is not the node that was asked for")
	// ErrSameUID means that another process uses this node's own UID.
	ErrSameUID = errors.New("the peer uses this node's own uid, was a data directory copied?")
)

// maxUID bounds a node's UID in bytes.
const maxUID = 64

// Identity is one node's certificates, one for each secret of its ring and all
// with the same key. It is immutable and safe for concurrent use.
type Identity struct {
	uid         string
	public      ed25519.PublicKey
	certificate tls.Certificate
	trusted     []ed25519.PublicKey
}

// Identity makes the certificates of the node with that UID: 1 to 64 letters,
// digits and hyphens. The key is a new one at each call and never leaves the
// process.
func (r *Ring) Identity(uid string) (*Identity, error) {
	if !validUID(uid) {
		return nil, fmt.Errorf("issue certificate for node %q: a uid is 1 to %d letters, digits and hyphens", uid, maxUID)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of node %q: %w", uid, err)
	}
	id := &Identity{uid: uid, public: public, certificate: tls.Certificate{PrivateKey: private}}
	for _, e := range r.entries {
		der, err := issue(uid, public, e.authority)
		if err != nil {
			return nil, fmt.Errorf("issue certificate for node %q: %w", uid, err)
		}
		id.certificate.Certificate = append(id.certificate.Certificate, der)
		id.trusted = append(id.trusted, e.authority.Public().(ed25519.PublicKey))
	}
	return id, nil
}

// issue signs a certificate that binds the key to the UID.
func issue(uid string, public ed25519.PublicKey, authority ed25519.PrivateKey) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), // nothing here is ever revoked by number
		Subject:      pkix.Name{CommonName: uid},
		NotBefore:    time.Unix(0, 0),
		// The date that stands for "no end", RFC 5280 section 4.1.2.5.
		NotAfter:    time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs:        []*url.URL{uidURI(uid)},
	}
	parent := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "evenkeel cluster"},
		PublicKey: authority.Public(),
	}
	return x509.CreateCertificate(rand.Reader, template, parent, public, authority)
}

// Server returns the configuration for accepting connections that speak one
// of the ALPN protocols. A handshake fails if the peer has none of the
// secrets; it succeeds also without a common protocol if the peer offers none
// at all, so the caller looks at the negotiated one.
func (id *Identity) Server(protocols ...string) *tls.Config {
	config := id.config(protocols, "")
	config.Certificates = []tls.Certificate{id.certificate}
	// The certificates are verified by verify: crypto/tls would look at the
	// clock, and at the first certificate alone.
	config.ClientAuth = tls.RequireAnyClientCert
	return config
}

// Client returns the configuration for a connection that speaks one ALPN
// protocol with the node of that UID, or with whichever node of the cluster
// answers if uid is "".
func (id *Identity) Client(protocol, uid string) *tls.Config {
	config := id.config([]string{protocol}, uid)
	config.InsecureSkipVerify = true // verify takes its place: no names, no clock
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &id.certificate, nil
	}
	return config
}

func (id *Identity) config(protocols []string, uid string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: protocols,
		// Resumption would keep a peer in after its secret was removed.
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return id.verify(state, uid)
		},
	}
}

func (id *Identity) verify(state tls.ConnectionState, want string) error {
	uid, err := id.PeerUID(state)
	switch {
	case err != nil:
		return err
	case want != "" && uid != want:
		return fmt.Errorf("%w: it is %q, not %q", ErrWrongPeer, uid, want)
	case uid == id.uid && !id.public.Equal(state.PeerCertificates[0].PublicKey):
		return fmt.Errorf("%w: uid %q", ErrSameUID, uid)
	}
	return nil
}

// PeerUID returns the UID of the node at the other end, or [ErrWrongSecret].
//
// A node presents a certificate of each of its secrets, the one it uses first,
// because neither side can tell beforehand which of them the other has. All
// bear the key of the first, whose possession the handshake proved; the peer
// is accepted if any of them is signed under a secret of this ring.
func (id *Identity) PeerUID(state tls.ConnectionState) (string, error) {
	if len(state.PeerCertificates) == 0 {
		return "", fmt.Errorf("%w: it presented no certificate", ErrWrongSecret)
	}
	proven, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return "", fmt.Errorf("%w: its key is not of Ed25519", ErrWrongSecret)
	}
	for _, certificate := range state.PeerCertificates[:min(len(state.PeerCertificates), maxSecrets)] {
		if !proven.Equal(certificate.PublicKey) || !id.signed(certificate) {
			continue
		}
		if uid, ok := certificateUID(certificate); ok {
			return uid, nil
		}
	}
	return "", ErrWrongSecret
}

// signed tells whether one of the ring's authorities issued the certificate.
func (id *Identity) signed(certificate *x509.Certificate) bool {
	if certificate.SignatureAlgorithm != x509.PureEd25519 {
		return false
	}
	for _, authority := range id.trusted {
		if ed25519.Verify(authority, certificate.RawTBSCertificate, certificate.Signature) {
			return true
		}
	}
	return false
}

// uidURI is how a certificate names a node.
func uidURI(uid string) *url.URL { return &url.URL{Scheme: "evenkeel", Host: "node", Path: "/" + uid} }

func certificateUID(certificate *x509.Certificate) (string, bool) {
	if len(certificate.URIs) != 1 {
		return "", false
	}
	uri := certificate.URIs[0]
	uid := strings.TrimPrefix(uri.Path, "/")
	return uid, validUID(uid) && uri.String() == uidURI(uid).String()
}

func validUID(uid string) bool {
	for _, c := range []byte(uid) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if digit := '0' <= c && c <= '9'; !letter && !digit && c != '-' {
			return false
		}
	}
	return 0 < len(uid) && len(uid) <= maxUID
}
