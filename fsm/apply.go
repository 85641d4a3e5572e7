package fsm

import "fmt"

// Bounds of the registry, part of the feature level.
const (
	maxListeners = 256
	maxRoutes    = 10_000
	maxPools     = 20_000
	maxBackends  = 200_000
	maxTokens    = 1_000

	maxCertificates = 10_000

	maxNodes = 256
	// maxChanges is how many versions ChangedSince looks back, and
	// maxChangedRefs how many names they may hold together, some 6 MB: one
	// command can touch every backend.
	maxChanges     = 4096
	maxChangedRefs = 1 << 17
)

var limits = [...]struct {
	kind Kind
	most int
}{
	{KindListener, maxListeners}, {KindRoute, maxRoutes}, {KindPool, maxPools},
	{KindBackend, maxBackends}, {KindToken, maxTokens}, {KindNode, maxNodes}, {KindCertificate, maxCertificates},
}

// Apply applies the commands of one entry in order and returns the state that
// follows, with each command's result. A refused command changes nothing but
// the memory of its own result, and does not affect the others.
//
// Apply is a pure function: the same state and commands give the same state
// and results on every replica.
func Apply(s *State, commands []Command) (*State, []Result) {
	d := newDraft(s)
	results := make([]Result, len(commands))
	for i, command := range commands {
		results[i] = d.apply(command)
	}
	return d.commit(), results
}

func (d *draft) apply(c Command) Result {
	if err := checkCommand(c); err != nil {
		return Result{Version: d.version, Revision: d.revision, Err: err}
	}
	if result, known := d.recall(c.ID); known {
		return result
	}
	d.applied++
	result, repeated := d.recallKey(c.Key)
	if !repeated {
		result = d.performAndSettle(c)
		d.rememberKey(c, result)
	}
	d.remember(c.ID, result)
	return result
}

func (d *draft) performAndSettle(c Command) Result {
	d.touched, d.recorded, d.created, d.levelRaised, d.pendingChanged, d.ignored, d.steps = nil, recording{}, false, false, false, 0, nil
	d.keysChanged = false
	object, err := d.perform(c)
	result := Result{Object: object, Err: err, Ignored: d.ignored, Changed: d.settle(c)}
	result.Version, result.Revision, result.Created = d.version, d.revision, d.created
	if err == nil {
		result.Steps = d.steps
		if _, is := c.Op.(Rollback); is {
			result.Changes = d.recorded.sorted()
		}
	}
	return result
}

// checkCommand refuses what has no identity to remember it by.
func checkCommand(c Command) *Error {
	if !isUID(c.ID.Origin) || c.ID.Seq == 0 {
		return refuse(CodeInvalid, "/id", "a command needs an origin of 1 to %d printable characters and a sequence from 1 on", maxUID)
	}
	return nil
}

// settle gives the command's changes their version and revision, and reports
// whether there were any.
func (d *draft) settle(c Command) bool {
	if len(d.touched) == 0 && !d.levelRaised && !d.pendingChanged && !d.keysChanged {
		return false
	}
	d.version++
	if len(d.recorded.changes) > 0 {
		d.revision++
		d.enter(c)
	}
	d.changes.Insert(versionKey(d.version), d.touched)
	d.changedRefs += len(d.touched)
	for d.version-d.changesFloor > maxChanges || d.changedRefs > maxChangedRefs {
		d.changesFloor++
		forgotten, _ := d.changes.Delete(versionKey(d.changesFloor))
		d.changedRefs -= len(forgotten)
	}
	return true
}

func (d *draft) perform(c Command) (AnyObject, *Error) {
	if err := c.validate(new(faults)); err != nil {
		return nil, err
	}
	if err := d.CheckLevel(c); err != nil {
		return nil, err
	}
	if init, ok := c.Op.(Init); ok {
		return nil, d.init(c, init)
	}
	if d.clusterID == "" {
		return nil, refuse(CodeInvalid, "", "the registry is empty: a cluster must be formed first")
	}
	if isWrite(c.Op) {
		return d.write(c)
	}
	switch op := c.Op.(type) {
	case Confirm:
		return nil, d.confirm(c, op)
	case CastVotes:
		d.castVotes(c, op)
	case SetNode:
		return nil, d.setNode(op.Node)
	case ForgetNode:
		d.forgetNode(op.UID)
	case RaiseLevel:
		return nil, d.raiseLevel(op)
	case RestorePart:
		return nil, d.restorePart(c, op)
	case SetOverride:
		return d.setOverride(c, op)
	case Expire:
		d.expire(op)
	case ReportIdle:
		d.reportIdle(op)
	case SetDataKey:
		return nil, d.setDataKey(op)
	case RotateTickets:
		return nil, d.rotateTickets(op)
	default:
		return nil, refuse(CodeInvalid, "", "operation %T is not known", op)
	}
	return nil, nil
}

// isWrite tells whether an operation can wait for a confirmation.
func isWrite(op Operation) bool {
	switch op.(type) {
	case Put, Delete, Txn, Rollback:
		return true
	}
	return false
}

// write does what users ask for, and with ConfirmWithin has it wait for its
// confirmation.
func (d *draft) write(c Command) (AnyObject, *Error) {
	if c.ConfirmWithin == 0 {
		return d.writeNow(c)
	}
	before := d.commit()
	object, err := d.writeNow(c)
	if err == nil && len(d.recorded.changes) > 0 {
		err = d.await(c)
	}
	if err != nil {
		*d = *newDraft(before)
		return nil, err
	}
	return object, nil
}

func (d *draft) writeNow(c Command) (AnyObject, *Error) {
	switch op := c.Op.(type) {
	case Put:
		d.recorded.kind = DonePut
		return d.put(c, op)
	case Delete:
		d.recorded.kind = DoneDelete
		return nil, d.delete(op)
	case Txn:
		return nil, d.txn(c, op)
	case Rollback:
		return nil, d.rollback(c, op)
	}
	return nil, refuse(CodeInvalid, "", "operation %T is no write", c.Op)
}

// init is all or nothing: it works on a draft of its own.
func (d *draft) init(c Command, op Init) *Error {
	if d.clusterID != "" {
		return refuse(CodeExists, "/cluster_id", "the registry belongs to cluster %q already", d.clusterID)
	}
	before := d.commit()
	d.clusterID, d.featureLevel = op.ClusterID, op.FeatureLevel
	d.recorded.kind = DoneInit
	for i, put := range op.Objects {
		if _, err := d.put(c, put); err != nil {
			undo := newDraft(before)
			*d = *undo
			return refuse(err.Code, fmt.Sprintf("/objects/%d", i), "%s", err.Error())
		}
	}
	return nil
}

// DefaultObjects returns what a new cluster begins with: a listener on :8080,
// a pool with a TCP check and a route between them, each named "default", so
// that one backend makes it serve.
func DefaultObjects() []Put {
	check := &Check{}
	check.SetDefaults()
	pool := PoolSpec{Check: check}
	pool.SetDefaults()
	listener := ListenerSpec{Address: ":8080"}
	listener.SetDefaults()
	route := RouteSpec{Listeners: []string{"default"}, Pools: []WeightedPool{{Name: "default", Weight: 1}}}
	return []Put{
		{Name: "default", Spec: listener},
		{Name: "default", Spec: pool},
		{Name: "default", Spec: route},
	}
}
