package certificates

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// Policies, as https://wiki.mozilla.org/Security/Server_Side_TLS names them.
const (
	PolicyModern       = "modern"       // TLS 1.3 alone
	PolicyIntermediate = "intermediate" // TLS 1.2 too, with forward secrecy and authenticated encryption
)

// Modes of client authentication.
const (
	ClientRequired = "required" // without a certificate there is no connection
	ClientOptional = "optional" // one that is shown has to be good
)

// ALPN names of protocols, RFC 7301.
const (
	HTTP1 = "http/1.1"
	HTTP2 = "h2"
)

// Settings are how a listener speaks TLS.
type Settings struct {
	// Listener is its name.
	Listener string
	// Certificates are those that it shows, the default first. Without any, every
	// handshake is refused.
	Certificates []*Certificate
	// MinVersion is "1.2" or "1.3"; "" means what the policy has.
	MinVersion string
	// Policy is one of the Policy constants; "" means [PolicyIntermediate].
	Policy string
	// RefuseUnknown answers a client that asks for a name of no certificate with the
	// alert unrecognized_name; else it gets the default. One that asks for none gets
	// the default in any case.
	RefuseUnknown bool
	// Protocols are the ALPN names that are offered, the best first. A client that
	// names none is not refused.
	Protocols []string
	// ClientCA is who issues clients' certificates, PEM; "" means that none is asked
	// for.
	ClientCA string
	// ClientMode is one of the Client constants; "" means [ClientRequired].
	ClientMode string
	// TicketKeys are the secrets of session tickets, the same on all nodes: the first
	// makes them, all are known. Without any, sessions resume on this node alone, and
	// not beyond a change of the settings.
	TicketKeys [][]byte
}

// Equal tells whether two settings say the same.
func (s Settings) Equal(other Settings) bool {
	return s.Listener == other.Listener && slices.Equal(s.Certificates, other.Certificates) && s.MinVersion == other.MinVersion &&
		s.Policy == other.Policy && s.RefuseUnknown == other.RefuseUnknown && slices.Equal(s.Protocols, other.Protocols) &&
		s.ClientCA == other.ClientCA && s.ClientMode == other.ClientMode && slices.EqualFunc(s.TicketKeys, other.TicketKeys, bytes.Equal)
}

// suites are Mozilla's intermediate ones as far as crypto/tls has them; those of
// TLS 1.3 cannot be chosen.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Server returns the configuration of a listener, which must not be changed any
// more.
func Server(s Settings) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: suites,
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384},
		NextProtos:       s.Protocols,
		GetCertificate:   newChoice(s.Certificates, s.RefuseUnknown).get,
	}
	if s.Policy == PolicyModern || s.MinVersion == "1.3" {
		config.MinVersion = tls.VersionTLS13
	}
	if err := s.authenticate(config); err != nil {
		return nil, fmt.Errorf("listener %q: %w", s.Listener, err)
	}
	if len(s.TicketKeys) > 0 {
		keys, err := s.ticketKeys()
		if err != nil {
			return nil, fmt.Errorf("listener %q: session tickets: %w", s.Listener, err)
		}
		config.SetSessionTicketKeys(keys)
	}
	return config, nil
}

// authenticate sets what is asked of clients.
func (s *Settings) authenticate(config *tls.Config) error {
	if s.ClientCA == "" {
		return nil
	}
	pool, err := poolOf(s.ClientCA)
	if err != nil {
		return fmt.Errorf("authority of clients: %w", err)
	}
	config.ClientCAs, config.ClientAuth = pool, tls.RequireAndVerifyClientCert
	if s.ClientMode == ClientOptional {
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) > 0 && len(Subject(state.PeerCertificates[0])) > maxSubject {
			return errLongSubject
		}
		return nil
	}
	return nil
}

func poolOf(text string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, errors.New("there is no certificate in it: give PEM")
	}
	return pool, nil
}

// ticketKeys makes the listener's own keys of those that all share: what one
// listener has found of a client in a handshake must not count at another, which
// may ask more of clients.
func (s *Settings) ticketKeys() ([][32]byte, error) {
	ca := sha256.Sum256([]byte(s.ClientCA))
	about := "evenkeel session tickets\x00" + s.Listener + "\x00" + s.ClientMode + "\x00" + string(ca[:])
	keys := make([][32]byte, len(s.TicketKeys))
	for i, secret := range s.TicketKeys {
		key, err := hkdf.Key(sha256.New, secret, nil, about, len(keys[i]))
		if err != nil {
			return nil, err
		}
		copy(keys[i][:], key)
	}
	return keys, nil
}
