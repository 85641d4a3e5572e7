package cluster

import (
	"encoding/json"
	"net/http"

	"evenkeel/cluster/peer"
)

// The methods that nodes call of each other.
const (
	methodHello     = "hello"      // who are you; I am here now
	methodWho       = "who"        // is there anybody
	methodGoodbye   = "goodbye"    // I leave on purpose
	methodConsider  = "consider"   // would you accept this list of founders
	methodAccept    = "accept"     // accept this list of founders, for ever
	methodAccepted  = "accepted"   // which list did you accept
	methodAdmit     = "admit"      // let me into your cluster
	methodPropose   = "propose"    // append this command
	methodProposals = "proposals"  // append these commands
	methodReadIndex = "read-index" // what must I have applied to read now
	methodRenew     = "renew"      // these backends are still there
	methodReport    = "report"     // what do you say of yourself
	methodChange    = "change"     // change the members so
	methodAsk       = "ask"        // answer this question
)

// empty is a request or an answer without content.
type empty struct{}

// hello is how a node introduces itself. The caller's UID is proven by its
// certificate and not part of it.
type hello struct {
	meta
	// Addr is where others find the node.
	Addr string `json:"addr"`
	// Was are the UIDs that the node had before its store was damaged, until it
	// is let in again.
	Was []string `json:"was,omitempty"`
}

type helloResponse struct {
	hello
	// Knows tells whether the node follows a leader, so that what it says of
	// membership is current; Member, whether the caller is a member then.
	Knows  bool `json:"knows"`
	Member bool `json:"member"`
}

// founders is a list of UIDs, sorted, and what the node that answers with it
// belongs to.
type founders struct {
	List      []string `json:"list"`
	ClusterID string   `json:"cluster_id,omitempty"`
}

type admitResponse struct {
	ClusterID string `json:"cluster_id"`
}

type proposeRequest struct {
	Command []byte `json:"command"`
}

type proposalsRequest struct {
	Commands [][]byte `json:"commands"`
}

type proposalsResponse struct {
	Outcomes []proposalOutcome `json:"outcomes"` // one of each command
}

// proposalOutcome is what became of a command; without a code it was applied.
type proposalOutcome struct {
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

type readResponse struct {
	Index uint64 `json:"index"`
}

type reportResponse struct {
	Report json.RawMessage `json:"report"`
}

// handler answers the calls of peers. Every caller has proven that it has the
// cluster secret, and its UID.
func (n *Node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /"+methodHello, peer.Method(n.greeted))
	mux.Handle("POST /"+methodWho, peer.Method(n.who))
	mux.Handle("POST /"+methodGoodbye, peer.Method(n.dismissed))
	mux.Handle("POST /"+methodConsider, peer.Method(n.consider))
	mux.Handle("POST /"+methodAccept, peer.Method(n.accept))
	mux.Handle("POST /"+methodAccepted, peer.Method(n.accepted))
	mux.Handle("POST /"+methodAdmit, peer.Method(n.admit))
	mux.Handle("POST /"+methodPropose, peer.Method(n.takeCommand))
	mux.Handle("POST /"+methodProposals, peer.Method(n.takeCommands))
	mux.Handle("POST /"+methodReadIndex, peer.Method(n.answerReadIndex))
	mux.Handle("POST /"+methodRenew, peer.Method(n.takeRenewals))
	mux.Handle("POST /"+methodReport, peer.Method(n.answerReport))
	mux.Handle("POST /"+methodChange, peer.Method(n.takeChange))
	mux.Handle("POST /"+methodAsk, peer.Method(n.answerQuestion))
	return mux
}
