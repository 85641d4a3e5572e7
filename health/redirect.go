package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxHops is how many redirects of a backend to itself are followed. Browsers
// give up at twenty.
const maxHops = 10

// maxCookies is how many bytes of cookies go along.
const maxCookies = 8 << 10

// follow fails a backend whose answer redirects the check round in a circle of
// its own URLs, or further than anybody would follow: no client gets anything of
// it, although each of the statuses is within the default expectation. That is
// all that following is for, so whatever else comes of it passes.
func (p *httpProber) follow(ctx context.Context, response *http.Response, again dialer) error {
	if p.strict { // the user takes this status for a pass
		return nil
	}
	from, past := &p.target, 0 // of the trail, what is out of date
	trail, cookies := []string{from.RequestURI()}, ""
	for {
		next := p.redirect(from, response)
		if next == nil {
			return nil
		}
		if len(trail) > maxHops {
			return fmt.Errorf("redirects the check more than %d times: %s", maxHops, arrows(trail))
		}
		at, before := next.RequestURI(), cookies
		if cookies = merged(cookies, response.Cookies()); len(cookies) > maxCookies {
			return nil
		}
		if cookies != before {
			past = len(trail) // what was asked without them may be answered otherwise
		}
		if i := slices.Index(trail[past:], at); i >= 0 {
			i += past
			return fmt.Errorf("status %d redirects the check in a circle, for ever: %s", response.StatusCode, arrows(append(trail[i:], at)))
		}
		if p.check.Method != http.MethodGet && p.check.Method != http.MethodHead {
			return nil // what it would ask next differs by the status
		}
		var err error
		if response, err = p.hop(ctx, at, cookies, again); err != nil {
			return nil
		}
		trail, from = append(trail, at), next
	}
}

// redirect returns where a response at a URL sends the check, nil if that is
// nowhere or to another origin.
func (p *httpProber) redirect(from *url.URL, response *http.Response) *url.URL {
	location := response.Header.Get("Location")
	if response.StatusCode/100 != 3 || location == "" {
		return nil
	}
	base := *from
	base.Host = p.host
	to, err := base.Parse(location)
	if err != nil || to.Scheme != base.Scheme || strings.ContainsAny(to.RequestURI(), " \t\r\n") {
		return nil
	}
	port := ":80"
	if base.Scheme == "https" {
		port = ":443"
	}
	if !strings.EqualFold(strings.TrimSuffix(to.Host, port), strings.TrimSuffix(p.host, port)) {
		return nil
	}
	return to
}

// merged adds cookies to those of a Cookie field; of one name the newest counts.
func merged(field string, cookies []*http.Cookie) string {
	for _, c := range cookies {
		pairs := slices.DeleteFunc(strings.Split(field, "; "), func(pair string) bool {
			return pair == "" || strings.HasPrefix(pair, c.Name+"=")
		})
		field = strings.Join(append(pairs, c.Name+"="+c.Value), "; ")
	}
	return field
}

// hop asks for another URL and reads the head of the answer.
func (p *httpProber) hop(ctx context.Context, at, cookies string, again dialer) (*http.Response, error) {
	conn, release, err := again(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if cookies != "" {
		cookies = "\r\nCookie: " + cookies
	}
	if _, err := io.WriteString(conn, p.check.Method+" "+at+" HTTP/1.1\r\nHost: "+p.host+cookies+p.after); err != nil {
		return nil, err
	}
	return p.readHead(bufio.NewReaderSize(&io.LimitedReader{R: conn, N: maxHead}, 4<<10))
}

// arrows writes a trail of URLs so that a reason has room for it.
func arrows(trail []string) string {
	const first = 3
	short := make([]string, 0, first+2)
	for i, at := range trail {
		if i == first && len(trail) > first+1 {
			short = append(short, "…", excerpt(trail[len(trail)-1]))
			break
		}
		short = append(short, excerpt(at))
	}
	return strings.Join(short, " → ")
}
