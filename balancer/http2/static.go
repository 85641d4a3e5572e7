package http2

// staticName is a name of the static table with its first index.
type staticName struct {
	name  string
	index uint8
	first byte // the representation
}

// staticNames are the names of RFC 7541 appendix A from index 15 on, by length.
// Fields whose values are secret are never indexed, as section 7.1.3 advises.
var staticNames = newStaticNames()

func newStaticNames() (table [28][]staticName) {
	for i, name := range []string{
		"accept-charset", "accept-encoding", "accept-language", "accept-ranges", "accept",
		"access-control-allow-origin", "age", "allow", "authorization", "cache-control", "content-disposition",
		"content-encoding", "content-language", "content-length", "content-location", "content-range",
		"content-type", "cookie", "date", "etag", "expect", "expires", "from", "host", "if-match",
		"if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "link",
		"location", "max-forwards", "proxy-authenticate", "proxy-authorization", "range", "referer", "refresh",
		"retry-after", "server", "set-cookie", "strict-transport-security", "transfer-encoding", "user-agent",
		"vary", "via", "www-authenticate",
	} {
		entry := staticName{name, uint8(15 + i), literal}
		switch name {
		case "authorization", "proxy-authorization", "cookie", "set-cookie":
			entry.first = neverIndexed
		}
		table[len(name)] = append(table[len(name)], entry)
	}
	return table
}

// staticEntry finds a name, in whatever case; nil if it is not there.
func staticEntry(name []byte) *staticName {
	if len(name) >= len(staticNames) {
		return nil
	}
	entries := staticNames[len(name)]
	for i := range entries {
		if e := &entries[i]; foldsTo(name, e.name) {
			return e
		}
	}
	return nil
}

// foldsTo tells whether a token is a name that is given in lower case. A byte
// of a token with bit 0x20 set is a letter or hyphen only if it was one.
func foldsTo(token []byte, name string) bool {
	for i := range len(name) {
		if token[i]|0x20 != name[i] {
			return false
		}
	}
	return true
}
