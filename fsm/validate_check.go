package fsm

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Bounds of a check, part of the feature level.
const (
	minCheckTimeout  = 10 * time.Millisecond
	minCheckInterval = 100 * time.Millisecond
	maxCheckInterval = time.Hour
	maxCheckCount    = 100
	maxObservers     = 15
	maxCheckFields   = 32
	maxCheckText     = 1024
	maxCheckCA       = 64 << 10
	maxQuoted        = 80 // of a text that is wrong, where it is told in whole
	// maxReuseInterval is shorter than the time in which firewalls forget
	// connections without traffic.
	maxReuseInterval = 30 * time.Second
)

// checkMethods are the methods of HTTP checks.
var checkMethods = [...]string{"GET", "HEAD", "OPTIONS", "POST"}

func (c *Check) validate(f *faults) {
	switch c.Type {
	case CheckHTTP:
		c.validateHTTP(f)
	case CheckTCP:
		checkNeedle(f, "/spec/check/send", c.Send)
		checkNeedle(f, "/spec/check/receive", c.Receive)
	case CheckGRPC:
		checkHostField(f, "/spec/check/host", c.Host)
		checkService(f, "/spec/check/service", c.Service)
	default:
		f.add("/spec/check/type", "%q is not a type of check: use %s, %s or %s", clip(c.Type), CheckTCP, CheckHTTP, CheckGRPC)
		if f.writing { // what no type takes is wrong whatever is meant
			c.validateHTTP(f)
			checkNeedle(f, "/spec/check/send", c.Send)
			checkNeedle(f, "/spec/check/receive", c.Receive)
			checkService(f, "/spec/check/service", c.Service)
		}
	}
	if f.writing {
		c.validateWritten(f)
	}
	for _, other := range c.ofOtherType() {
		if other.used {
			f.add(other.pointer, "%s: a check of type %s %s; leave it out or use type %s", other.value, c.Type, other.lacks, other.belongs)
		}
	}
	if c.TLS != nil {
		c.TLS.validate(f)
	}
	c.validateTimes(f)
	checkCount(f, "/spec/check/port", c.Port, 1, 65535)
	checkCount(f, "/spec/check/observers", c.Observers, 1, maxObservers)
}

func (c *Check) validateHTTP(f *faults) {
	checkPath(f, "/spec/check/path", c.Path)
	if _, err := ParseExpect(c.Expect); err != nil {
		text := err.Error()
		if f.writing && len(c.Expect) > maxQuoted {
			text = fmt.Sprintf("%q is neither a list of status codes nor of ranges such as 200-299", clip(c.Expect))
		}
		f.add("/spec/check/expect", "%s", text)
	}
	if c.Method != "" && !slices.Contains(checkMethods[:], c.Method) {
		f.add("/spec/check/method", "%q is not one of %s: leave it out for GET", clip(c.Method), strings.Join(checkMethods[:], ", "))
	}
	checkHostField(f, "/spec/check/host", c.Host)
	c.validateFields(f)
	checkNeedle(f, "/spec/check/expect_text", c.ExpectText)
	checkRegexp(f, "/spec/check/expect_regexp", c.ExpectRegexp)
	// RFC 9110, section 9.3.2: there is nothing to look at.
	if c.Method == "HEAD" && c.ExpectText != "" {
		f.add("/spec/check/expect_text", "%q: an answer to HEAD has no body: leave it out, or use GET", clip(c.ExpectText))
	}
	if c.Method == "HEAD" && c.ExpectRegexp != "" {
		f.add("/spec/check/expect_regexp", "%q: an answer to HEAD has no body: leave it out, or use GET", clip(c.ExpectRegexp))
	}
	if c.WeightField != "" {
		checkToken(f, "/spec/check/weight_field", "header field", c.WeightField)
	}
	if c.ReuseConnection {
		c.validateReuse(f)
	}
}

func (c *Check) validateReuse(f *faults) {
	const at = "/spec/check/reuse_connection"
	if c.TLS != nil {
		f.add(at, "true: a check with tls makes a connection for each probe: leave it out")
	}
	// RFC 9110, section 9.2.2: what met the end of a connection is sent again.
	if c.Method == "POST" {
		f.add(at, "true: a request with POST cannot be repeated if the connection was closed meanwhile: leave it out, or use another method")
	}
	if interval := time.Duration(c.Interval); interval > maxReuseInterval {
		f.add(at, "true: with an interval of %q a connection would rest for longer than %q: leave it out, or shorten the interval", interval, maxReuseInterval)
	}
}

