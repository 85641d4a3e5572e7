package fsm

import "time"

// Types of a health check.
const (
	CheckTCP  = "tcp"
	CheckHTTP = "http"
	CheckGRPC = "grpc" // grpc.health.v1.Health/Check
)

// DefaultObservers is how many nodes probe a backend.
const DefaultObservers = 3

// Check says how observers probe a backend.
type Check struct {
	// Type is [CheckTCP], [CheckHTTP] or [CheckGRPC].
	Type string `json:"type"`
	// Path is what an HTTP check asks for; "/" if empty.
	Path string `json:"path,omitempty"`
	// Interval is the time from one probe's start to the next one's, 100 ms to
	// 1 h; Timeout bounds a probe, 10 ms to Interval.
	Interval Duration `json:"interval"`
	Timeout  Duration `json:"timeout"`
	// Rise and Fall are how many probes in a row change an observer's opinion,
	// 1 to 100.
	Rise int `json:"rise"`
	Fall int `json:"fall"`
	// Expect is the status codes of a passing HTTP check: a list of codes and
	// ranges such as "200-299,304"; "200-399" if empty.
	Expect string `json:"expect,omitempty"`
	// FastInterval is the interval while the backend is down or in doubt: while
	// an observer's opinion is not up, or its last probe says otherwise than its
	// opinion. 100 ms to Interval, and not below Timeout; 0: see
	// [State.ProbeIntervals].
	FastInterval Duration `json:"fast_interval,omitempty" zero:"refused"`
	// Port is probed instead of the traffic's, 1 to 65535; 0: the traffic's.
	Port int `json:"port,omitempty" zero:"refused"`
	// Observers is how many nodes probe the backend, 1 to 15; 0:
	// [DefaultObservers]. With fewer nodes all of them do.
	Observers int `json:"observers,omitempty" zero:"refused"`
	// Method is an HTTP check's: GET, HEAD, OPTIONS or POST, without a body; GET
	// if empty.
	Method string `json:"method,omitempty"`
	// Host is the Host field of an HTTP check, and the authority of a gRPC check; the
	// backend's address if empty.
	Host string `json:"host,omitempty"`
	// Fields are further fields of an HTTP check's request, at most 32.
	Fields []CheckField `json:"fields,omitempty"`
	// ExpectText must occur in the body of an HTTP check's answer, within its
	// first 64 KiB; at most 1,024 bytes.
	ExpectText string `json:"expect_text,omitempty"`
	// ExpectRegexp is a regular expression (RE2) that must match there.
	ExpectRegexp string `json:"expect_regexp,omitempty"`
	// WeightField names a field of an HTTP check's answer in which the backend
	// tells how much of its weight it wants, "0" to "100" in percent, a "%" may
	// follow. An answer without it asks for all; one with anything else in it
	// leaves the weight as it is. Opinions tell of both.
	WeightField string `json:"weight_field,omitempty"`
	// ReuseConnection lets an HTTP check of an interval of at most 30 s, without TLS
	// and not by POST, send up to ten requests over one connection. A backend that
	// is not up is asked over new ones.
	ReuseConnection bool `json:"reuse_connection,omitempty"`
	// TLS makes the check speak TLS.
	TLS *CheckTLS `json:"tls,omitempty"`
	// Send is what a TCP check sends once connected, and Receive a text that must
	// occur in what comes back, within its first 64 KiB; at most 1,024 bytes
	// each. Without Receive a connect is enough.
	Send    string `json:"send,omitempty"`
	Receive string `json:"receive,omitempty"`
	// Service is what a gRPC check asks about, at most 256 bytes; if empty, the server
	// as a whole.
	Service string `json:"service,omitempty"`
}

// SetDefaults fills a new check with the defaults.
func (c *Check) SetDefaults() {
	*c = Check{Type: CheckTCP, Interval: Duration(2 * time.Second), Timeout: Duration(time.Second), Rise: 2, Fall: 3}
}

// ProbeIntervals returns the time from one probe's start to the next one's while
// the last probe says otherwise than an observer's opinion (doubt), and while that
// is down and the last probe says so too.
//
// Without a fast interval doubt is settled as fast as probes can follow each other,
// so that a backend that hangs is down within interval + fall × timeout, and what
// stays down is probed at the interval, so that many dead backends cost no more than
// living ones. Below feature level 4 both are the interval.
func (s *State) ProbeIntervals(c *Check) (doubt, down time.Duration) {
	interval := time.Duration(c.Interval)
	switch fast := time.Duration(c.FastInterval); {
	case fast > 0:
		return fast, fast
	case s.featureLevel < levelHealth:
		return interval, interval
	}
	return min(max(time.Duration(c.Timeout), minCheckInterval), interval), interval
}

// CheckField is a field of a check's request.
type CheckField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// CheckTLS says how a check speaks TLS. The certificate is verified unless
// Insecure is set.
type CheckTLS struct {
	// ServerName is the SNI and what the certificate must be for; the host of
	// the backend's address if empty.
	ServerName string `json:"server_name,omitempty"`
	// CA is one or more certificates in PEM, at most 64 KiB, that are trusted
	// instead of the system's. Not together with Insecure.
	CA string `json:"ca,omitempty"`
	// Insecure takes any certificate.
	Insecure bool `json:"insecure,omitempty"`
}
