package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"unicode/utf8"
)

// windows keeps buffers for requests and for what is looked at of answers.
var windows = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readBody reads the answer to its end: a server that cannot finish it does
// not work, and one that is cut off in the middle would log an error. Of that
// it keeps the first 64 KiB if the check looks into them.
func (r *recipe) readBody(ctx context.Context, response *http.Response, input *io.LimitedReader) error {
	tooLong := fmt.Sprintf("the body of the answer is over %d MiB: let the check ask for something smaller", maxBody>>20)
	if response.ContentLength > maxBody && r.check.Method != http.MethodHead {
		return errors.New(tooLong)
	}
	body := &io.LimitedReader{R: response.Body, N: maxBody + 1}
	window := windows.Get().(*bytes.Buffer)
	defer func() {
		window.Reset()
		windows.Put(window)
	}()
	var err error
	if len(r.text) > 0 || r.pattern != nil {
		_, err = window.ReadFrom(io.LimitReader(body, maxWindow))
	}
	if err == nil {
		_, err = io.Copy(io.Discard, body)
	}
	if body.N <= 0 {
		return errors.New(tooLong)
	}
	if err != nil {
		return explain(ctx, err, input, tooLong)
	}
	return r.judgeBody(ctx, window.Bytes())
}

// judgeBody looks for what must be in the first 64 KiB of the body.
func (r *recipe) judgeBody(ctx context.Context, window []byte) error {
	if err := r.seek(window); err != nil {
		return err
	}
	if r.pattern == nil || r.pattern.MatchReader(&patient{ctx: ctx, text: window}) {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("the first %d KiB of the body do not match %q", maxWindow>>10, excerpt(r.check.ExpectRegexp))
}

// seek looks for the text.
func (r *recipe) seek(window []byte) error {
	if len(r.text) > 0 && !bytes.Contains(window, r.text) {
		return fmt.Errorf("the first %d KiB of the body do not hold %q", maxWindow>>10, excerpt(r.check.ExpectText))
	}
	return nil
}

// patient reads a text rune by rune as long as its context lives: an
// expression of ten thousand steps takes seconds for 64 KiB, and nothing else
// could end that.
type patient struct {
	ctx  context.Context
	text []byte
	read int
}

// ReadRune implements [io.RuneReader].
func (p *patient) ReadRune() (rune, int, error) {
	const stride = 64 // between looks at the context
	if p.read++; p.read%stride == 0 && p.ctx.Err() != nil || len(p.text) == 0 {
		return 0, 0, io.EOF
	}
	r, size := utf8.DecodeRune(p.text)
	p.text = p.text[size:]
	return r, size, nil
}

// excerpt is as much of an expected text as a reason has room for.
func excerpt(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