// validateFields keeps out what frames the request, as [FieldEdit.validate]
// does, and Expect, which is of requests with a body (RFC 9110, section 10.1.1).
func (c *Check) validateFields(f *faults) {
	if len(c.Fields) > maxCheckFields {
		f.add("/spec/check/fields", "has %d fields, at most %d are taken", len(c.Fields), maxCheckFields)
		return
	}
	for i, field := range c.Fields {
		at := fmt.Sprintf("/spec/check/fields/%d", i)
		checkToken(f, at+"/name", "header field", field.Name)
		if strings.EqualFold(field.Name, "Host") {
			f.add(at+"/name", "%q cannot be given as a field: use host", field.Name)
		}
		if strings.EqualFold(field.Name, "Expect") {
			f.add(at+"/name", "%q cannot be given: a check sends no body that could wait for an answer: leave it out", field.Name)
		}
		if isUnedited(field.Name) {
			f.add(at+"/name", "%q cannot be given: it frames the message or belongs to one connection, and Evenkeel writes it itself", field.Name)
		}
		checkFieldValue(f, at+"/value", field.Value)
	}
}

// validateWritten reports what the probers of this build refuse, and builds of
// before wrote into their logs.
func (c *Check) validateWritten(f *faults) {
	if c.TLS != nil && c.TLS.CA != "" && len(c.TLS.CA) <= maxCheckCA {
		checkUsable(f, "/spec/check/tls/ca", c.TLS.CA)
	}
	if c.Type == CheckTCP || c.Type == CheckGRPC || c.Path == "" || f.has("/spec/check/path") {
		return
	}
	if _, err := url.ParseRequestURI(c.Path); err != nil {
		f.add("/spec/check/path", "%q is not escaped as in a request: write the percent sign itself as %%25", clip(c.Path))
	}
}

// misplaced is a field that a check of another type has.
type misplaced struct {
	pointer string
	value   string
	used    bool
	lacks   string // why this type has no use for it
	belongs string // the type that has
}

// ofOtherType lists the fields that the check's type has no use for; none for a
// type that is not known.
func (c *Check) ofOtherType() []misplaced {
	quoted := func(text string) string { return fmt.Sprintf("%q", clip(text)) }
	switch c.Type {
	case CheckTCP:
		const request, answer, status = "sends no request of HTTP", "gets no answer of HTTP", "gets no status"
		return []misplaced{
			{"/spec/check/path", quoted(c.Path), c.Path != "", "asks for no path", CheckHTTP},
			{"/spec/check/expect", quoted(c.Expect), c.Expect != "", status, CheckHTTP},
			{"/spec/check/method", quoted(c.Method), c.Method != "", request, CheckHTTP},
			{"/spec/check/host", quoted(c.Host), c.Host != "", request, CheckHTTP},
			{"/spec/check/fields", fmt.Sprintf("has %d fields", len(c.Fields)), len(c.Fields) > 0, request, CheckHTTP},
			{"/spec/check/expect_text", quoted(c.ExpectText), c.ExpectText != "", "looks for what receive says", CheckHTTP},
			{"/spec/check/expect_regexp", quoted(c.ExpectRegexp), c.ExpectRegexp != "", "looks for what receive says", CheckHTTP},
			{"/spec/check/weight_field", quoted(c.WeightField), c.WeightField != "", answer, CheckHTTP},
			{"/spec/check/reuse_connection", "true", c.ReuseConnection, request, CheckHTTP},
			{"/spec/check/service", quoted(c.Service), c.Service != "", "asks about no service", CheckGRPC},
		}
	case CheckHTTP:
		return []misplaced{
			{"/spec/check/send", quoted(c.Send), c.Send != "", "sends a request of HTTP alone", CheckTCP},
			{"/spec/check/receive", quoted(c.Receive), c.Receive != "", "looks for what expect_text says", CheckTCP},
			{"/spec/check/service", quoted(c.Service), c.Service != "", "asks about no service", CheckGRPC},
		}
	case CheckGRPC:
		const request, answer = "sends a request of its own", "is answered by a status of its own"
		return []misplaced{
			{"/spec/check/path", quoted(c.Path), c.Path != "", request, CheckHTTP},
			{"/spec/check/expect", quoted(c.Expect), c.Expect != "", answer, CheckHTTP},
			{"/spec/check/method", quoted(c.Method), c.Method != "", request, CheckHTTP},
			{"/spec/check/fields", fmt.Sprintf("has %d fields", len(c.Fields)), len(c.Fields) > 0, request, CheckHTTP},
			{"/spec/check/expect_text", quoted(c.ExpectText), c.ExpectText != "", answer, CheckHTTP},
			{"/spec/check/expect_regexp", quoted(c.ExpectRegexp), c.ExpectRegexp != "", answer, CheckHTTP},
			{"/spec/check/weight_field", quoted(c.WeightField), c.WeightField != "", answer, CheckHTTP},
			{"/spec/check/reuse_connection", "true", c.ReuseConnection, "makes a connection for each probe", CheckHTTP},
			{"/spec/check/send", quoted(c.Send), c.Send != "", request, CheckTCP},
			{"/spec/check/receive", quoted(c.Receive), c.Receive != "", answer, CheckTCP},
		}
	}
	return nil
}

