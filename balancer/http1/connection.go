package http1

// noteConnection takes in a Connection field: RFC 9110 section 7.6.1. It is
// refused if it is not a list of tokens, because a party that reads "close;" as
// close would disagree about whether a next message comes.
func (h *head) noteConnection(value []byte) *Fault {
	switch {
	case is(value, "keep-alive"): // what most say
		h.seen |= seenKeepAlive
		return nil
	case is(value, "close"):
		h.seen |= seenClose
		return nil
	}
	for len(value) > 0 {
		var option []byte
		option, value = element(value)
		if len(option) == 0 {
			continue
		}
		if !isToken(option) {
			return FaultConnection
		}
		if h.options == h.maxOptions {
			return FaultTooManyOptions
		}
		h.options++
		h.seen |= optionMark(option)
	}
	return nil
}

func optionMark(option []byte) marks {
	switch {
	case is(option, "close"):
		return seenClose
	case is(option, "keep-alive"):
		return seenKeepAlive
	case is(option, "upgrade"):
		return seenUpgrading
	case is(option, "te"):
		return 0 // TE is never passed on as it came
	}
	return seenNamed
}

// element cuts the first element off a comma-separated list without quotes:
// RFC 9110 section 5.6.1.
func element(list []byte) (first, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}

// hasElement tells whether a list holds a token, given in lower case.
func hasElement(list []byte, token string) bool {
	for len(list) > 0 {
		var e []byte
		if e, list = element(list); is(e, token) {
			return true
		}
	}
	return false
}

// keeps are the kinds that no name in Connection removes: they frame the
// message, route it, or say who waits for whom. Upgrade is named by those who
// mean it, and is removed or not by what the rewriting is asked for.
const keeps = kinds(1<<kindHost | 1<<kindContentLength | 1<<kindTransferEncoding | 1<<kindExpect | 1<<kindUpgrade)

// markNamed marks the fields that Connection names. The limit on names keeps
// the number of comparisons low.
func (h *head) markNamed() {
	if h.seen&(seenNamed|seenClose) == 0 {
		return
	}
	for i := range h.fields {
		if h.fields[i].kind != kindConnection {
			continue
		}
		for list := h.valueOf(&h.fields[i]); len(list) > 0; {
			var option []byte
			option, list = element(list)
			if h.sizes>>(len(option)&63)&1 != 0 {
				h.markField(option)
			}
		}
	}
}

func (h *head) markField(name []byte) {
	for i := range h.fields {
		f := &h.fields[i]
		if int(f.colon-f.start) == len(name) && !keeps.has(f.kind) && equalFold(h.nameOf(f), name) {
			f.named = true
		}
	}
}

// noteUpgrade takes in an Upgrade field: RFC 9110 section 7.8. A second one, a
// malformed one and one that names h2c count as no offer.
func (h *head) noteUpgrade(value []byte) {
	if h.seen&seenUpgrade != 0 || !isProtocols(value) {
		h.seen |= seenUpgrades
	}
	h.seen |= seenUpgrade
	h.offer = value
}

// upgrade returns the protocols offered or agreed, nil if there are none.
func (h *head) upgrade() []byte {
	if h.seen&(seenUpgrade|seenUpgrades|seenUpgrading|seenMinor0) != seenUpgrade|seenUpgrading {
		return nil
	}
	return h.offer
}

// isProtocols tells whether a list names protocols that can be passed through:
// token [ "/" token ], and not the cleartext HTTP/2 whose settings stay here.
func isProtocols(list []byte) bool {
	any := false
	for len(list) > 0 {
		var name []byte
		name, list = element(list)
		if len(name) == 0 {
			continue
		}
		n := tokenLen(name)
		if n == 0 || is(name[:n], "h2c") || n < len(name) && (name[n] != '/' || !isToken(name[n+1:])) {
			return false
		}
		any = true
	}
	return any
}
