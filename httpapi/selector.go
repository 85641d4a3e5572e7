package httpapi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a selector.
const (
	maxSelector     = 4096 // bytes
	maxRequirements = 64
)

// selector is what labels have to be like; all of its requirements must hold. The
// zero value takes anything.
type selector []requirement

// requirement is about one label.
type requirement struct {
	key string
	// values are what the label may be, none for any. not turns it around, so that
	// a label which is missing is right too.
	values []string
	not    bool
}

// matches tells whether an object with those labels is selected.
func (s selector) matches(labels map[string]string) bool {
	for _, r := range s {
		value, has := labels[r.key]
		if holds := has && (len(r.values) == 0 || slices.Contains(r.values, value)); holds == r.not {
			return false
		}
	}
	return true
}

// parseSelector reads requirements with commas between: key, !key, key=value,
// key==value, key!=value, key in (a,b), key notin (a,b). Spaces around the parts
// are nothing; a key or value in double quotes may hold anything. An error names the place, counted in bytes from 1.
func parseSelector(text string) (selector, error) {
	if len(text) > maxSelector {
		return nil, fmt.Errorf("has %d bytes, at most %d are taken", len(text), maxSelector)
	}
	p := selectorParser{text: text}
	var all selector
	for {
		r, err := p.requirement()
		if err != nil {
			return nil, err
		}
		if all = append(all, r); len(all) > maxRequirements {
			return nil, p.fault("more than %d requirements", maxRequirements)
		}
		p.skipSpace()
		if p.at == len(p.text) {
			return all, nil
		}
		if !p.take(",") {
			return nil, p.fault("%q where a comma or the end should be", p.rest())
		}
	}
}

type selectorParser struct {
	text string
	at   int
}

func (p *selectorParser) fault(format string, args ...any) error {
	return fmt.Errorf("%q: at byte %d: %s", clip(p.text), p.at+1, fmt.Sprintf(format, args...))
}

func (p *selectorParser) rest() string { return clip(p.text[p.at:]) }

func (p *selectorParser) skipSpace() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

func (p *selectorParser) take(token string) bool {
	p.skipSpace()
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

// word takes what is up to a space or one of the characters with a meaning, or
// what is in double quotes, as Go writes texts.
func (p *selectorParser) word() string {
	p.skipSpace()
	word := p.text[p.at:]
	if quoted, err := strconv.QuotedPrefix(word); err == nil && quoted[0] == '"' {
		if plain, err := strconv.Unquote(quoted); err == nil {
			p.at += len(quoted)
			return plain
		}
	}
	if end := strings.IndexAny(word, " \t,=!()"); end >= 0 {
		word = word[:end]
	}
	p.at += len(word)
	return word
}

func (p *selectorParser) requirement() (requirement, error) {
	var r requirement
	r.not = p.take("!")
	if r.key = p.word(); r.key == "" {
		return r, p.fault("the key of a label is missing; write requirements such as app=web, app!=web, app, !app, app in (a,b)")
	}
	if r.not {
		return r, nil
	}
	switch {
	case p.take("=="), p.take("="):
		r.values = []string{p.word()}
	case p.take("!="):
		r.not, r.values = true, []string{p.word()}
	default:
		return r, p.set(&r)
	}
	return r, nil
}

// set takes "in (…)" or "notin (…)" if there is one.
func (p *selectorParser) set(r *requirement) error {
	begin := p.at
	switch word := p.word(); word {
	case "":
		return nil
	case "in":
	case "notin":
		r.not = true
	default:
		p.at = begin
		p.skipSpace()
		return p.fault("%q after the key %q is no operator: use =, ==, !=, in or notin", clip(word), clip(r.key))
	}
	if !p.take("(") {
		return p.fault("the values of a set stand in brackets: %s in (a,b)", clip(r.key))
	}
	for {
		r.values = append(r.values, p.word())
		switch {
		case p.take(")"):
			return nil
		case !p.take(","):
			return p.fault("a set needs a comma or a closing bracket here")
		}
	}
}
