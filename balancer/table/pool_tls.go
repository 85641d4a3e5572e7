package table

import (
	"evenkeel/balancer/certificates"
	"evenkeel/fsm"
)

// tls is how a pool's backends are spoken to by TLS; nil: they are not. As long as
// the settings stay so does what is made of them, with the sessions that it keeps.
func (src *poolSource) tls(object *fsm.Pool) *certificates.Upstream {
	if src.options.TLS == nil {
		return nil
	}
	return src.options.TLS(src.state, object)
}
