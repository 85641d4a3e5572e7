package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"evenkeel/cluster/peer"
)

const (
	// maxQuestion and maxAnswer bound what is asked and answered, in bytes.
	maxQuestion = 64 << 10
	maxAnswer   = 2 << 20
	// askTimeout bounds a question, whatever its context allows.
	askTimeout = 5 * time.Second
	// maxAnswering is how many questions a node answers at a time.
	maxAnswering = 16
	// codeBusy is what a further one is answered.
	codeBusy = "busy"
)

// ErrOlderBuild is in the chain of what [Node.Ask] returns if the node that was
// asked does not know the topic.
var ErrOlderBuild = errors.New("it runs an older build")

type askRequest struct {
	Topic   string `json:"topic"`
	Request []byte `json:"request,omitempty"`
}

type askResponse struct {
	Response []byte `json:"response,omitempty"`
}

// answerFunc answers one question of the node with the UID from.
type answerFunc func(ctx context.Context, from string, request []byte) ([]byte, error)

// questions is a node's side of questions between nodes.
type questions struct {
	answers map[string]answerFunc // not written once the node runs
	places  chan struct{}
}

func newQuestions() *questions {
	return &questions{answers: map[string]answerFunc{}, places: make(chan struct{}, maxAnswering)}
}

// Answer sets what answers the questions of a topic. It is called before Run.
// The function gets the UID of the node that asks, which that node has proven,
// and at most 64 KiB; it answers at most 2 MiB. Up to 16 run at a time, and
// their contexts end after 5 s or when the asking node goes away.
func (n *Node) Answer(topic string, answer func(ctx context.Context, from string, request []byte) ([]byte, error)) {
	n.questions.answers[topic] = answer
}

// Ask asks the node with that UID, which may be this one, and returns its
// answer. It ends when ctx does, and after 5 s in any case. [ErrOlderBuild] is
// in the error's chain if the node does not know the topic.
func (n *Node) Ask(ctx context.Context, uid, topic string, request []byte) ([]byte, error) {
	if len(request) > maxQuestion {
		return nil, fmt.Errorf("ask node %q for %s: the question has %d bytes, more than %d", uid, topic, len(request), maxQuestion)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	question := askRequest{topic, request}
	if uid == n.UID() {
		response, err := n.answerQuestion(ctx, uid, question)
		return response.Response, err
	}
	var response askResponse
	err := n.port.RPC().Call(ctx, uid, methodAsk, question, &response)
	if peer.IsRemote(err, peer.CodeUnknownMethod) {
		return nil, fmt.Errorf("ask node %s for %s: %w", n.nameOrUID(uid), topic, ErrOlderBuild)
	}
	return response.Response, err
}

func (n *Node) nameOrUID(uid string) string {
	if name := n.nameOf(uid); name != "" {
		return name
	}
	return uid
}

// answerQuestion is the end that is asked.
func (n *Node) answerQuestion(ctx context.Context, from string, question askRequest) (askResponse, error) {
	answer := n.questions.answers[question.Topic]
	switch {
	case answer == nil:
		// As a build answers that knows no questions at all.
		return askResponse{}, &peer.RemoteError{Code: peer.CodeUnknownMethod, Message: fmt.Sprintf("it answers no questions for %.40q", question.Topic)}
	case len(question.Request) > maxQuestion:
		return askResponse{}, &peer.RemoteError{Code: peer.CodeTooLarge, Message: fmt.Sprintf("the question has more than %d bytes", maxQuestion)}
	}
	select {
	case n.questions.places <- struct{}{}:
		defer func() { <-n.questions.places }()
	default:
		return askResponse{}, &peer.RemoteError{Code: codeBusy, Message: fmt.Sprintf("it answers %d questions already", maxAnswering)}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	response, err := answer(ctx, from, question.Request)
	if err == nil && len(response) > maxAnswer {
		err = &peer.RemoteError{Code: peer.CodeTooLarge, Message: fmt.Sprintf("the answer has %d bytes, more than %d", len(response), maxAnswer)}
	}
	if err != nil {
		return askResponse{}, fmt.Errorf("answer for %s: %w", question.Topic, err)
	}
	return askResponse{response}, nil
}