func (c *Check) validateTimes(f *faults) {
	interval, timeout, fast := time.Duration(c.Interval), time.Duration(c.Timeout), time.Duration(c.FastInterval)
	if interval < minCheckInterval || interval > maxCheckInterval {
		f.add("/spec/check/interval", "%q is not from %q to %q", interval, minCheckInterval, maxCheckInterval)
	}
	if timeout < minCheckTimeout || timeout > interval {
		f.add("/spec/check/timeout", "%q is not from %q to the interval, %q", timeout, minCheckTimeout, interval)
	}
	switch {
	case fast == 0:
	case fast < minCheckInterval || fast > interval:
		f.add("/spec/check/fast_interval", "%q is not from %q to the interval, %q: leave it out for the interval", fast, minCheckInterval, interval)
	case fast < timeout:
		f.add("/spec/check/fast_interval", "%q is shorter than the timeout, %q, and probes would overlap: shorten the timeout, or leave it out", fast, timeout)
	}
	checkRange(f, "/spec/check/rise", c.Rise, 1, maxCheckCount)
	checkRange(f, "/spec/check/fall", c.Fall, 1, maxCheckCount)
}

func (t *CheckTLS) validate(f *faults) {
	checkServerName(f, "/spec/check/tls/server_name", t.ServerName)
	if t.CA == "" {
		return
	}
	if t.Insecure {
		f.add("/spec/check/tls/ca", "insecure takes any certificate, so this would never be used: leave one of the two out")
	}
	checkCertificates(f, "/spec/check/tls/ca", t.CA)
}

// checkServerName reports what is no name of a server. Empty is allowed.
func checkServerName(f *faults, pointer, name string) {
	if name == "" {
		return
	}
	if _, err := netip.ParseAddr(name); err != nil && (looksNumeric(name) || !isHostName(name)) {
		f.add(pointer, "%q is neither a host name nor an IP address: write one such as \"www.example.com\", without a port", clip(name))
	}
}

// checkCertificates reports what is not certificates in PEM. It looks at their
// outer form alone: what a certificate may hold is read more strictly by some
// builds of crypto/x509 than by others, and replicas must agree. A check with
// one that cannot be used fails with that reason.
func checkCertificates(f *faults, pointer, text string) {
	if len(text) > maxCheckCA {
		f.add(pointer, "has %d bytes, at most %d are taken", len(text), maxCheckCA)
		return
	}
	rest := []byte(text)
	for number := 1; ; number++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			f.add(pointer, "item %d is no PEM: give certificates as they are between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----", number)
			return
		}
		if block.Type != "CERTIFICATE" {
			f.add(pointer, "item %d is a %q, not a CERTIFICATE: leave it out", number, clip(block.Type))
		} else if !isSequence(block.Bytes) {
			f.add(pointer, "item %d holds no certificate: it is cut or damaged", number)
		}
		if rest = []byte(strings.TrimSpace(string(rest))); len(rest) == 0 {
			return
		}
	}
}

// checkUsable reports certificates in PEM that this build cannot use: it would
// pass over them without a word.
func checkUsable(f *faults, pointer, text string) {
	rest := []byte(text)
	for number := 1; ; number++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return
		}
		if block.Type != "CERTIFICATE" || !isSequence(block.Bytes) {
			continue // reported already
		}
		if len(block.Headers) > 0 {
			f.add(pointer, "item %d has lines such as %q before the certificate: leave them out", number, clip(slices.Sorted(maps.Keys(block.Headers))[0]))
		} else if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			f.add(pointer, "item %d is not a certificate that can be used: %s", number, clip(err.Error()))
		}
	}
}

// isSequence tells whether the bytes are one whole ASN.1 sequence that is not
// empty, as a certificate is (RFC 5280, section 4.1).
func isSequence(der []byte) bool {
	var value asn1.RawValue
	rest, err := asn1.Unmarshal(der, &value)
	return err == nil && len(rest) == 0 && value.Class == asn1.ClassUniversal && value.Tag == asn1.TagSequence && value.IsCompound && len(value.Bytes) > 0
}

func checkNeedle(f *faults, pointer, text string) {
	if len(text) > maxCheckText {
		f.add(pointer, "has %d bytes, at most %d are taken", len(text), maxCheckText)
	}
}
